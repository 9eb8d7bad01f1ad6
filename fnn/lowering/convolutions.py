"""Convolutions in the one layout that XLA's CPU compiler has a fast algorithm for: batch, spatial axes, channels.

Outside of loops the compiler brings a convolution into this layout itself; within the body of a loop it does not, and
runs what differentiation makes of a convolution by a naive algorithm, some 16 times slower (jax issue 12868). With
groups the weight gradient is naive everywhere, and 30 to 300 times slower; here each group is a convolution of its own,
or, of one channel, a sum (:mod:`fnn.lowering.depthwise`).

What is transposed is kept apart from what it comes from: the compiler would otherwise compute it once more in the order
of the transposition, pooling and activation included, number by number.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax

from fnn.lowering.apart import apart
from fnn.lowering.columns import by_columns
from fnn.lowering.depthwise import by_taps, window_gradient
from fnn.lowering.dilated import compact
from fnn.lowering.pointwise import as_product


def channels_last(
    x: Any,
    w: Any,
    *,
    dimension_numbers: Any,
    padding: Any,
    lhs_dilation: Any,
    batch_group_count: int,
    feature_group_count: int,
    **params: Any,
) -> Any:
    """A convolution by one with channels last, and transpositions around it.

    Args:
        x: what is convolved, the left operand of a ``conv_general_dilated``.
        w: what it is convolved with.
        dimension_numbers: of the ``conv_general_dilated``, as are the other parameters.
        padding: pairs, one per spatial axis.
        lhs_dilation: one number per spatial axis.
        batch_group_count: groups of the batch.
        feature_group_count: groups of the channels.
        **params: the others.

    Returns:
        The result, in a faster form where one is known (:mod:`fnn.lowering.pointwise`, :mod:`fnn.lowering.dilated`,
        :mod:`fnn.lowering.depthwise`, :mod:`fnn.lowering.columns`); ``None`` for other than one or two spatial axes.
    """
    params |= {"dimension_numbers": dimension_numbers, "padding": padding, "lhs_dilation": lhs_dilation}
    params |= {"batch_group_count": batch_group_count, "feature_group_count": feature_group_count}
    y, n_axes = as_product(x, w, **params), len(padding)
    if y is not None or n_axes not in (1, 2):
        return y
    if batch_group_count != 1:
        del params["batch_group_count"]
        y = window_gradient(x, w, batch_group_count, **params)
        return _by_groups(x, w, batch_group_count, **params) if y is None else y
    x_axes, w_axes, y_axes = (tuple(spec) for spec in dimension_numbers)
    data = (0, n_axes + 1, *range(1, n_axes + 1))
    weights = (n_axes + 1, n_axes, *range(n_axes))
    if (x_axes, w_axes, y_axes) == (data, weights, data):
        return _convolved(x, w, **params)
    params["dimension_numbers"] = lax.ConvDimensionNumbers(data, weights, data)
    x, w = apart(x), apart(w)
    x = lax.transpose(x, (x_axes[0], *x_axes[2:], x_axes[1]))
    w = lax.transpose(w, (*w_axes[2:], w_axes[1], w_axes[0]))
    y = _convolved(x, w, **params)
    places = dict(zip(y_axes, (0, n_axes + 1, *range(1, n_axes + 1)), strict=True))
    return lax.transpose(y, tuple(places[axis] for axis in range(n_axes + 2)))


def _convolved(x: Any, w: Any, *, padding: Any, lhs_dilation: Any, **params: Any) -> Any:
    """A convolution with channels last, in its fastest form."""
    given = {"padding": padding, "lhs_dilation": lhs_dilation, **params}
    for form in (as_product, by_taps, partial(compact, convolve=_convolved)):
        y = form(x, w, **given)
        if y is not None:
            return y
    if any(low < 0 or high < 0 for low, high in padding):
        # The fast algorithm does not cut off: what a negative padding takes away goes beforehand.
        config = [(low, high, step - 1) for (low, high), step in zip(padding, lhs_dilation, strict=True)]
        x = lax.pad(x, x.dtype.type(0), [(0, 0, 0), *config, (0, 0, 0)])
        padding, lhs_dilation = ((0, 0),) * len(padding), (1,) * len(padding)
    return by_columns(x, w, padding=tuple(padding), lhs_dilation=tuple(lhs_dilation), **params)


def _by_groups(x: Any, w: Any, n_groups: int, *, dimension_numbers: Any, **params: Any) -> Any:
    """Groups of the batch, each convolved with its own windows, one after the other."""
    params |= {"dimension_numbers": dimension_numbers, "batch_group_count": 1}

    def of_one(pair: tuple[Any, Any]) -> Any:
        return channels_last(*pair, **params)

    x_axes, w_axes, y_axes = dimension_numbers
    groups = _divided(x, x_axes[0], n_groups), _divided(w, w_axes[0], n_groups)
    y = jnp.moveaxis(lax.map(of_one, groups), 0, y_axes[1])
    return lax.collapse(y, y_axes[1], y_axes[1] + 2)


def _divided(x: Any, axis: int, n_groups: int) -> Any:
    """The groups along an axis, as an axis before all others."""
    shape = (*x.shape[:axis], n_groups, x.shape[axis] // n_groups, *x.shape[axis + 1 :])
    return jnp.moveaxis(x.reshape(shape), axis, 0)
