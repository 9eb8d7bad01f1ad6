"""Sums, products of matrices, convolutions, window sums: everything that is linear in each operand."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.algebra.plain import Unsupported
from verify.gradients.interpret.call import Call, Handler, tree
from verify.gradients.interpret.structure import padded
from verify.gradients.interpret.windows import Axis


def _reduce_sum(call: Call, x: Any) -> Any:
    axes = tuple(int(axis) for axis in call.params["axes"])
    if not call.floating:
        return np.asarray(np.sum(x, axis=axes, dtype=call.out_types[0].dtype))
    return call.algebra.sum(x, axes) if axes else x


def _reduce_prod(call: Call, x: Any) -> Any:
    axes = tuple(int(axis) for axis in call.params["axes"])
    if not call.floating:
        return np.asarray(np.prod(x, axis=axes, dtype=call.out_types[0].dtype))
    length = prod(call.in_types[0].shape[axis] for axis in axes)
    if length == 0:
        return call.algebra.constant(np.ones(call.out_shape, np.int64))
    front = call.rearrange(lambda v: np.moveaxis(v, axes, range(len(axes))).reshape((length, *call.out_shape)), x)
    product = tree(lambda a, b: a * b, lambda v, where: call.rearrange(lambda w: w[where], v), front, length)
    return call.rearrange(lambda v: v[0], product)


def _dot_general(call: Call, x: Any, y: Any) -> Any:
    (x_inner, y_inner), (x_batch, y_batch) = call.params["dimension_numbers"]
    x_shape, y_shape = call.in_types[0].shape, call.in_types[1].shape
    x_outer = [a for a in range(len(x_shape)) if a not in (*x_inner, *x_batch)]
    y_outer = [a for a in range(len(y_shape)) if a not in (*y_inner, *y_batch)]
    batch, inner = prod(x_shape[a] for a in x_batch), prod(x_shape[a] for a in x_inner)
    m, n = prod(x_shape[a] for a in x_outer), prod(y_shape[a] for a in y_outer)

    def left(v: NDArray[Any]) -> NDArray[Any]:
        return v.transpose([*x_batch, *x_outer, *x_inner]).reshape((batch, m, inner))

    def right(v: NDArray[Any]) -> NDArray[Any]:
        return v.transpose([*y_batch, *y_inner, *y_outer]).reshape((batch, inner, n))

    if not call.floating:
        return np.matmul(left(x), right(y)).reshape(call.out_shape).astype(call.out_types[0].dtype)
    if inner == 0:
        return call.algebra.constant(np.zeros(call.out_shape, np.int64))
    x, y = (v if t.floating else call.algebra.constant(v) for v, t in zip((x, y), call.in_types, strict=True))
    product = call.algebra.matmul(call.algebra.rearrange(left, x), call.algebra.rearrange(right, y))
    return call.rearrange(lambda v: v.reshape(call.out_shape), product)


def _convolution(call: Call, x: Any, kernel: Any) -> Any:
    if not call.floating:
        raise Unsupported("a convolution of integers")
    params = call.params
    numbers = params["dimension_numbers"]
    x_shape = [call.in_types[0].shape[a] for a in numbers.lhs_spec]  # (batch, channels, *space)
    k_shape = [call.in_types[1].shape[a] for a in numbers.rhs_spec]  # (out, channels of one group, *space)
    space = len(x_shape) - 2
    axes = [
        Axis(n, k, stride, low, high, base, window)
        for n, k, stride, (low, high), base, window in zip(
            x_shape[2:],
            k_shape[2:],
            params["window_strides"],
            params["padding"],
            params["lhs_dilation"],
            params["rhs_dilation"],
            strict=True,
        )
    ]
    feature_groups, batch_groups = params["feature_group_count"], params["batch_group_count"]
    groups = feature_groups * batch_groups
    counts, windows = [axis.count for axis in axes], [axis.window for axis in axes]
    rows, out = x_shape[0] // batch_groups, k_shape[0]
    channels = x_shape[1] // feature_groups

    def patches(v: NDArray[Any], zero: NDArray[Any]) -> NDArray[Any]:
        """(groups, rows * places, channels * window)."""
        v = v.transpose(numbers.lhs_spec)
        v = padded(v, zero, ((0, 0, 0), (0, 0, 0), *((0, 1, 0) for _ in axes)))
        for d, axis in enumerate(axes):  # each space axis becomes (places, window)
            v = np.take(v, axis.indices(), axis=2 + 2 * d)
        v = v.reshape((batch_groups, rows, feature_groups, channels, *v.shape[2:]))
        places, inside = [4 + 2 * d for d in range(space)], [5 + 2 * d for d in range(space)]
        v = v.transpose([0, 2, 1, *places, 3, *inside])
        return v.reshape((groups, rows * prod(counts), channels * prod(windows)))

    def weights(v: NDArray[Any]) -> NDArray[Any]:
        """(groups, channels * window, out / groups)."""
        v = v.transpose(numbers.rhs_spec).reshape((groups, out // groups, channels * prod(windows)))
        return v.transpose(0, 2, 1)

    def arranged(v: NDArray[Any]) -> NDArray[Any]:
        v = v.reshape((groups, rows, *counts, out // groups))
        v = np.moveaxis(v, (1, 0, space + 2), (0, 1, 2)).reshape((rows, out, *counts))
        return v.transpose(np.argsort(numbers.out_spec))

    product = call.algebra.matmul(
        call.algebra.rearrange(patches, x, call.zero()), call.algebra.rearrange(weights, kernel)
    )
    return call.rearrange(arranged, product)


def _window_sum(call: Call, x: Any) -> Any:
    if not call.floating:
        raise Unsupported("a window sum of integers")
    axes = window_axes(call)
    inside = tuple(2 * d + 1 for d in range(len(axes)))
    return call.algebra.sum(windowed(call, axes, x, call.zero()), inside)


def window_axes(call: Call, shape: tuple[int, ...] | None = None) -> list[Axis]:
    """The axes of a reduce_window primitive."""
    params, n = call.params, shape or call.in_types[0].shape
    ones = (1,) * len(n)
    return [
        Axis(size, window, stride, low, high, base, dilation)
        for size, window, stride, (low, high), base, dilation in zip(
            n,
            params["window_dimensions"],
            params["window_strides"],
            params["padding"],
            params.get("base_dilation", ones),
            params.get("window_dilation", ones),
            strict=True,
        )
    ]


def windowed(call: Call, axes: list[Axis], x: Any, fill: Any) -> Any:
    """Every axis of ``x`` becomes (places, window); padding is ``fill``."""

    def fn(v: NDArray[Any], f: NDArray[Any]) -> NDArray[Any]:
        v = padded(v, f, tuple((0, 1, 0) for _ in axes))
        for d, axis in enumerate(axes):
            v = np.take(v, axis.indices(), axis=2 * d)
        return v

    return call.algebra.rearrange(fn, x, fill)


HANDLERS: dict[str, Handler] = {
    "reduce_sum": _reduce_sum,
    "reduce_prod": _reduce_prod,
    "dot_general": _dot_general,
    "conv_general_dilated": _convolution,
    "reduce_window_sum": _window_sum,
}
