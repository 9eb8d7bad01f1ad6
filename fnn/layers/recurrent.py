"""Recurrent layers: one step of time after the other, as one ``lax.scan``.

What depends on the inputs alone is computed for all steps at once, before the scan; inside remains the product with
the hidden state. Sequences are ``(batch, time, features)``, the first state is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float

from fnn.errors import expect
from fnn.layers.lift import stateless
from fnn.layers.linear import check_input, parameter
from fnn.precision import at_least_float32, spread
from fnn.types import KeyArray, Model, Params

_GLOROT = jax.nn.initializers.glorot_uniform()
_ORTHOGONAL = jax.nn.initializers.orthogonal()


def lstm(
    n_hidden: int,
    *,
    w_init: Initializer = _GLOROT,
    w_hidden_init: Initializer = _ORTHOGONAL,
    forget_bias: float = 1.0,
) -> Model:
    """Long short-term memory: a cell c that gates protect, and the hidden state h that comes out at every step.

    i, f, o = sigmoid(x w + h w_hidden + b), g = tanh(x w + h w_hidden + b), each with its columns; c' = f c + i g;
    h' = o tanh(c'). Parameters are ``{"w": (n_in, 4 n_hidden), "w_hidden": (n_hidden, 4 n_hidden),
    "b": (4 n_hidden,)}`` with the columns in the order i, f, g, o (input, forget, candidate, output).

    Args:
        n_hidden: length of h and of c.
        w_init: draws each gate's part of ``w``.
        w_hidden_init: draws each gate's part of ``w_hidden``.
        forget_bias: first bias of the forget gate; 1 lets the cell remember from the start. The others begin at 0.

    Returns:
        A model from ``(batch, time, n_in)`` to ``(batch, time, n_hidden)``. With ``lambda h: h[:, -1]`` as the next
        layer, only the last step goes on.

    Raises:
        InputError: ``n_hidden`` is less than 1; in use, ``x`` is not a floating-point sequence or does not fit ``w``.

    Sources: S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); the forget gate:
    F. Gers et al., "Learning to forget", Neural Computation 12 (2000); its first bias: R. Jozefowicz et al., ICML 2015.

    Example:
        >>> x = jnp.ones((2, 5, 3))
        >>> params, state = lstm(4).init(jax.random.key(0), x)
        >>> lstm(4).apply(params, state, x)[0].shape
        (2, 5, 4)
    """
    expect(n_hidden >= 1, "lstm", "n_hidden >= 1", f"n_hidden == {n_hidden}")

    def init(key: KeyArray, x: Any) -> Params:
        params = _draw("lstm", key, x, n_hidden, 4, w_init, w_hidden_init)
        zeros = jnp.zeros((n_hidden,), x.dtype)
        return params | {"b": jnp.concatenate([zeros, jnp.full_like(zeros, forget_bias), zeros, zeros])}

    def forward(params: Params, x: Float[Array, "batch time n_in"]) -> Float[Array, "batch time n_hidden"]:
        driven, w_hidden = _driven("lstm", params, x, 4)

        def step(carry: tuple[Array, Array], z: Array) -> tuple[tuple[Array, Array], Array]:
            h, c = carry
            i, f, g, o = jnp.split(z + h @ w_hidden.astype(h.dtype), 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        nothing = jnp.zeros((x.shape[0], w_hidden.shape[0]), driven.dtype)
        return _over_time(step, (nothing, nothing), driven)

    return stateless("lstm", init, forward)


def gru(n_hidden: int, *, w_init: Initializer = _GLOROT, w_hidden_init: Initializer = _ORTHOGONAL) -> Model:
    """The gated recurrent unit: an update gate z keeps the hidden state h, a reset gate r hides it from the candidate.

    r, z = sigmoid(x w + h w_hidden + b), n = tanh(x w + (r h) w_hidden + b), each with its columns;
    h' = z h + (1 - z) n. Parameters are ``{"w": (n_in, 3 n_hidden), "w_hidden": (n_hidden, 3 n_hidden),
    "b": (3 n_hidden,)}`` with the columns in the order r, z, n (reset, update, candidate).

    This is the paper's unit; some libraries multiply by r after the product with ``w_hidden``, not before.

    Args:
        n_hidden: length of h.
        w_init: draws each gate's part of ``w``.
        w_hidden_init: draws each gate's part of ``w_hidden``.

    Returns:
        A model from ``(batch, time, n_in)`` to ``(batch, time, n_hidden)``.

    Raises:
        InputError: ``n_hidden`` is less than 1; in use, ``x`` is not a floating-point sequence or does not fit ``w``.

    Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014, equations 5 to 8.

    Example:
        >>> x = jnp.ones((2, 5, 3))
        >>> params, state = gru(4).init(jax.random.key(0), x)
        >>> gru(4).apply(params, state, x)[0].shape
        (2, 5, 4)
    """
    expect(n_hidden >= 1, "gru", "n_hidden >= 1", f"n_hidden == {n_hidden}")

    def init(key: KeyArray, x: Any) -> Params:
        params = _draw("gru", key, x, n_hidden, 3, w_init, w_hidden_init)
        return params | {"b": jnp.zeros((3 * n_hidden,), x.dtype)}

    def forward(params: Params, x: Float[Array, "batch time n_in"]) -> Float[Array, "batch time n_hidden"]:
        driven, w_hidden = _driven("gru", params, x, 3)
        n = w_hidden.shape[0]
        w_gates, w_candidate = w_hidden[:, : 2 * n], w_hidden[:, 2 * n :]

        def step(h: Array, z_in: Array) -> tuple[Array, Array]:
            r, z = jnp.split(jax.nn.sigmoid(z_in[:, : 2 * n] + h @ w_gates.astype(h.dtype)), 2, axis=-1)
            candidate = jnp.tanh(z_in[:, 2 * n :] + (r * h) @ w_candidate.astype(h.dtype))
            h = z * h + (1 - z) * candidate
            return h, h

        return _over_time(step, jnp.zeros((x.shape[0], n), driven.dtype), driven)

    return stateless("gru", init, forward)


def _draw(
    where: str, key: KeyArray, x: Any, n_hidden: int, n_gates: int, w_init: Initializer, w_hidden_init: Initializer
) -> dict[str, Any]:
    _check(where, x)
    key_w, key_hidden = jax.random.split(key)

    def gates(draw: Initializer, key: KeyArray, n_rows: int) -> Array:
        # Gate by gate: an initializer that looked at all columns at once would see too many outputs.
        dtype = at_least_float32(x.dtype)  # an orthogonal matrix cannot be made in bfloat16
        parts = [draw(k, (n_rows, n_hidden), dtype) for k in jax.random.split(key, n_gates)]
        return jnp.concatenate(parts, axis=1).astype(x.dtype)

    return {"w": gates(w_init, key_w, x.shape[-1]), "w_hidden": gates(w_hidden_init, key_hidden, n_hidden)}


def _driven(where: str, params: Params, x: Any, n_gates: int) -> tuple[Array, Array]:
    """x w + b for all steps at once, and ``w_hidden``, whose gradient is a sum over the steps, in at least float32."""
    _check(where, x)
    w, w_hidden, b = (parameter(where, params, name) for name in ("w", "w_hidden", "b"))
    expect(
        x.shape[-1] == w.shape[0], where, f'x.shape[-1] == {w.shape[0]} (rows of params["w"])', f"x.shape == {x.shape}"
    )
    n_columns = n_gates * w_hidden.shape[0]
    expect(
        w.shape[1] == w_hidden.shape[1] == b.shape[0] == n_columns,
        where,
        f"w, w_hidden and b with {n_columns} columns ({n_gates} for each row of w_hidden)",
        f"shapes {w.shape}, {w_hidden.shape}, {b.shape}",
    )
    y: Array = x @ w
    return y + spread(b, y.shape), w_hidden.astype(at_least_float32(w_hidden.dtype))


def _over_time(step: Callable[[Any, Array], tuple[Any, Array]], first: Any, driven: Array) -> Array:
    _, outputs = jax.lax.scan(step, first, jnp.swapaxes(driven, 0, 1))
    return jnp.swapaxes(outputs, 0, 1)


def _check(where: str, x: Any) -> None:
    check_input(where, x, at_least=0)
    expect(x.ndim == 3, where, "x of shape (batch, time, features)", f"x.shape == {x.shape}")
