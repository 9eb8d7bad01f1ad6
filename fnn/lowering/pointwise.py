"""Convolutions that are matrix products: with windows of one place, and with windows that fit in one place only.

The first mix the channels of each place by itself; with strides, XLA's CPU compiler computes them by way of matrices of
what each window sees all the same. The second are, besides dense layers in disguise, the weight gradients of the first:
the image is the window of the other, dilated by the stride, and

    dw[c, o] = sum over n, p of x[n, d p, c] g[n, p, o]

one product. 128 x 32 x 32 x 16 to 32 channels, stride 2, with both gradients: 5.3 ms as convolutions, 1.2 as products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax import lax

from fnn.lowering.products import plain_product

Axes = tuple[int, ...]


def as_product(
    x: Any,
    w: Any,
    *,
    dimension_numbers: Any,
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    window_strides: Sequence[int],
    rhs_dilation: Sequence[int],
    feature_group_count: int,
    batch_group_count: int,
    precision: Any,
    preferred_element_type: Any,
    **_: Any,
) -> Any:
    """A convolution by one matrix product.

    Args:
        x: what is convolved, the left operand of a ``conv_general_dilated``.
        w: what it is convolved with.
        dimension_numbers: of the ``conv_general_dilated``, as are the other parameters.
        padding: pairs, one per spatial axis; negative ones cut off.
        lhs_dilation: one number per spatial axis, as are the next two.
        window_strides: steps of the window.
        rhs_dilation: distances of its taps.
        feature_group_count: groups of the channels.
        batch_group_count: groups of the batch.
        precision: of the product.
        preferred_element_type: dtype of the result; ``None`` for that of ``x``.

    Returns:
        The result; ``None`` if it is no product: it has groups, zeros between the numbers of ``x``, several taps and
        several places, or no place at all.
    """
    x_axes, w_axes, y_axes = (tuple(spec) for spec in dimension_numbers)
    taps = [w.shape[axis] for axis in w_axes[2:]]
    sizes = [x.shape[axis] + low + high for axis, (low, high) in zip(x_axes[2:], padding, strict=True)]
    extents = [(k - 1) * d + 1 for k, d in zip(taps, rhs_dilation, strict=True)]
    is_plain = feature_group_count == batch_group_count == 1 and {*lhs_dilation} == {1}
    if not is_plain or 0 in taps or any(n < k for n, k in zip(sizes, extents, strict=True)):
        return None
    places = [(n - k) // step + 1 for n, k, step in zip(sizes, extents, window_strides, strict=True)]
    if {*taps} != {1} and {*places} != {1}:
        return None
    product = {"precision": precision, "preferred_element_type": preferred_element_type}
    if {*taps} == {1}:
        return _of_places(_seen(x, x_axes[2:], padding, places, window_strides), w, x_axes, w_axes, y_axes, product)
    return _of_windows(_seen(x, x_axes[2:], padding, taps, rhs_dilation), w, x_axes, w_axes, y_axes, product)


def _of_places(x: Any, w: Any, x_axes: Axes, w_axes: Axes, y_axes: Axes, product: dict[str, Any]) -> Any:
    """Each place by itself: the sum is over channels."""
    w = lax.squeeze(lax.transpose(w, (*w_axes[2:], w_axes[1], w_axes[0])), range(x.ndim - 2))
    y = lax.dot_general(x, w, (((x_axes[1],), (0,)), ((), ())), **product)
    come_from = [*(axis for axis in range(x.ndim) if axis != x_axes[1]), x_axes[1]]  # of x, for each axis of y
    wanted = dict(zip(y_axes, x_axes, strict=True))
    return lax.transpose(y, [come_from.index(wanted[axis]) for axis in range(x.ndim)])


def _of_windows(x: Any, w: Any, x_axes: Axes, w_axes: Axes, y_axes: Axes, product: dict[str, Any]) -> Any:
    """All that there is of each example: the sum is over channels and places."""
    left, right = zip(*sorted(zip(x_axes[1:], w_axes[1:], strict=True)), strict=True)
    numbers = ((left, right), ((), ()))
    y = plain_product(
        x, w, None, None, dimension_numbers=numbers, flipped=y_axes[0] > y_axes[1], **product, out_sharding=None
    )
    if y is None:
        y = lax.dot_general(x, w, numbers, **product)
    y = y if y_axes[0] < y_axes[1] else y.T
    return lax.expand_dims(y, y_axes[2:])


def _seen(x: Any, axes: Sequence[int], padding: Any, counts: Sequence[int], steps: Sequence[int]) -> Any:
    """Of each of the axes so many numbers, a step apart, from its padding on."""
    config, limits, strides = [(0, 0, 0)] * x.ndim, list(x.shape), [1] * x.ndim
    for axis, (low, high), count, step in zip(axes, padding, counts, steps, strict=True):
        config[axis] = (low, high, 0)
        limits[axis], strides[axis] = (count - 1) * step + 1, step
    return lax.slice(lax.pad(x, x.dtype.type(0), config), [0] * x.ndim, limits, strides)
