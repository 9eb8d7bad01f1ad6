"""What the types of arrays say about where they lie and how large they are."""

from __future__ import annotations

from typing import Any

from jax.sharding import AxisType


def is_settled(aval: Any) -> bool:
    """Whether an array's operations may take any form: its sizes are numbers, and its type names no devices.

    Operations on an array that is distributed by its type (``AxisType.Explicit``) must say how their results are; the
    forms of this package do not. What the compiler distributes by itself is settled.

    Args:
        aval: the type of the array, ``jax.typeof(x)``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> is_settled(jax.typeof(jnp.ones(3)))
        True
    """
    devices = getattr(getattr(aval, "sharding", None), "mesh", None)
    is_free = AxisType.Explicit not in getattr(devices, "axis_types", ())
    return is_free and all(isinstance(size, int) for size in aval.shape)
