"""Records that are fetched by number, as Grain has them, as a source of examples.

Grain itself is not imported: whatever has ``__len__`` and ``__getitem__`` will do, such as ``grain.MapDataset``, one of
``grain.sources`` or a list. Get it with ``pip install 'fnn[grain]'``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from fnn.errors import DataError, InputError
from fnn.types import Batch

_MOST = 2**31 - 1


@dataclass(frozen=True, eq=False)
class RecordSource:
    """Records as a :class:`fnn.Source`; see :func:`from_grain`.

    Attributes:
        records: gives a record by its number.
        keys: where records are mappings, under which keys they have ``x``, ``y`` and weights.
    """

    records: Any
    keys: tuple[str, str | None, str | None]

    def __len__(self) -> int:
        """How many records there are."""
        return len(self.records)

    def take(self, rows: Int[np.ndarray, " n"], /) -> Batch:
        """The records with these numbers, stacked.

        Raises:
            DataError: a record is missing, has not the parts that are asked for, or another shape than the first.
        """
        examples = [self._example(int(row)) for row in rows]
        try:
            batch: Batch = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *examples)
        except ValueError:
            shapes = [jax.tree.map(np.shape, tuple(example)) for example in examples]
            other = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), 0)
            raise DataError(
                f"record {rows[other]}: expected shapes {shapes[0]} like record {rows[0]}, got {shapes[other]}"
            ) from None
        for path, leaf in jax.tree_util.tree_leaves_with_path(batch):
            if leaf.dtype.kind not in "biuf":
                name = jax.tree_util.keystr(path).lstrip(".")
                raise DataError(f"record {rows[0]}: expected numbers as {name}, got {leaf.dtype}")
        return batch

    def _example(self, row: int) -> Batch:
        record = self.records[row]
        if isinstance(record, Mapping):
            for key in self.keys:
                if key is not None and key not in record:
                    raise DataError(f"record {row}: no {key!r}; it has {', '.join(map(repr, record)) or 'nothing'}")
            return Batch(*(None if key is None else record[key] for key in self.keys))
        if isinstance(record, tuple | list) and 1 <= len(record) <= 3:
            return Batch(*record)
        got = "nothing; a filtered data set has gaps" if record is None else type(record).__name__
        raise DataError(f"record {row}: expected (x, y), (x, y, weight) or a mapping, got {got}")


def from_grain(records: Any, *, x: str = "x", y: str | None = "y", weights: str | None = None) -> RecordSource:
    """A source of the records of Grain, or of anything that gives records by number.

    ``fit`` shuffles and makes batches itself: hand it the records one by one, before any ``batch`` or ``repeat``.
    Anything random in them has to depend on the number alone (in Grain, give ``seed``), or a run will not repeat.

    Args:
        records: has ``__len__``, and ``__getitem__`` that gives ``(x, y)``, ``(x, y, weight)`` or a mapping, whose
            parts are numbers, arrays, or pytrees of arrays.
        x: under which key a mapping has the input.
        y: under which the target; ``None`` where there is none.
        weights: under which the weight of the example; ``None`` for all alike.

    Raises:
        InputError: ``records`` has no length or gives nothing by number, is empty, or is endless.

    Example:
        >>> source = from_grain([{"image": np.ones((2, 2)), "label": 3}] * 5, x="image", y="label")
        >>> batch = source.take(np.array([0, 4]))
        >>> batch.x.shape, batch.y.tolist()
        ((2, 2, 2), [3, 3])
    """
    if not (hasattr(records, "__len__") and hasattr(records, "__getitem__")):
        raise InputError(f"from_grain: expected records with a length, by number, got {type(records).__name__}")
    count = len(records)
    if not 0 < count <= _MOST:
        got = "none" if count == 0 else f"{count}: is it repeated without end?"
        raise InputError(f"from_grain: expected from 1 to {_MOST} records, got {got}")
    return RecordSource(records, (x, y, weights))
