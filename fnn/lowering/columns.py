"""Convolutions with few channels out, several neighbouring columns at a time.

XLA's CPU compiler computes a convolution as a product of the matrix of what each window sees, built piece by piece as
it goes, and the windows. Building a row costs about as much as some 40 multiplications for each of its numbers, which
few channels do not make up for. With g columns as channels of one place,

    y[i, g q + r, o] = sum over u, t, c of v[u, t, c, (r, o)] x[i + u, g q + t, c],
    v[u, t, c, (r, o)] = w[u, t - r, c, o], 0 where w has no such tap,

there are g times fewer rows, of k + g - 1 instead of k taps: with k = 3 and g = 2 two thirds of what was built, and a
third more multiplications. The result is in the right order as it is. What is not finite spreads to its neighbours
among the g columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import jax.numpy as jnp
from jax import lax

from fnn.lowering.apart import barrier

# Up to so many channels in, from so many out on, so many columns at a time, else two, as long as columns times channels
# out are at most so many. Measured with 1 to 64 channels and windows of 3 to 7, on two cores: 1.1 to 2.7 times as fast.
_PAYS = (4, 1, 4, 128), (24, 1, 4, 48), (inf, 2, 2, 16)


def by_columns(
    x: Any,
    w: Any,
    *,
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    window_strides: Sequence[int],
    rhs_dilation: Sequence[int],
    **params: Any,
) -> Any:
    """A convolution with channels last and without groups, with several columns as channels of one place.

    Args:
        x: of shape (batch, spatial axes, channels).
        w: of shape (taps, channels, channels out).
        padding: pairs, one per spatial axis, none of which cuts off.
        lhs_dilation: one number per spatial axis, as are the next two.
        window_strides: steps of the window.
        rhs_dilation: distances of its taps.
        **params: the other parameters of the ``conv_general_dilated``.

    Returns:
        The result. It is computed column by column, as XLA does, where several at a time are not faster: for many
        channels, few columns or a window nearly as wide as the image, as weight gradients have, a window of one column,
        a stride or a dilation along the columns, and numbers other than float32.
    """
    n_out, taps = w.shape[-1], w.shape[-3]
    n_columns = x.shape[-2] + sum(padding[-1]) - taps + 1
    least, most, width = next(rest for n_in, *rest in _PAYS if x.shape[-1] <= n_in)
    at_once = most if most * n_out <= width else 2
    is_plain = {*lhs_dilation, window_strides[-1], rhs_dilation[-1]} == {1}
    pays = least <= n_out <= width // at_once and taps > 1 and max(taps, 2 * at_once) <= n_columns
    params |= {"lhs_dilation": lhs_dilation, "rhs_dilation": rhs_dilation}
    convolve: Any = lax.conv_general_dilated_p.bind
    if not (is_plain and pays and x.size > 0 and x.dtype == jnp.float32):
        return convolve(x, w, padding=padding, window_strides=window_strides, **params)
    margins = [(0, 0, 0)] * w.ndim
    moved = []
    for column in range(at_once):
        margins[-3] = (column, at_once - 1 - column, 0)
        moved.append(lax.pad(w, w.dtype.type(0), margins))
    n_places = -(-n_columns // at_once)
    low, high = padding[-1]
    last = (low, high + n_places * at_once - n_columns)
    strides = (*window_strides[:-1], at_once)
    v = lax.concatenate(moved, w.ndim - 1)
    y = convolve(x, v, padding=(*padding[:-1], last), window_strides=strides, **params)
    # Without the barrier a sum over the result would be computed number by number, in the other shape.
    y = barrier(lax.reshape(y, (*y.shape[:-2], n_places * at_once, n_out)))
    return lax.slice_in_dim(y, 0, n_columns, axis=y.ndim - 2)
