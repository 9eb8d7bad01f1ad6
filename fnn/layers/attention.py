"""Multi-head self-attention."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn.initializers import Initializer
from jaxtyping import Array, Bool, Float

from fnn.errors import expect
from fnn.layers.lift import stateless
from fnn.layers.linear import check_input, parameter
from fnn.precision import at_least_float32, spread
from fnn.types import KeyArray, Model, Params

_GLOROT = jax.nn.initializers.glorot_uniform()
_PROJECTIONS = ("query", "key", "value", "out")


def self_attention(n_heads: int, *, causal: bool = False, bias: bool = True, w_init: Initializer = _GLOROT) -> Model:
    """Every step of a sequence looks at every step: softmax(q k^T / sqrt(d)) v, in ``n_heads`` parts of length d.

    Parameters are ``{"query": p, "key": p, "value": p, "out": p}``, each p being ``{"w": (features, features), "b":
    (features,)}``; without ``bias`` there is no ``"b"``. Head number i has the columns i*d to (i+1)*d.

    ``x`` is ``(batch, time, features)``, or a pair of that and a mask ``(batch, time)``, true where a step is real:
    no step looks at one that is masked out. A step that may look at none gives 0 before the last projection.

    Args:
        n_heads: how many heads; divides the features.
        causal: whether a step sees only itself and those before.
        bias: whether ``b`` is added after each projection.
        w_init: draws each ``w``.

    Returns:
        A model from ``x`` to ``(batch, time, features)``; the mask does not come out.

    Raises:
        InputError: ``n_heads`` is less than 1; in use, the features do not divide into heads or do not fit the
            parameters, or the mask is not Boolean of shape ``(batch, time)``.

    Source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.2.

    Example:
        >>> layer, x = self_attention(2, causal=True), jnp.ones((1, 3, 4))
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> layer.apply(params, state, x)[0].shape
        (1, 3, 4)
        >>> layer.apply(params, state, (x, jnp.array([[True, True, False]])))[0].shape
        (1, 3, 4)
    """
    where = "self_attention"
    expect(n_heads >= 1, where, "n_heads >= 1", f"n_heads == {n_heads}")

    def check(inputs: Any) -> tuple[Any, Any]:
        x, mask = inputs if isinstance(inputs, tuple) and len(inputs) == 2 else (inputs, None)
        check_input(where, x, at_least=0)
        expect(x.ndim == 3, where, "x of shape (batch, time, features)", f"x.shape == {x.shape}")
        fits = x.shape[-1] % n_heads == 0
        expect(fits, where, f"features that divide into {n_heads} heads", f"x.shape == {x.shape}")
        if mask is not None:
            sound = mask.shape == x.shape[:2] and mask.dtype == jnp.bool_
            expect(sound, where, f"a mask of Booleans of shape {x.shape[:2]}", f"{mask.dtype} of shape {mask.shape}")
        return x, mask

    def init(key: KeyArray, inputs: Any) -> Params:
        x, _ = check(inputs)
        n = x.shape[-1]
        zeros = {"b": jnp.zeros((n,), x.dtype)} if bias else {}
        keys = jax.random.split(key, len(_PROJECTIONS))
        return {name: {"w": w_init(k, (n, n), x.dtype), **zeros} for name, k in zip(_PROJECTIONS, keys, strict=True)}

    def project(params: Params, name: str, x: Array) -> Array:
        own = parameter(where, params, name)
        w = parameter(f"{where}, {name}", own, "w")
        expect(
            x.shape[-1] == w.shape[0],
            where,
            f'x.shape[-1] == {w.shape[0]} (rows of params["{name}"]["w"])',
            f"x.shape == {x.shape}",
        )
        y: Array = x @ w
        return y + spread(parameter(f"{where}, {name}", own, "b"), y.shape) if bias else y

    def forward(params: Params, inputs: Any) -> Float[Array, "batch time features"]:
        x, mask = check(inputs)
        batch, time, n_features = x.shape
        q, k, v = (
            project(params, name, x).reshape(batch, time, n_heads, n_features // n_heads)
            for name in ("query", "key", "value")
        )
        visible = jnp.ones((1, 1, 1, time), bool) if mask is None else mask[:, None, None, :]
        if causal:
            visible = visible & jnp.tril(jnp.ones((time, time), bool))[None, None]
        heads = _attend(q, k, v, jnp.broadcast_to(visible, (batch, n_heads, time, time)))
        return project(params, "out", heads.reshape(batch, time, n_features))

    return stateless(where, init, forward)


def _attend(
    q: Float[Array, "batch time heads d"],
    k: Float[Array, "batch time heads d"],
    v: Float[Array, "batch time heads d"],
    visible: Bool[Array, "batch heads time time"],
) -> Float[Array, "batch time heads d"]:
    dtype = at_least_float32(q.dtype)  # a softmax in bfloat16 has too few digits
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k).astype(dtype) / math.sqrt(q.shape[-1])
    # A finite number in place of -inf: a row of -inf only would make the gradient NaN.
    scores = jnp.where(visible, scores, float(np.finfo(dtype).min))
    weights = jnp.where(visible, jax.nn.softmax(scores, axis=-1), 0).astype(q.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v)
