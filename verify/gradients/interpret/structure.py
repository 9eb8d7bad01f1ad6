"""Primitives that only move entries about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.gradients.interpret.call import Call, Handler


def padded(x: NDArray[Any], fill: NDArray[Any], config: tuple[tuple[int, int, int], ...]) -> NDArray[Any]:
    """``lax.pad``: (low, high, interior) for every axis; negative low and high cut off."""
    sizes = [
        low + high + n + max(n - 1, 0) * interior for n, (low, high, interior) in zip(x.shape, config, strict=True)
    ]
    answer = np.empty(sizes, x.dtype)
    answer[...] = fill
    take, put = [], []
    for n, size, (low, _, interior) in zip(x.shape, sizes, config, strict=True):
        at = low + np.arange(n) * (interior + 1)
        kept = (at >= 0) & (at < size)
        take.append(np.arange(n)[kept])
        put.append(at[kept])
    if x.ndim == 0:
        return x.copy()
    answer[np.ix_(*put)] = x[np.ix_(*take)]
    return answer


def _broadcast(call: Call, x: Any, *_: Any) -> Any:
    shape, axes = call.out_shape, call.params["broadcast_dimensions"]

    def fn(v: NDArray[Any]) -> NDArray[Any]:
        lifted = [1] * len(shape)
        for axis, n in zip(axes, v.shape, strict=True):
            lifted[axis] = n
        return np.broadcast_to(v.reshape(lifted), shape)

    return call.rearrange(fn, x)


def _reshape(call: Call, x: Any, *_: Any) -> Any:
    axes = call.params.get("dimensions")
    return call.rearrange(lambda v: (v if axes is None else v.transpose(axes)).reshape(call.out_shape), x)


def _to_out_shape(call: Call, x: Any) -> Any:
    return call.rearrange(lambda v: v.reshape(call.out_shape), x)


def _transpose(call: Call, x: Any) -> Any:
    return call.rearrange(lambda v: v.transpose(call.params["permutation"]), x)


def _slice(call: Call, x: Any) -> Any:
    start, limit = call.params["start_indices"], call.params["limit_indices"]
    strides = call.params["strides"] or (1,) * len(start)
    where = tuple(slice(a, b, c) for a, b, c in zip(start, limit, strides, strict=True))
    return call.rearrange(lambda v: v[where], x)


def _reverse(call: Call, x: Any) -> Any:
    return call.rearrange(lambda v: np.flip(v, call.params["dimensions"]), x)


def _concatenate(call: Call, *xs: Any) -> Any:
    return call.rearrange(lambda *vs: np.concatenate(vs, axis=call.params["dimension"]), *xs)


def _pad(call: Call, x: Any, fill: Any) -> Any:
    return call.rearrange(lambda v, f: padded(v, f, tuple(call.params["padding_config"])), x, fill)


def _split(call: Call, x: Any) -> list[Any]:
    axis = call.params["axis"]
    ends = np.cumsum(call.params["sizes"])
    parts = []
    for end, size in zip(ends, call.params["sizes"], strict=True):
        where = (slice(None),) * axis + (slice(int(end - size), int(end)),)
        parts.append(call.rearrange(lambda v, where=where: v[where], x))
    return parts


def _stack(call: Call, *xs: Any) -> Any:
    return call.rearrange(lambda *vs: np.stack(vs, axis=call.params["axis"]), *xs)


def _unstack(call: Call, x: Any) -> list[Any]:
    axis = call.params["axis"]
    count = call.in_types[0].shape[axis]
    return [call.rearrange(lambda v, i=i: np.take(v, i, axis=axis), x) for i in range(count)]


def _tile(call: Call, x: Any) -> Any:
    return call.rearrange(lambda v: np.tile(v, call.params["reps"]), x)


def _zeros_like(call: Call, x: Any) -> Any:
    if call.floating:
        return call.algebra.constant(np.zeros(call.out_shape, np.int64))
    return np.zeros(call.out_shape, call.out_types[0].dtype)


def _empty(call: Call, *_: Any) -> Any:
    """Memory that nothing was written to: not a number, should anything read it."""
    if call.floating:
        return call.algebra.constant(np.full(call.out_shape, np.nan))
    return np.zeros(call.out_shape, call.out_types[0].dtype)


def _iota(call: Call, *_: Any) -> Any:
    shape, axis = call.out_shape, call.params["dimension"]
    lifted = [1] * len(shape)
    lifted[axis] = shape[axis]
    numbers = np.broadcast_to(np.arange(shape[axis]).reshape(lifted), shape)
    return call.algebra.constant(numbers) if call.floating else numbers.astype(call.out_types[0].dtype)


def _starts(call: Call, shape: tuple[int, ...], sizes: tuple[int, ...], starts: tuple[Any, ...]) -> tuple[slice, ...]:
    """The window, moved inside as XLA does."""
    where = []
    for n, size, start in zip(shape, sizes, starts, strict=True):
        at = min(max(int(start), 0), n - size)
        where.append(slice(at, at + size))
    return tuple(where)


def _dynamic_slice(call: Call, x: Any, *starts: Any) -> Any:
    where = _starts(call, call.in_types[0].shape, call.params["slice_sizes"], starts[: len(call.in_types[0].shape)])
    return call.rearrange(lambda v: v[where], x)


def _dynamic_update_slice(call: Call, x: Any, update: Any, *starts: Any) -> Any:
    where = _starts(call, call.in_types[0].shape, call.in_types[1].shape, starts)

    def fn(v: NDArray[Any], u: NDArray[Any]) -> NDArray[Any]:
        answer = v.copy()
        answer[where] = u
        return answer

    return call.rearrange(fn, x, update)


HANDLERS: dict[str, Handler] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _to_out_shape,
    "expand_dims": _to_out_shape,
    "transpose": _transpose,
    "slice": _slice,
    "rev": _reverse,
    "concatenate": _concatenate,
    "pad": _pad,
    "split": _split,
    "stack": _stack,
    "unstack": _unstack,
    "tile": _tile,
    "zeros_like": _zeros_like,
    "empty": _empty,
    "empty2": _empty,
    "iota": _iota,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
}
