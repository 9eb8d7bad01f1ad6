"""Where arrays lie, as far as their types say."""

from __future__ import annotations

from typing import Any

import jax
from jax.sharding import AxisType


def is_distributed(x: Any) -> bool:
    """Whether operations on ``x`` must say how their results are distributed over devices.

    Forms that reshape or contract do not say it; such arrays are left to the forms that they came in.

    Example:
        >>> is_distributed(jax.numpy.ones(3))
        False
    """
    return AxisType.Explicit in jax.typeof(x).sharding.mesh.axis_types
