"""Where examples come from: arrays in memory, or anything that can fetch examples by their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np
from jaxtyping import Int

from fnn.data.batching import check_finite, check_weights, count_examples, to_host
from fnn.errors import InputError
from fnn.types import Batch


class Source(Protocol):
    """Examples that are fetched when they are needed, so that they need not fit in memory.

    ``fit`` decides which examples come when; a source only fetches them. It gives the same example for the same number
    at any time, from any thread, all of one shape and dtype.

    Example:
        Squares that are computed when they are asked for.

        >>> class Squares:
        ...     def __len__(self):
        ...         return 1000
        ...     def take(self, rows):
        ...         x = rows.astype(np.float32)[:, None]
        ...         return Batch(x, x**2)
        >>> as_source(Squares()).take(np.array([3, 0])).y.tolist()
        [[9.0], [0.0]]
    """

    def __len__(self) -> int:
        """How many examples there are."""

    def take(self, rows: Int[np.ndarray, " n"], /) -> Batch:
        """The examples with these numbers, in this order, as NumPy arrays with the examples along axis 0."""


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Arrays in memory as a :class:`Source`.

    Attributes:
        whole: all examples, as NumPy arrays.

    Example:
        >>> source = ArraySource(Batch(np.arange(6).reshape(3, 2), np.array([0, 1, 0])))
        >>> source.take(np.array([2, 0])).x.tolist()
        [[4, 5], [0, 1]]
    """

    whole: Batch

    def __len__(self) -> int:
        """How many examples there are."""
        return count_examples(self.whole)

    def take(self, rows: Int[np.ndarray, " n"], /) -> Batch:
        """The examples with these numbers, in this order, copied into new arrays of the same dtypes."""
        batch: Batch = jax.tree.map(lambda leaf: np.take(leaf, rows, axis=0), self.whole)
        return batch


def as_source(data: Any, where: str = "data") -> Source:
    """What ``fit`` is given as data, as a source: arrays are checked and wrapped, a source is taken as it is.

    Args:
        data: ``(x, y)``, ``(x, y, weights)`` or ``(x,)``: arrays, or pytrees of arrays, with the examples along axis 0;
            or a :class:`Source`.
        where: what errors begin with.

    Raises:
        InputError: ``data`` is neither, there are no examples, parts of it disagree about their number, or weights are
            no weights.
        DataError: an array holds a NaN or an infinity.

    Example:
        >>> x = np.zeros((3, 2), np.float32)
        >>> len(as_source((x, x)))
        3
        >>> as_source(x)
        Traceback (most recent call last):
            ...
        fnn.errors.InputError: data: expected a tuple (x, y) or (x, y, weights), or a source, got ndarray
    """
    if isinstance(data, tuple):
        whole = to_host(data)
        count_examples(whole)
        check_finite(whole, where)
        check_weights(whole, where)
        # From arrays in another order, such as transposed ones, NumPy takes rows by copying the whole first.
        return ArraySource(jax.tree.map(np.ascontiguousarray, whole))
    # An array has a length and a method take too, but its rows are no batches.
    if not (hasattr(data, "__len__") and hasattr(data, "take")) or hasattr(data, "shape"):
        raise InputError(f"{where}: expected a tuple (x, y) or (x, y, weights), or a source, got {type(data).__name__}")
    if not len(data):
        raise InputError(f"{where}: expected at least one example, got none")
    source: Source = data
    return source
