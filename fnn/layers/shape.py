"""Layers that only rearrange."""

from __future__ import annotations

import math

from jaxtyping import Array

from fnn.errors import expect
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
