"""Convolutions with a window of its own for each channel, as sums of products number by number.

With as many groups as channels, a convolution adds up few numbers for each of its results, and no matrix product is in
it. XLA's CPU compiler takes 11 to 21 ms for 32 images of 28 x 28 x 32 and windows of 3 x 3. Tap by tap,

    y[n, p, c] = sum over taps u of w[u, c] x[n, p + u, c],    dw[u, c] = sum over n, p of g[n, p, c] x[n, p + u, c],

it is one pass over the image, 0.5 ms, and the gradient of the window one pass for each tap, 2 ms. In a training loop,
the three together take 5.6 ms instead of 297.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import jax.numpy as jnp
from jax import lax

from fnn.lowering.apart import barrier
from fnn.precision import at_least_float32

_MOST_TAPS = 49  # each is an operation of its own for the compiler


def by_taps(
    x: Any,
    w: Any,
    *,
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    window_strides: Sequence[int],
    rhs_dilation: Sequence[int],
    feature_group_count: int,
    preferred_element_type: Any,
    **_: Any,
) -> Any:
    """A convolution with channels last, each channel by itself.

    Args:
        x: of shape (batch, spatial axes, channels).
        w: of shape (taps, channels of a group, channels out).
        padding: pairs, one per spatial axis; negative ones cut off.
        lhs_dilation: one number per spatial axis, as are the next two.
        window_strides: steps of the window.
        rhs_dilation: distances of its taps.
        feature_group_count: groups of channels.
        preferred_element_type: dtype of the result; ``None`` for that of ``x``.

    Returns:
        The result; ``None`` if the groups have several channels, or the window has many taps.
    """
    taps = w.shape[:-2]
    is_depthwise = 1 < feature_group_count == x.shape[-1] == w.shape[-1]
    sizes = _padded_sizes(x.shape[1:-1], padding, lhs_dilation)
    places = _n_places(sizes, taps, window_strides, rhs_dilation)
    if not is_depthwise or not 1 <= prod(taps) <= _MOST_TAPS or min(places) < 1 or not _is_floating(x, w):
        return None
    padded, dtype = _padded(x, padding, lhs_dilation), _dtype_of_sums(x, preferred_element_type)
    terms = [
        cut.astype(dtype) * w[tuple(slice(at, at + 1) for at in tap)].astype(dtype)
        for tap, cut in _cuts(padded, taps, places, steps=window_strides, distances=rhs_dilation)
    ]
    return sum(terms[1:], terms[0]).astype(preferred_element_type or x.dtype)


def window_gradient(
    x: Any,
    g: Any,
    *,
    batch_group_count: int,
    dimension_numbers: Any,
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    window_strides: Sequence[int],
    rhs_dilation: Sequence[int],
    feature_group_count: int,
    preferred_element_type: Any,
    **_: Any,
) -> Any:
    """A convolution with groups of the batch, as differentiation makes it for the window, each channel by itself.

    Args:
        x: what was convolved, its channels where a batch would be and its batch where channels would be.
        g: the gradient of the result, in the place of a window.
        batch_group_count: groups of the batch.
        dimension_numbers: of the ``conv_general_dilated``, as are the other parameters.

    Returns:
        The result; ``None`` if the groups have several channels, or the window many taps.
    """
    x_axes, g_axes, y_axes = dimension_numbers
    is_depthwise = feature_group_count == 1 < batch_group_count == x.shape[x_axes[0]] == g.shape[g_axes[0]]
    places = [g.shape[axis] for axis in g_axes[2:]]
    sizes = _padded_sizes([x.shape[axis] for axis in x_axes[2:]], padding, lhs_dilation)
    taps = _n_places(sizes, places, window_strides, rhs_dilation)
    if not is_depthwise or not 1 <= prod(taps) <= _MOST_TAPS or min(places) < 1 or not _is_floating(x, g):
        return None
    x = lax.transpose(x, (x_axes[1], *x_axes[2:], x_axes[0]))  # the batch first, channels last
    g = lax.transpose(g, (g_axes[1], *g_axes[2:], g_axes[0]))
    padded, dtype = _padded(x, padding, lhs_dilation), _dtype_of_sums(x, preferred_element_type)
    sums = [
        jnp.sum(cut.astype(dtype) * g.astype(dtype), axis=tuple(range(g.ndim - 1)))
        for _, cut in _cuts(padded, taps, places, steps=rhs_dilation, distances=window_strides)
    ]
    y = jnp.stack(sums).reshape(1, *taps, batch_group_count).astype(preferred_element_type or x.dtype)
    return lax.transpose(y, _order((y_axes[0], *y_axes[2:], y_axes[1])))


def _dtype_of_sums(x: Any, preferred: Any) -> Any:
    return max(at_least_float32(x.dtype), jnp.dtype(preferred or x.dtype), key=lambda dtype: dtype.itemsize)


def _is_floating(*arrays: Any) -> bool:
    return all(jnp.issubdtype(array.dtype, jnp.floating) for array in arrays)


def _padded(x: Any, padding: Sequence[tuple[int, int]], dilation: Sequence[int]) -> Any:
    """With zeros around and in between, written down: else each tap would ask for each number whether it is there.

    On JAX 0.10 this barrier is a little quicker than :func:`fnn.lowering.apart.apart`, which is a branch there.
    """
    config = [(low, high, step - 1) for (low, high), step in zip(padding, dilation, strict=True)]
    return barrier(lax.pad(x, x.dtype.type(0), [(0, 0, 0), *config, (0, 0, 0)]))


def _padded_sizes(sizes: Sequence[int], padding: Sequence[tuple[int, int]], dilation: Sequence[int]) -> list[int]:
    return [max(0, (n - 1) * d + 1) + low + high for n, d, (low, high) in zip(sizes, dilation, padding, strict=True)]


def _n_places(
    sizes: Sequence[int], window: Sequence[int], steps: Sequence[int], distances: Sequence[int]
) -> tuple[int, ...]:
    """Of a window in an image; 0 where it does not fit."""
    return tuple(
        max(0, (n - (k - 1) * distance - 1) // step + 1)
        for n, k, step, distance in zip(sizes, window, steps, distances, strict=True)
    )


def _cuts(
    x: Any, taps: Sequence[int], places: Sequence[int], *, steps: Sequence[int], distances: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], Any]]:
    """For each tap, what it sees of ``x``: a number for each place."""
    for tap in itertools.product(*map(range, taps)):
        begin = [at * distance for at, distance in zip(tap, distances, strict=True)]
        end = [b + (n - 1) * step + 1 for b, n, step in zip(begin, places, steps, strict=True)]
        yield tap, lax.slice(x, (0, *begin, 0), (x.shape[0], *end, x.shape[-1]), (1, *steps, 1))


def _order(axes: Sequence[int]) -> tuple[int, ...]:
    """The transposition that brings axis ``i`` to ``axes[i]``."""
    return tuple(axes.index(i) for i in range(len(axes)))
