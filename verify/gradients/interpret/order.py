"""Maxima, sorting, pooling by maximum, running sums and products: whatever follows an order along an axis."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.algebra.plain import Unsupported
from verify.gradients.interpret.call import Call, Handler, tree
from verify.gradients.interpret.indexing import add_at
from verify.gradients.interpret.linear import window_axes, windowed


def _along(call: Call, combine: Callable[[Any, Any], Any], x: Any, length: int, rest: tuple[int, ...]) -> Any:
    """Reduce the leading axis."""
    result = tree(combine, lambda v, where: call.algebra.rearrange(lambda w: w[where], v), x, length)
    return call.algebra.rearrange(lambda v: v.reshape(rest), result)


def _reduce_extremum(name: str) -> Handler:
    def handler(call: Call, x: Any) -> Any:
        axes = tuple(int(axis) for axis in call.params["axes"])
        if not call.floating:
            return np.asarray((np.max if name == "max" else np.min)(x, axis=axes))
        shape = call.in_types[0].shape
        length = prod(shape[axis] for axis in axes)
        if length == 0:
            return call.algebra.constant(np.full(call.out_shape, -np.inf if name == "max" else np.inf))
        front = call.rearrange(lambda v: np.moveaxis(v, axes, range(len(axes))).reshape((length, *call.out_shape)), x)
        return _along(call, call.larger if name == "max" else call.smaller, front, length, call.out_shape)

    return handler


def _reduce_logic(combine: Any) -> Handler:
    def handler(call: Call, x: Any) -> NDArray[Any]:
        if x.dtype == object:
            raise Unsupported("a condition that is not decided")
        return np.asarray(combine.reduce(x, axis=tuple(call.params["axes"])))

    return handler


def _descending(call: Call, x: Any, axis: int) -> NDArray[np.intp]:
    return call.algebra.order(-x, axis)


def _arg_extremum(name: str) -> Handler:
    def handler(call: Call, x: Any) -> NDArray[Any]:
        (axis,) = call.params["axes"]
        dtype = call.out_types[0].dtype
        if not call.in_types[0].floating:
            return np.asarray((np.argmax if name == "max" else np.argmin)(x, axis=axis)).astype(dtype)
        if call.observer is not None:
            call.observer(call.step, "order", x, None)
        order = _descending(call, x, axis) if name == "max" else call.algebra.order(x, axis)
        return np.asarray(np.take(order, 0, axis=axis)).astype(dtype)

    return handler


def _permuted(call: Call, x: Any, order: NDArray[np.intp], axis: int, floating: bool) -> Any:
    def fn(v: NDArray[Any]) -> NDArray[Any]:
        return np.take_along_axis(v, order, axis)

    return call.algebra.rearrange(fn, x) if floating else fn(np.asarray(x))


def _sort(call: Call, *xs: Any) -> list[Any]:
    axis = call.params["dimension"]
    order: NDArray[np.intp] | None = None
    for key in reversed(range(call.params["num_keys"])):
        floating = call.in_types[key].floating
        x = xs[key] if order is None else _permuted(call, xs[key], order, axis, floating)
        if floating and call.observer is not None:
            call.observer(call.step, "order", x, None)
        finer = call.algebra.order(x, axis) if floating else np.argsort(x, axis=axis, kind="stable")
        order = finer if order is None else np.take_along_axis(order, finer, axis)
    assert order is not None
    return [_permuted(call, x, order, axis, kind.floating) for x, kind in zip(xs, call.in_types, strict=True)]


def _top_k(call: Call, x: Any) -> list[Any]:
    count = call.params["k"]
    axis = call.params.get("axis", call.params.get("operand_axis", -1)) % len(call.in_types[0].shape)
    if not call.floating:
        order = np.argsort(-np.asarray(x, np.int64), axis=axis, kind="stable")
    else:
        if call.observer is not None:
            call.observer(call.step, "order", x, None)
        order = _descending(call, x, axis)
    order = np.take(order, np.arange(count), axis=axis)
    return [_permuted(call, x, order, axis, call.floating), order.astype(call.out_types[1].dtype)]


def _window_extremum(name: str) -> Handler:
    def handler(call: Call, x: Any) -> Any:
        if not call.floating:
            raise Unsupported("pooling of integers")
        axes = window_axes(call)
        length = prod(axis.window for axis in axes)
        outside = any((axis.indices() == axis.size).any() for axis in axes)
        fill = call.algebra.constant(np.array((-np.inf if name == "max" else np.inf) if outside else 0.0))
        front = call.rearrange(lambda v: _window_first(v, len(axes), length), windowed(call, axes, x, fill))
        return _along(call, call.larger if name == "max" else call.smaller, front, length, call.out_shape)

    return handler


def _window_first(v: NDArray[Any], count: int, length: int) -> NDArray[Any]:
    """(places, window, places, window, ...) -> (window entries, *places)."""
    places = tuple(v.shape[2 * d] for d in range(count))
    return v.transpose([2 * d + 1 for d in range(count)] + [2 * d for d in range(count)]).reshape((length, *places))


def _select_and_scatter_add(call: Call, source: Any, operand: Any) -> Any:
    """The transpose of pooling by maximum: each source entry goes where its window's winner was."""
    relation, algebra = str(call.params["select_prim"]), call.algebra
    shape = call.in_types[1].shape
    axes = window_axes(call, shape)
    length = prod(axis.window for axis in axes)
    places = call.in_types[0].shape
    size = prod(shape)
    flat = np.arange(size).reshape(shape)
    at = flat
    at = np.pad(at, [(0, 1)] * len(shape), constant_values=size)
    for d, axis in enumerate(axes):
        at = np.take(at, axis.indices(), axis=2 * d)
    at = _window_first(at, len(axes), length)  # flat positions, or ``size`` in the padding
    outside = bool((at == size).any())
    worst = -np.inf if relation.startswith("g") else np.inf
    fill = algebra.constant(np.array(worst if outside else 0.0))
    front = algebra.rearrange(lambda v: _window_first(v, len(axes), length), windowed(call, axes, operand, fill))
    entries = [algebra.rearrange(lambda v, i=i: v[i], front) for i in range(length)]
    best, winner = entries[0], at[0]
    weights: list[Any] | None = None
    for i in range(1, length):
        keep = call.compare(relation, best, entries[i])
        if keep.dtype == object:  # not decided: the source is shared out by indicators
            weights = weights or [np.ones_like(keep)]
            weights = [weight * keep for weight in weights] + [1 - keep]
        else:
            keep = keep & (winner != size) | (at[i] == size)
            winner = np.where(keep, winner, at[i])
        best = algebra.select(keep, [entries[i], best])
    result = algebra.constant(np.zeros(shape, np.int64))
    shares = [(winner, source)]
    if weights is not None:
        shares = [(at[i], source * algebra.constant(weight)) for i, weight in enumerate(weights)]
    for target, share in shares:
        inside = (target != size).ravel()
        entries_in = algebra.rearrange(lambda v, inside=inside: v.ravel()[inside], share)
        result = add_at(call, result, target.ravel()[inside], entries_in)
    assert places == target.shape
    return result


