"""Gather and scatter, by way of flat positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from verify.algebra.plain import Unsupported
from verify.gradients.interpret.call import Call, Handler

Mode = jax.lax.GatherScatterMode


def positions(
    indices: NDArray[Any],
    operand: tuple[int, ...],
    slice_sizes: Sequence[int],
    shape: tuple[int, ...],
    window_axes: Sequence[int],
    dropped: Sequence[int],
    start_axes: Sequence[int],
    operand_batch: Sequence[int],
    index_batch: Sequence[int],
    mode: Any,
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The flat position in the operand of every entry of a gather's result (a scatter's update), and whether it exists.

    Args:
        indices: start indices, their last axis the index vector.
        operand: the operand's shape.
        slice_sizes: of the window, for every operand axis.
        shape: of the result; ``window_axes`` of it run inside the window, the others over ``indices``.
        dropped: operand axes of size 1 that the result lacks.
        start_axes: the operand axis of each component of the index vector.
        operand_batch, index_batch: axes that run in step.
        mode: what happens out of bounds.
    """
    batch_shape = indices.shape[:-1]
    starts = np.zeros((*batch_shape, len(operand)), np.int64)
    for component, axis in enumerate(start_axes):
        starts[..., axis] = indices[..., component]
    for axis, along in zip(operand_batch, index_batch, strict=True):
        lifted = [1] * len(batch_shape)
        lifted[along] = -1
        starts[..., axis] = np.arange(batch_shape[along]).reshape(lifted)
    last = np.array(operand, np.int64) - np.array(slice_sizes, np.int64)
    exists = ((starts >= 0) & (starts <= last)).all(axis=-1)
    if mode != Mode.FILL_OR_DROP:
        if mode == Mode.PROMISE_IN_BOUNDS and not exists.all():
            raise Unsupported("an index out of bounds that was promised to be inside")
        exists = np.ones_like(exists)
    starts = np.clip(starts, 0, np.maximum(last, 0))
    outer = [axis for axis in range(len(shape)) if axis not in window_axes]
    inner = [axis for axis in range(len(operand)) if axis not in (*dropped, *operand_batch)]
    strides = np.append(np.cumprod(operand[:0:-1])[::-1], 1).astype(np.int64) if operand else np.zeros(0, np.int64)
    lifted_batch = [1] * len(shape)
    for axis, n in zip(outer, batch_shape, strict=True):
        lifted_batch[axis] = n
    flat = (starts * strides).sum(axis=-1).reshape(lifted_batch)
    for axis, window_axis in zip(inner, window_axes, strict=True):
        lifted = [1] * len(shape)
        lifted[window_axis] = -1
        flat = flat + (np.arange(slice_sizes[axis]) * strides[axis]).reshape(lifted)
    valid = np.broadcast_to(exists.reshape(lifted_batch), shape)
    return np.broadcast_to(flat, shape).astype(np.intp), np.asarray(valid)


def _gather(call: Call, x: Any, indices: Any) -> Any:
    numbers, mode = call.params["dimension_numbers"], Mode.from_any(call.params["mode"])
    flat, valid = positions(
        np.asarray(indices),
        call.in_types[0].shape,
        call.params["slice_sizes"],
        call.out_shape,
        numbers.offset_dims,
        numbers.collapsed_slice_dims,
        numbers.start_index_map,
        numbers.operand_batching_dims,
        numbers.start_indices_batching_dims,
        mode,
    )
    if valid.all():
        return call.rearrange(lambda v: v.ravel()[flat], x)
    fill = call.params["fill_value"]
    if call.floating:
        missing = call.algebra.constant(np.array(np.nan if fill is None else fill, np.float64))
    else:
        dtype = call.out_types[0].dtype
        smallest = np.array(np.iinfo(dtype).min if np.issubdtype(dtype, np.signedinteger) else np.iinfo(dtype).max)
        missing = np.array(smallest if fill is None else fill, dtype)
    safe = np.where(valid, flat, 0)
    return call.rearrange(lambda v, f: np.where(valid, v.ravel()[safe], f), x, missing)


