"""Examples set aside: to validate by, or to test with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from fnn.data.sources import ArraySource, Source, as_source
from fnn.errors import InputError, expect
from fnn.types import Batch, KeyArray


def split(
    data: Any, held_out: float, key: KeyArray, *, stratify: bool | Int[np.ndarray, " n"] = False
) -> tuple[Any, Any]:
    """Two parts of the data, at random: every example is in one of them, in the order of ``data``.

    Args:
        data: ``(x, y)`` or ``(x, y, weights)``, arrays with the examples along axis 0, or a :class:`fnn.Source`.
        held_out: the share of the second part, between 0 and 1; the number of examples is rounded.
        key: what is drawn; the same key gives the same parts.
        stratify: whether each class is shared out alike, up to one example: by ``y`` of the arrays or ``labels`` of the
            source if true, or by the classes given.

    Returns:
        What is kept, and what is held out: batches of arrays, or sources that fetch from ``data``.

    Raises:
        InputError: a part would be empty, or classes are asked for and there is not one integer per example.

    Example:
        >>> x = np.arange(10)
        >>> kept, held_out = split((x, x % 2), 0.2, jax.random.key(0), stratify=True)
        >>> len(kept.x), sorted(held_out.y.tolist())
        (8, [0, 1])
    """
    source = as_source(data, "split")
    count = len(source)
    expect(0 < held_out < 1, "split", "0 < held_out < 1", f"held_out == {held_out}")
    wanted = round(held_out * count)
    expect(0 < wanted < count, "split", "examples in both parts", f"{wanted} held out of {count}")
    order = np.asarray(jax.random.permutation(key, count))
    chosen = np.zeros(count, bool)
    if stratify is False:
        chosen[order[:wanted]] = True
    else:
        chosen[_share_out(_classes(source, stratify), order, wanted)] = True
    parts = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    if isinstance(source, ArraySource):
        return source.take(parts[0]), source.take(parts[1])
    return Subset(source, parts[0]), Subset(source, parts[1])


@dataclass(frozen=True, eq=False)
class Subset:
    """Some of the examples of a source, as a source.

    Attributes:
        source: where they are fetched from.
        rows: their numbers there.

    Example:
        >>> odd = Subset(as_source((np.arange(6),)), np.array([1, 3, 5]))
        >>> len(odd), odd.take(np.array([2, 0])).x.tolist()
        (3, [5, 1])
    """

    source: Source
    rows: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.rows)

    def take(self, rows: Int[np.ndarray, " n"], /) -> Batch:
        """The examples with these numbers, counted within the subset."""
        return self.source.take(self.rows[rows])

    @property
    def labels(self) -> Any:
        """The classes of these examples, where the source knows those of all."""
        source: Any = self.source
        return source.labels[self.rows]


def _classes(source: Source, stratify: bool | np.ndarray) -> np.ndarray:
    classes: Any
    if not isinstance(stratify, bool):
        classes = stratify
    elif isinstance(source, ArraySource):
        classes = source.whole.y
    else:
        classes = getattr(source, "labels", None)
        if classes is None:
            raise InputError("split: expected stratify to be the classes, as this source does not list its labels")
    array = np.asarray(classes)
    sound = array.shape == (len(source),) and np.issubdtype(array.dtype, np.integer)
    expect(sound, "split", f"{len(source)} integer classes to stratify by", f"{array.dtype} of shape {array.shape}")
    return array


def _share_out(classes: np.ndarray, order: np.ndarray, wanted: int) -> np.ndarray:
    """``wanted`` examples, of each class its share rounded up or down: up where the remainder is largest."""
    groups = [order[classes[order] == k] for k in np.unique(classes)]
    exact = [len(group) * wanted / len(order) for group in groups]
    sizes = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(groups)), key=lambda i: sizes[i] - exact[i])
    for i in by_remainder[: wanted - sum(sizes)]:
        sizes[i] += 1
    return np.concatenate([group[:size] for group, size in zip(groups, sizes, strict=True)])
