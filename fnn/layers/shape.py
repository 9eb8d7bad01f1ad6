"""Layers that only rearrange or repeat."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array

from fnn.errors import expect
from fnn.layers.convolution import per_axis
from fnn.layers.lift import stateless
from fnn.types import Model, Params


def flatten() -> Model:
    """One axis of features for all axes but the first: from images to the inputs of a dense layer.

    Returns:
        A model from ``(batch, ...)`` to ``(batch, features)``, without parameters.

    Raises:
        InputError: in use, ``x`` has no axes.

    Example:
        >>> import jax.numpy as jnp
        >>> flatten().apply({}, {}, jnp.ones((5, 8, 8, 1)))[0].shape
        (5, 64)
    """

    def forward(params: Params, x: Array) -> Array:
        expect(x.ndim >= 1, "flatten", "x with at least one axis", f"x.shape == {x.shape}")
        # Not reshape(n, -1): that cannot tell the number of features when there are no examples.
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))

    return stateless("flatten", lambda key, x: {}, forward)


def reshape(shape: Sequence[int]) -> Model:
    """Gives each example another shape: from the outputs of a dense layer to images.

    Args:
        shape: of one example, without the batch axis; sizes of at least 1.

    Returns:
        A model from ``(batch, ...)`` to ``(batch, *shape)``, without parameters.

    Raises:
        InputError: a size is less than 1; in use, the examples of ``x`` have another number of entries.

    Example:
        >>> reshape((8, 8, 1)).apply({}, {}, jnp.ones((5, 64)))[0].shape
        (5, 8, 8, 1)
    """
    sizes = tuple(shape)
    expect(all(size >= 1 for size in sizes), "reshape", "sizes of at least 1", f"shape == {sizes}")

    def forward(params: Params, x: Array) -> Array:
        fits = x.ndim >= 1 and math.prod(x.shape[1:]) == math.prod(sizes)
        expect(fits, "reshape", f"{math.prod(sizes)} entries per example, for {sizes}", f"x.shape == {x.shape}")
        return x.reshape(x.shape[0], *sizes)

    return stateless("reshape", lambda key, x: {}, forward)


def upsample(factor: Sequence[int] = (2, 2)) -> Model:
    """Repeats every place along each spatial axis: the nearest neighbour, where pooling made images smaller.

    Args:
        factor: how often, along each spatial axis; its length is the number of spatial axes.

    Returns:
        A model from ``(batch, *spatial, channels)`` to the same with each spatial size times its factor.

    Raises:
        InputError: a factor is less than 1; in use, ``x`` has another rank.

    Example:
        >>> upsample((2,)).apply({}, {}, jnp.array([[[1.0], [2.0]]]))[0].reshape(-1).tolist()
        [1.0, 1.0, 2.0, 2.0]
    """
    times = per_axis("upsample", "factor", factor, len(factor))
    expect(len(times) >= 1, "upsample", "at least one axis in factor", f"factor == {times}")

    def forward(params: Params, x: Array) -> Array:
        fits = x.ndim == len(times) + 2
        expect(fits, "upsample", f"x of shape (batch, {len(times)} spatial axes, channels)", f"x.shape == {x.shape}")
        for axis, count in enumerate(times, start=1):
            x = jnp.repeat(x, count, axis=axis)
        return x

    return stateless("upsample", lambda key, x: {}, forward)
