"""Layers that draw random numbers while training."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnn.errors import InputError, expect
from fnn.types import KeyArray, Model, Params, State


def dropout(drop_rate: float) -> Model:
    """In training, each number is set to 0 with probability ``drop_rate``, and the others grow to make up for it.

    They are divided by 1 - ``drop_rate``, so that the expectation is that of ``x``. Without ``train`` nothing changes.

    Args:
        drop_rate: in [0, 1).

    Returns:
        A model that keeps the shape of ``x``, without parameters; ``apply`` needs a ``key`` when ``train`` is true.

    Raises:
        InputError: ``drop_rate`` is not in [0, 1); in use, ``train`` without a ``key``.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014).

    Example:
        >>> x = jnp.ones(1000)
        >>> y, _ = dropout(0.25).apply({}, {}, x, key=jax.random.key(0), train=True)
        >>> sorted(set(y.tolist())) == [0.0, float(jnp.float32(1) / jnp.float32(0.75))]
        True
        >>> dropout(0.25).apply({}, {}, x)[0] is x
        True
    """
    expect(0 <= drop_rate < 1, "dropout", "0 <= drop_rate < 1", f"drop_rate == {drop_rate}")

    def init(key: KeyArray, x: Any) -> tuple[Params, State]:
        return {}, {}

    def apply(
        params: Params, state: State, x: Any, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]:
        if not train or drop_rate == 0:
            return x, state
        if key is None:
            raise InputError("dropout: expected key=... because train=True draws random numbers, got key=None")
        kept = jax.random.bernoulli(key, 1 - drop_rate, x.shape)
        return jnp.where(kept, x / (1 - drop_rate), 0), state

    return Model(init, apply, "dropout")
