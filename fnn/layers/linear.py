"""The fully connected layer."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float

from fnn.errors import expect
from fnn.layers.lift import stateless
from fnn.precision import spread
from fnn.types import KeyArray, Model, Params

_GLOROT = jax.nn.initializers.glorot_uniform()


def dense(
    n_out: int,
    *,
    bias: bool = True,
    w_init: Initializer = _GLOROT,
    b_init: Initializer = jax.nn.initializers.zeros,
) -> Model:
    """y = x w + b over the last axis of ``x``: every output sees every input.

    Parameters are ``{"w": (n_in, n_out), "b": (n_out,)}``, of the dtype of ``x``; without ``bias`` there is no ``"b"``.

    Args:
        n_out: how many outputs.
        bias: whether ``b`` is added.
        w_init: draws ``w``; any of ``jax.nn.initializers``. Glorot's suits sigmoid, tanh and softmax, He's relu.
        b_init: draws ``b``.

    Returns:
        A model from ``(..., n_in)`` to ``(..., n_out)``.

    Raises:
        InputError: ``n_out`` is less than 1; in use, ``x`` is not floating-point or does not fit ``w``.

    Example:
        >>> layer = dense(2)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((5, 3)))
        >>> jax.tree.map(jnp.shape, params)
        {'b': (2,), 'w': (3, 2)}
        >>> layer.apply(params, state, jnp.ones((5, 3)))[0].shape
        (5, 2)
    """
    expect(n_out >= 1, "dense", "n_out >= 1", f"n_out == {n_out}")

    def init(key: KeyArray, x: Any) -> Params:
        check_input("dense", x, at_least=1)
        key_w, key_b = jax.random.split(key)
        params = {"w": w_init(key_w, (x.shape[-1], n_out), x.dtype)}
        return params | {"b": b_init(key_b, (n_out,), x.dtype)} if bias else params

    def forward(params: Params, x: Float[Array, "*batch n_in"]) -> Float[Array, "*batch n_out"]:
        check_input("dense", x, at_least=1)
        w = parameter("dense", params, "w")
        expect(
            x.shape[-1] == w.shape[0],
            "dense",
            f'x.shape[-1] == {w.shape[0]} (rows of params["w"])',
            f"x.shape == {x.shape}",
        )
        y: Array = x @ w
        return y + spread(parameter("dense", params, "b"), y.shape) if bias else y

    return stateless("dense", init, forward)


def check_input(where: str, x: Any, *, at_least: int) -> None:
    """Refuses an input that is no floating-point array with so many axes: integers would round what is learned."""
    expect(hasattr(x, "shape") and hasattr(x, "dtype"), where, "x to be an array", f"{type(x).__name__}")
    expect(jnp.issubdtype(x.dtype, jnp.floating), where, "x of a floating-point dtype", f"x.dtype == {x.dtype}")
    expect(x.ndim >= at_least, where, f"x.ndim >= {at_least}", f"x.shape == {x.shape}")


def parameter(where: str, params: Params, name: str) -> Any:
    """``params[name]``, or an error that says which layer misses it."""
    present = sorted(params) if isinstance(params, dict) else type(params).__name__
    expect(isinstance(params, dict) and name in params, where, f'params["{name}"]', f"params with {present}")
    return params[name]
