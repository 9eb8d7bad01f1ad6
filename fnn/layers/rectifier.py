"""The activation that learns: a rectifier with its slope as a parameter."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from fnn.errors import expect
from fnn.layers.lift import stateless
from fnn.layers.linear import check_input, parameter
from fnn.precision import spread
from fnn.types import KeyArray, Model, Params


def parametric_relu(*, slope: float = 0.25, shared: bool = False) -> Model:
    """``x`` where it is positive, ``slope * x`` elsewhere, the slope of each channel being learned.

    Parameters are ``{"slope": (channels,)}``, or ``{"slope": ()}`` if it is shared. The slope learns by the chain
    rule like any weight: dE/dslope is the sum of dE/dy * x over the places where x is not positive, which answers
    the question of deck "Deep Learning" on transfer functions. It should not be decayed towards 0 (He et al.).

    Args:
        slope: its first value.
        shared: one slope for all channels.

    Returns:
        A model from ``(..., channels)`` to the same shape.

    Raises:
        InputError: in use, ``x`` is not floating-point or does not fit ``slope``.

    Source: K. He et al., "Delving deep into rectifiers", ICCV 2015, equations 1 to 3; decks "Réseaux de neurones",
    slide 64, and "Deep Learning".

    Example:
        >>> import jax
        >>> x = jnp.array([[-2.0, 3.0]])
        >>> params, state = parametric_relu().init(jax.random.key(0), x)
        >>> parametric_relu().apply(params, state, x)[0].tolist()
        [[-0.5, 3.0]]
    """

    def init(key: KeyArray, x: Any) -> Params:
        check_input("parametric_relu", x, at_least=1)
        return {"slope": jnp.full(() if shared else x.shape[-1:], slope, x.dtype)}

    def forward(params: Params, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        check_input("parametric_relu", x, at_least=1)
        slopes = parameter("parametric_relu", params, "slope")
        expect(
            slopes.shape == () or slopes.shape == x.shape[-1:],
            "parametric_relu",
            f'params["slope"] of shape () or {x.shape[-1:]} (channels of x)',
            f"{slopes.shape}",
        )
        return jnp.where(x > 0, x, spread(slopes, x.shape) * x)

    return stateless("parametric_relu", init, forward)
