"""Vectors that are looked up: one per token, one per position."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float, Int

from fnn.errors import expect
from fnn.layers.lift import stateless
from fnn.layers.linear import check_input, parameter
from fnn.precision import at_least_float32, at_least_int32, spread
from fnn.types import KeyArray, Model, Params

_NORMAL = jax.nn.initializers.normal(0.02)


def embedding(n_tokens: int, n_out: int, *, w_init: Initializer = _NORMAL, dtype: Any = jnp.float32) -> Model:
    """A learned vector for each token: row ``x`` of ``w``.

    Parameters are ``{"w": (n_tokens, n_out)}``. A token outside of 0 to ``n_tokens - 1`` gives NaN; a compiled
    function cannot raise, and a wrong vector would go unnoticed.

    Args:
        n_tokens: how many different tokens there are, numbered from 0.
        n_out: length of a vector.
        w_init: draws ``w``.
        dtype: of ``w`` and so of the output, because integers do not tell.

    Returns:
        A model from integers ``(...)`` to ``(..., n_out)``.

    Raises:
        InputError: a size is less than 1; in use, ``x`` does not hold integers.

    Example:
        >>> params = {"w": jnp.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])}
        >>> embedding(3, 2).apply(params, {}, jnp.array([2, 0]))[0].tolist()
        [[4.0, 5.0], [0.0, 1.0]]
    """
    expect(n_tokens >= 1 and n_out >= 1, "embedding", "sizes >= 1", f"n_tokens == {n_tokens}, n_out == {n_out}")

    def check(x: Any) -> None:
        expect(hasattr(x, "shape") and hasattr(x, "dtype"), "embedding", "x to be an array", f"{type(x).__name__}")
        is_integer = jnp.issubdtype(x.dtype, jnp.integer)
        expect(is_integer, "embedding", "x of an integer dtype", f"x.dtype == {x.dtype}")

    def init(key: KeyArray, x: Any) -> Params:
        check(x)
        return {"w": w_init(key, (n_tokens, n_out), dtype)}

    def forward(params: Params, x: Int[Array, "*batch"]) -> Float[Array, "*batch n_out"]:
        check(x)
        x = at_least_int32(x)
        w = parameter("embedding", params, "w")
        expect(w.ndim == 2, "embedding", 'params["w"] of shape (n_tokens, n_out)', f"{w.shape}")
        # The gradient adds up all places of a token, in at least float32.
        table = w.astype(at_least_float32(w.dtype))
        rows: Array = jnp.take(table, jnp.clip(x, 0, w.shape[0] - 1), axis=0).astype(w.dtype)
        known = (x >= 0) & (x < w.shape[0])
        return jnp.where(jnp.broadcast_to(known[..., None], rows.shape), rows, jnp.nan)

    return stateless("embedding", init, forward)


def position_embedding(n_positions: int, *, w_init: Initializer = _NORMAL) -> Model:
    """Adds a learned vector for each position to a sequence, so that attention can tell first from last.

    Parameters are ``{"w": (n_positions, features)}``, of the dtype of ``x``.

    Args:
        n_positions: the longest sequence; a shorter one uses the first rows.
        w_init: draws ``w``.

    Returns:
        A model from ``(batch, time, features)`` to the same shape.

    Raises:
        InputError: ``n_positions`` is less than 1; in use, a sequence is longer, or its features do not fit.

    Source: J. Gehring et al., "Convolutional sequence to sequence learning", ICML 2017, section 3.1.

    Example:
        >>> x = jnp.zeros((1, 2, 1))
        >>> position_embedding(3).apply({"w": jnp.array([[1.0], [2.0], [3.0]])}, {}, x)[0].reshape(-1).tolist()
        [1.0, 2.0]
    """
    where = "position_embedding"
    expect(n_positions >= 1, where, "n_positions >= 1", f"n_positions == {n_positions}")

    def check(x: Any, n_rows: int) -> None:
        check_input(where, x, at_least=0)
        fits = x.ndim == 3 and x.shape[1] <= n_rows
        expect(fits, where, f"x of shape (batch, time, features), time at most {n_rows}", f"x.shape == {x.shape}")

    def init(key: KeyArray, x: Any) -> Params:
        check(x, n_positions)
        return {"w": w_init(key, (n_positions, x.shape[-1]), x.dtype)}

    def forward(params: Params, x: Float[Array, "batch time features"]) -> Float[Array, "batch time features"]:
        w = parameter(where, params, "w")
        check(x, w.shape[0])
        expect(
            x.shape[-1] == w.shape[-1],
            where,
            f'x.shape[-1] == {w.shape[-1]} (columns of params["w"])',
            f"x.shape == {x.shape}",
        )
        return x + spread(w[: x.shape[1]], x.shape)

    return stateless(where, init, forward)
