"""In which precision numbers are added up and compared."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array


def at_least_float32(dtype: Any) -> Any:
    """``dtype``, or float32 where it has fewer digits: for sums over many numbers, and for decompositions.

    Example:
        >>> at_least_float32(jnp.bfloat16), at_least_float32(jnp.float64)
        (dtype('float32'), dtype('float64'))
    """
    own = jnp.dtype(dtype)
    return own if own.itemsize >= 4 else jnp.dtype(jnp.float32)


def at_least_int32(integers: Any) -> Array:
    """Integers in a dtype in which they can be compared with any size: 256 is 0 as a uint8.

    Example:
        >>> at_least_int32(jnp.array([255], jnp.uint8)) < 256
        Array([ True], dtype=bool)
    """
    array = jnp.asarray(integers)
    return array if array.dtype.itemsize >= 4 else array.astype(jnp.int32)


def spread(parameter: Array, shape: tuple[int, ...]) -> Array:
    """``parameter`` once for every example and place; its gradient, their sum, is added up in at least float32.

    ``jnp.broadcast_to`` would add up in the dtype of ``parameter``: in bfloat16, on a CPU, a sum of ones ends at 512.

    Example:
        >>> import jax
        >>> gradient = jax.jit(jax.grad(lambda b: spread(b, (64, 64, 1)).astype(jnp.float32).sum()))
        >>> float(gradient(jnp.zeros((), jnp.bfloat16)))
        4096.0
    """
    return jnp.broadcast_to(parameter.astype(at_least_float32(parameter.dtype)), shape).astype(parameter.dtype)
