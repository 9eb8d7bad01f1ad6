"""Convolutions in groups of channels, as convolutions of a few groups each.

XLA's CPU compiler has no fast algorithm for groups: 64 images of 28 x 28 x 32 in 16 groups take it 50 to 80 ms, and the
gradient of the window, in which the groups are of the batch, more. A convolution of its own for each group is better,
but a few channels do not fill up a product. So neighbouring groups are joined, up to 32 channels, as one convolution
whose window is zero between them,

    v[u, (a, c), (b, o)] = w[u, c, (a, o)] if a == b else 0,

or, where the groups are of the batch, of whose result the diagonal is wanted: as many times more multiplications as
groups are joined, in a tenth of the time. What is not finite spreads among the groups that are joined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

# Channels up to which groups are joined, and convolutions up to which each is an operation of its own for the compiler,
# which is up to 1.7 times as fast as a loop: both measured on two cores.
_WIDE = 32
_MOST = 8


def by_groups(
    x: Any,
    w: Any,
    convolve: Callable[..., Any],
    *,
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    **params: Any,
) -> Any:
    """A convolution in groups, of the channels or of the batch.

    Args:
        x: what is convolved, the left operand of a ``conv_general_dilated``.
        w: what it is convolved with.
        convolve: computes a convolution without groups, from the same arguments but this.
        dimension_numbers: of the ``conv_general_dilated``, as are the other parameters.
        feature_group_count: groups of the channels.
        batch_group_count: groups of the batch; one of the two is 1.
        **params: the others.

    Returns:
        The result; ``None`` if there are no groups.
    """
    x_axes, w_axes, y_axes = (tuple(spec) for spec in dimension_numbers)
    n_groups, is_of_batch = feature_group_count * batch_group_count, batch_group_count > 1
    if n_groups == 1:
        return None
    divided = x_axes[0] if is_of_batch else x_axes[1]
    channels = max(x.shape[divided], w.shape[w_axes[0]]) // n_groups
    joined = max(n for n in range(1, n_groups + 1) if n_groups % n == 0 and (n == 1 or n * channels <= _WIDE))
    params |= {"dimension_numbers": dimension_numbers, "feature_group_count": 1, "batch_group_count": 1}

    def of_one(pair: tuple[Any, Any]) -> Any:
        x, w = pair
        if is_of_batch:
            return _diagonal(convolve(x, w, **params), y_axes[0], y_axes[1], joined)
        return convolve(x, _block_diagonal(w, w_axes[1], w_axes[0], joined), **params)

    n_parts = n_groups // joined
    if n_parts <= _MOST:
        parts = zip(jnp.split(x, n_parts, divided), jnp.split(w, n_parts, w_axes[0]), strict=True)
        return lax.concatenate([of_one(part) for part in parts], y_axes[1])
    stacked = _stacked(x, divided, n_parts), _stacked(w, w_axes[0], n_parts)
    y = jnp.moveaxis(lax.map(of_one, stacked), 0, y_axes[1])
    return lax.collapse(y, y_axes[1], y_axes[1] + 2)


def _stacked(x: Any, axis: int, n_parts: int) -> Any:
    """The parts along an axis, as an axis before all others."""
    return jnp.moveaxis(x.reshape(*x.shape[:axis], n_parts, x.shape[axis] // n_parts, *x.shape[axis + 1 :]), axis, 0)


def _block_diagonal(w: Any, inner: int, outer: int, n_blocks: int) -> Any:
    """Windows of several groups as one: between the channels of different groups there are zeros."""
    own = _stacked(w, outer, n_blocks)
    same = jnp.eye(n_blocks, dtype=bool).reshape(n_blocks, n_blocks, *(1,) * w.ndim)
    blocks = jnp.where(same, own[None], jnp.zeros((), w.dtype))  # (group in, group out, *window)
    ahead = {inner: [0], outer: [1]}
    order = [place for axis in range(w.ndim) for place in (*ahead.get(axis, []), axis + 2)]
    shape = [n_blocks * n if axis == inner else n for axis, n in enumerate(w.shape)]
    return lax.transpose(blocks, order).reshape(shape)


def _diagonal(y: Any, batch: int, channel: int, n_blocks: int) -> Any:
    """Of all groups of the batch with the windows of all groups, each with its own."""
    groups = jnp.split(y, n_blocks, batch)
    own = [jnp.split(group, n_blocks, channel)[i] for i, group in enumerate(groups)]
    return lax.concatenate(own, channel)
