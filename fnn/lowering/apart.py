"""What keeps a computation apart from the next, so that the compiler does not carry it out once more within that.

``jax.lax.optimization_barrier`` says so, and from JAX 0.11.1 on XLA's CPU compiler heeds it. Before, it drops barriers
ahead of the fusion of operations, and computes what is to be transposed number by number in the transposed order: on
JAX 0.10.2 a residual network takes 225 ms a step instead of 180. There a branch that the compiler cannot foresee
takes the barrier's place: it is no part of a fusion, so what goes into it is computed before. Mapped over several
(``jax.vmap``), such a branch becomes a choice between two results, and keeps nothing apart.

Where it matters only that two operations are not made one before the fusion, such as a transposition and the product
after it, the barrier does everywhere.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

_HEEDED_SINCE = (0, 11, 1)
_BRANCH_BYTES = 2**17  # below, computing twice costs less than a branch and the copy that it makes

barrier: Any = lax.optimization_barrier  # JAX leaves it without types


def apart(x: Any) -> Any:
    """``x`` itself, computed by the time that anything is made of it.

    Args:
        x: an array.

    Example:
        >>> apart(jnp.arange(3.0)).tolist()
        [0.0, 1.0, 2.0]
    """
    # A whole number equals itself, as the compiler knows; of a floating-point number it does not.
    is_branch = not barriers_are_heeded() and jnp.issubdtype(x.dtype, jnp.floating)
    if not is_branch or x.size * x.dtype.itemsize < _BRANCH_BYTES:
        return barrier(x)
    first = x[(0,) * x.ndim]
    # Of one function twice, JAX makes no branch; which of these is taken makes no difference.
    return lax.cond(first == first, lambda x: x, lambda x: x * 1, x)


def barriers_are_heeded() -> bool:
    """Whether the compiler keeps to barriers until it has fused operations."""
    return bool(jax.default_backend() != "cpu" or jax.__version_info__ >= _HEEDED_SINCE)
