"""Examples in batches of one size, so that one compiled step serves them all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from fnn.errors import DataError, InputError, expect, is_whole
from fnn.types import Batch, KeyArray


def batches(data: Any, batch_size: int | None, key: KeyArray | None = None) -> Iterator[Batch]:
    """One pass over the examples, as NumPy arrays.

    All batches have one size. If the last would be smaller, it is filled up with examples of weight 0, and then every
    batch of the pass has weights; otherwise weights are those of ``data``, or ``None``.

    Args:
        data: ``(x, y)``, ``(x, y, weights)`` or ``(x,)``: arrays, or pytrees of arrays, with the examples along axis 0.
        batch_size: examples per batch: 1 is online learning; ``None``, or as many as there are, is the full batch, in
            the order of ``data``.
        key: the order is drawn from it; ``None`` for the order of ``data``.

    Yields:
        Batches of ``batch_size`` examples.

    Raises:
        InputError: ``batch_size`` is less than 1, or ``data`` has no examples or unequal numbers of them.

    Example:
        >>> x = np.arange(5, dtype=np.float32)
        >>> for batch in batches((x, x), 2):
        ...     print(batch.x, batch.weights)
        [0. 1.] [1. 1.]
        [2. 3.] [1. 1.]
        [4. 0.] [1. 0.]
    """
    whole = to_host(data)
    count = count_examples(whole)
    size = effective_size(batch_size, count)
    if size == count:
        yield whole
        return
    order = np.arange(count) if key is None else np.asarray(jax.random.permutation(key, count))
    missing = -count % size
    if missing:
        weights = whole.weights if whole.weights is not None else np.ones(count, np.float32)
        whole = whole._replace(weights=weights)
        order = np.concatenate([order, order[:missing]])
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        batch = jax.tree.map(lambda leaf, rows=rows: leaf[rows], whole)
        if missing and start + size == len(order):
            batch.weights[size - missing :] = 0
        yield batch


def to_host(data: Any) -> Batch:
    """``data`` as a :class:`fnn.Batch` of NumPy arrays.

    Raises:
        InputError: ``data`` is not a tuple of one, two or three parts.

    Example:
        >>> to_host((np.zeros(2), np.ones(2))).weights is None
        True
    """
    if not isinstance(data, tuple) or not 1 <= len(data) <= 3:
        raise InputError(f"data: expected a tuple (x, y) or (x, y, weights), got {type(data).__name__}")
    return Batch(*jax.tree.map(np.asarray, data))


def count_examples(batch: Batch) -> int:
    """How many examples there are.

    Raises:
        InputError: none, or parts of the batch disagree.

    Example:
        >>> count_examples(Batch(np.zeros((3, 2)), np.zeros(3)))
        3
    """
    shapes = {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(batch)}
    counts = {shape[0] if shape else None for shape in shapes.values()}
    alike = len(counts) == 1 and None not in counts
    expect(alike, "data", "x, y and weights with the same number of examples", str(shapes).strip("{}"))
    (count,) = counts
    if not count:
        raise InputError("data: expected at least one example, got none")
    return int(count)


def effective_size(batch_size: int | None, count: int, where: str = "data") -> int:
    """The size of a batch out of ``count`` examples: at most all of them; ``where`` speaks in the error.

    Raises:
        InputError: ``batch_size`` is less than 1, or no whole number.

    Example:
        >>> effective_size(32, 100), effective_size(None, 100), effective_size(500, 100)
        (32, 100, 100)
    """
    sound = batch_size is None or (is_whole(batch_size) and batch_size >= 1)
    expect(sound, where, "a whole number batch_size >= 1, or None for all", f"batch_size == {batch_size!r}")
    return count if batch_size is None else min(batch_size, count)


def check_weights(data: Batch, where: str = "data") -> None:
    """Refuses weights that are no weights.

    Raises:
        InputError: weights are not one number per example, some are negative, or all are 0.

    Example:
        >>> check_weights(Batch(np.zeros(2), np.zeros(2), np.array([1.0, -1.0])))
        Traceback (most recent call last):
            ...
        fnn.errors.InputError: data: expected weights of at least 0 and not all 0, got a smallest of -1.0, a sum of 0.0
    """
    w = data.weights
    if w is None:
        return
    expect(
        isinstance(w, np.ndarray) and w.ndim == 1, where, "one weight per example", f"weights of shape {np.shape(w)}"
    )
    smallest, total = float(w.min()), float(w.sum(dtype=np.float64))
    sound = smallest >= 0 and total > 0
    expect(sound, where, "weights of at least 0 and not all 0", f"a smallest of {smallest}, a sum of {total}")
    expect(total <= float(np.finfo(np.float32).max), where, "weights whose sum is within float32", f"a sum of {total}")


def check_finite(data: Batch, where: str = "data") -> None:
    """Refuses data with a NaN or an infinity in it, naming the place: training would only spread it.

    Raises:
        DataError: a floating-point array of ``data`` is not finite throughout.

    Example:
        >>> check_finite(Batch(np.array([[1.0, np.nan]])))
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: data: expected finite numbers, got nan at x[0, 1]
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(data):
        if np.issubdtype(leaf.dtype, np.floating) and not np.isfinite(leaf).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(leaf))[0])
            name = jax.tree_util.keystr(path).lstrip(".")
            raise DataError(f"{where}: expected finite numbers, got {leaf[place]} at {name}{list(place)}")
