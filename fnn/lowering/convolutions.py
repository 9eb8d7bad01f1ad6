"""Convolutions in the one layout that XLA's CPU compiler has a fast algorithm for: batch, spatial axes, channels.

Outside of loops the compiler brings a convolution into this layout itself; within the body of a loop it does not, and
runs what differentiation makes of a convolution by a naive algorithm, some 16 times slower (jax issue 12868).

What is transposed is kept apart from what it comes from: the compiler would otherwise compute it once more in the order
of the transposition, pooling and activation included, number by number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from jax import lax

from fnn.lowering.apart import apart
from fnn.lowering.columns import by_columns
from fnn.lowering.depthwise import by_taps, window_gradient
from fnn.lowering.dilated import compact
from fnn.lowering.direct import by_kernel, window_gradient_by_kernel
from fnn.lowering.grouped import by_groups
from fnn.lowering.pointwise import as_product
from fnn.lowering.winograd import by_points


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
    """A convolution by a matrix product, or by convolutions with channels last and transpositions around them.

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
        The result, in a faster form where one is known (:mod:`fnn.lowering.pointwise`, ``grouped``, ``depthwise``,
        ``dilated``, ``direct``, ``winograd``, ``columns``); ``None`` for other than one or two spatial axes, unless it
        is a product.
    """
    params |= {"dimension_numbers": dimension_numbers, "padding": padding, "lhs_dilation": lhs_dilation}
    params |= {"batch_group_count": batch_group_count, "feature_group_count": feature_group_count}
    y, n_axes = as_product(x, w, **params), len(padding)
    if y is not None or n_axes not in (1, 2):
        return y
    if batch_group_count != 1:
        y = window_gradient(x, w, **params)
        return by_groups(x, w, channels_last, **params) if y is None else y
    y = window_gradient_by_kernel(x, w, convolve=_transposed_by_xla, **params)
    return _transposed(x, w, convolved=_convolved, **params) if y is None else y


def _transposed(x: Any, w: Any, *, convolved: Callable[..., Any], dimension_numbers: Any, **params: Any) -> Any:
    """A convolution by one with channels last."""
    x_axes, w_axes, y_axes = (tuple(spec) for spec in dimension_numbers)
    n_axes = len(x_axes) - 2
    data = (0, n_axes + 1, *range(1, n_axes + 1))
    weights = (n_axes + 1, n_axes, *range(n_axes))
    params["dimension_numbers"] = lax.ConvDimensionNumbers(data, weights, data)
    if (x_axes, w_axes, y_axes) == (data, weights, data):
        return convolved(x, w, **params)
    x, w = apart(x), apart(w)
    x = lax.transpose(x, (x_axes[0], *x_axes[2:], x_axes[1]))
    w = lax.transpose(w, (*w_axes[2:], w_axes[1], w_axes[0]))
    y = convolved(x, w, **params)
    places = dict(zip(y_axes, (0, n_axes + 1, *range(1, n_axes + 1)), strict=True))
    return lax.transpose(y, tuple(places[axis] for axis in range(n_axes + 2)))


def _convolved(x: Any, w: Any, **params: Any) -> Any:
    """A convolution with channels last, in its fastest form.

    Each form but the last two is for convolutions of one kind, and computes by convolutions of other kinds, if any.
    """
    of_kinds = as_product, by_taps, partial(by_groups, convolve=_convolved), partial(compact, convolve=_convolved)
    for form in (*of_kinds, partial(by_kernel, convolve=_by_xla)):
        y = form(x, w, **params)
        if y is not None:
            return y
    return _by_xla(x, w, **params)


def _by_xla(x: Any, w: Any, *, padding: Any, lhs_dilation: Any, **params: Any) -> Any:
    """A convolution with channels last, with those that XLA has."""
    if any(low < 0 or high < 0 for low, high in padding):
        # The fast algorithm does not cut off: what a negative padding takes away goes beforehand.
        config = [(low, high, step - 1) for (low, high), step in zip(padding, lhs_dilation, strict=True)]
        x = lax.pad(x, x.dtype.type(0), [(0, 0, 0), *config, (0, 0, 0)])
        padding, lhs_dilation = ((0, 0),) * len(padding), (1,) * len(padding)
    given = {"padding": tuple(padding), "lhs_dilation": tuple(lhs_dilation), **params}
    y = by_points(x, w, **given)
    return by_columns(x, w, **given) if y is None else y


def _transposed_by_xla(x: Any, w: Any, **params: Any) -> Any:
    return _transposed(x, w, convolved=_by_xla, **params)