def _targets(call: Call, x: Any, indices: Any, updates: Any) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    numbers = call.params["dimension_numbers"]
    operand, window = call.in_types[0].shape, list(numbers.update_window_dims)
    sizes = []
    remaining = list(window)
    for axis in range(len(operand)):
        gone = axis in numbers.inserted_window_dims or axis in numbers.operand_batching_dims
        sizes.append(1 if gone else call.in_types[2].shape[remaining.pop(0)])
    return positions(
        np.asarray(indices),
        operand,
        sizes,
        call.in_types[2].shape,
        window,
        numbers.inserted_window_dims,
        numbers.scatter_dims_to_operand_dims,
        numbers.operand_batching_dims,
        numbers.scatter_indices_batching_dims,
        Mode.from_any(call.params["mode"]),
    )


def put(v: NDArray[Any], at: NDArray[np.intp], updates: NDArray[Any]) -> NDArray[Any]:
    """``v`` with new entries at flat positions."""
    answer = v.copy().ravel()
    answer[at] = updates
    return answer.reshape(v.shape)


def _scatter(call: Call, x: Any, indices: Any, updates: Any) -> Any:
    flat, valid = _targets(call, x, indices, updates)
    at = flat[valid]
    if np.unique(at).size != at.size:
        same = call.floating
        if same:
            raise Unsupported("an assignment of two values to one entry")
    return call.rearrange(lambda v, u: put(v, at, u[valid]), x, updates)


def add_at(call: Call, x: Any, at: NDArray[np.intp], updates: Any) -> Any:
    """``x`` with the entries of ``updates`` (one axis) added at flat positions, which may repeat."""
    if at.size == 0:
        return x
    order = np.argsort(at, kind="stable")
    distinct, first, counts = np.unique(at[order], return_index=True, return_counts=True)
    rank = np.arange(at.size) - np.repeat(first, counts)
    row = np.repeat(np.arange(distinct.size), counts)

    def table(u: NDArray[Any], zero: NDArray[Any]) -> NDArray[Any]:
        answer = np.empty((distinct.size, int(np.max(counts))), u.dtype)
        answer[...] = zero
        answer[row, rank] = u[order]
        return answer

    algebra = call.algebra
    sums = algebra.sum(algebra.rearrange(table, updates, call.zero()), (1,))
    new = algebra.rearrange(lambda v: v.ravel()[distinct], x) + sums
    return algebra.rearrange(lambda v, u: put(v, distinct, u), x, new)


def _scatter_add(call: Call, x: Any, indices: Any, updates: Any) -> Any:
    flat, valid = _targets(call, x, indices, updates)
    if not call.floating:
        answer = np.array(x).ravel()
        np.add.at(answer, flat[valid], np.asarray(updates)[valid])
        return answer.reshape(call.out_shape)
    return add_at(call, x, flat[valid], call.rearrange(lambda u: u[valid], updates))


def _scatter_sub(call: Call, x: Any, indices: Any, updates: Any) -> Any:
    return _scatter_add(call, x, indices, -updates)


def _scatter_multiply(call: Call, x: Any, indices: Any, updates: Any) -> Any:
    flat, valid = _targets(call, x, indices, updates)
    at = flat[valid]
    if np.unique(at).size != at.size:
        raise Unsupported("several factors for one entry")
    new = call.rearrange(lambda v: v.ravel()[at], x) * call.rearrange(lambda u: u[valid], updates)
    return call.rearrange(lambda v, u: put(v, at, u), x, new)


HANDLERS: dict[str, Handler] = {
    "gather": _gather,
    "scatter": _scatter,
    "scatter-add": _scatter_add,
    "scatter_add": _scatter_add,
    "scatter-sub": _scatter_sub,
    "scatter_sub": _scatter_sub,
    "scatter-mul": _scatter_multiply,
    "scatter_mul": _scatter_multiply,
}
