"""Convolutions with few channels out, several neighbouring columns at a time.

XLA's CPU compiler computes a convolution as a product of the matrix of what each window sees, built piece by piece as
it goes, and the windows. Building a row costs about as much as some 40 multiplications for each of its numbers, which
few channels do not make up for. With g columns as channels of one place,

    y[i, g q + r, o] = sum over u, t, c of v[u, t, c, (r, o)] x[i + u, g q + t, c],
    v[u, t, c, (r, o)] = w[u, t - r, c, o], 0 where w has no such tap,

there are g times fewer rows, of k + g - 1 instead of k taps: with k = 3 and g = 2 two thirds
of what was built, and a third more multiplications. The result is in the right order as it is. What is not finite
spreads to its neighbours among the g columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

# Up to so many channels in, so many numbers per place pay: columns at a time times channels out. Measured with 1 to 64
# channels in, 4 to 64 out and windows of 3 to 7, on two cores: 1.1 to 2.7 times as fast.
_WIDTHS = (4, 128), (24, 48)
_WIDTH_BEYOND = 16


def by_columns(
    x: Any,
    w: Any,
    *,
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    window_strides: Sequence[int],
    rhs_dilation: Sequence[int],
    feature_group_count: int,
    **params: Any,
) -> Any:
    """A convolution with channels last, with several columns as channels of one place.

    Args:
        x: of shape (batch, spatial axes, channels).
        w: of shape (taps, channels, channels out).
        padding: pairs, one per spatial axis, none of which cuts off.
        lhs_dilation: one number per spatial axis, as are the next two.
        window_strides: steps of the window.
        rhs_dilation: distances of its taps.
        feature_group_count: groups of channels.
        **params: the other parameters of the ``conv_general_dilated``.

    Returns:
        The result. It is computed column by column, as XLA does, where several at a time are not faster: for many
        channels out, few columns, as weight gradients have, a window of one column, a stride or a dilation along the
        columns, groups, and numbers other than float32.
    """
    n_out, taps = w.shape[-1], w.shape[-3]
    n_columns = x.shape[-2] + sum(padding[-1]) - taps + 1
    width = next((width for n_in, width in _WIDTHS if x.shape[-1] <= n_in), _WIDTH_BEYOND)
    at_once = 4 if 4 * n_out <= width else 2
    is_plain = feature_group_count == 1 and {*lhs_dilation, window_strides[-1], rhs_dilation[-1]} == {1}
    pays = n_out * at_once <= width and taps > 1 and max(taps, 2 * at_once) <= n_columns
    params |= {"lhs_dilation": lhs_dilation, "rhs_dilation": rhs_dilation, "feature_group_count": feature_group_count}
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
    y = lax.reshape(y, (*y.shape[:-2], n_places * at_once, n_out))
    return lax.slice_in_dim(y, 0, n_columns, axis=y.ndim - 2)
