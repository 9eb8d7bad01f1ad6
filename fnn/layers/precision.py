"""In which precision a layer adds up."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def at_least_float32(dtype: Any) -> Any:
    """``dtype``, or float32 where it has fewer digits: for sums over many numbers, and for decompositions.

    Example:
        >>> at_least_float32(jnp.bfloat16), at_least_float32(jnp.float64)
        (dtype('float32'), dtype('float64'))
    """
    own = jnp.dtype(dtype)
    return own if own.itemsize >= 4 else jnp.dtype(jnp.float32)