def _running(combine_name: str) -> Handler:
    plain: dict[str, Any] = {
        "sum": np.cumsum,
        "prod": np.cumprod,
        "max": np.maximum.accumulate,
        "min": np.minimum.accumulate,
    }

    def handler(call: Call, x: Any) -> Any:
        axis, reverse = call.params["axis"], call.params["reverse"]
        if not call.floating:
            v = np.flip(x, axis) if reverse else x
            v = np.asarray(plain[combine_name](v, axis=axis)).astype(call.out_types[0].dtype)
            return np.flip(v, axis) if reverse else v
        f = call.algebra.function
        combine: Callable[[Any, Any], Any] = {
            "sum": lambda a, b: a + b,
            "prod": lambda a, b: a * b,
            "max": call.larger,
            "min": call.smaller,
            "logsumexp": lambda a, b: f("log", f("exp", a) + f("exp", b)),
        }[combine_name]
        length = call.out_shape[axis]
        places = range(length - 1, -1, -1) if reverse else range(length)
        parts: dict[int, Any] = {}
        total: Any = None
        for i in places:
            entry = call.rearrange(lambda v, i=i: np.take(v, i, axis=axis), x)
            total = entry if total is None else combine(total, entry)
            parts[i] = total
        if length == 0:
            return x
        return call.rearrange(lambda *vs: np.stack(vs, axis=axis), *[parts[i] for i in range(length)])

    return handler


HANDLERS: dict[str, Handler] = {
    "reduce_max": _reduce_extremum("max"),
    "reduce_min": _reduce_extremum("min"),
    "reduce_and": _reduce_logic(np.logical_and),
    "reduce_or": _reduce_logic(np.logical_or),
    "argmax": _arg_extremum("max"),
    "argmin": _arg_extremum("min"),
    "sort": _sort,
    "top_k": _top_k,
    "reduce_window_max": _window_extremum("max"),
    "reduce_window_min": _window_extremum("min"),
    "select_and_scatter_add": _select_and_scatter_add,
    "cumsum": _running("sum"),
    "cumprod": _running("prod"),
    "cummax": _running("max"),
    "cummin": _running("min"),
    "cumlogsumexp": _running("logsumexp"),
}
