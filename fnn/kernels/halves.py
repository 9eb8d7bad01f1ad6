"""Arrays in bfloat16, as the code is given them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax


def in_float32(x: Any) -> Any:
    return x.astype(jnp.float32)


def pairs_of(first: Any, second: Any) -> Any:
    """Of each two numbers one of 32 bits, the first in its lower half.

    Args:
        first: bfloat16, or what is rounded to it.
        second: of the same shape.

    Example:
        >>> import numpy as np
        >>> [hex(pair) for pair in np.asarray(pairs_of(jnp.ones(2), jnp.zeros(2)))]
        ['0x3f80', '0x3f80']
    """
    low, high = (_bits(half.astype(jnp.bfloat16)) for half in (first, second))
    return low | (high << 16)


def _bits(half: Any) -> Any:
    return lax.bitcast_convert_type(half, jnp.uint16).astype(jnp.uint32)
