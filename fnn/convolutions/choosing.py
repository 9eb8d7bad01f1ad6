"""Which algorithm a convolution is computed by."""

from __future__ import annotations

from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnn.convolutions.few_taps import by_few_taps
from fnn.convolutions.geometry import Geometry
from fnn.convolutions.reference import by_xla
from fnn.kernels import vectors

# Numbers in a window up to which a matrix product is faster: measured with 32 channels out, on two cores.
_FEW = 16


def convolve(
    x: Float[Array, "batch *spatial n_in"], w: Float[Array, "*taps n_in_group n_out"], geometry: Geometry
) -> Float[Array, "batch *places n_out"]:
    """The convolution of ``x`` with ``w``, by the algorithm for these shapes on this machine.

    The choice depends on shapes and on ``jax.default_backend()`` only, so that the same training gives the same bits.
    What was traced on one backend and is run on another is right all the same.

    Args:
        x: batch first, channels last.
        w: the window, channels in (of one group), channels out.
        geometry: how the window moves.

    Example:
        >>> import jax.numpy as jnp
        >>> convolve(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), Geometry((1, 1), (1, 1), "same", 1))[0, :, :, 0]
        Array([[4., 6., 6., 4.],
               [6., 9., 9., 6.],
               [6., 9., 9., 6.],
               [4., 6., 6., 4.]], dtype=float32)
    """
    few = geometry.groups == 1 and 1 < prod(w.shape[:-1]) <= _FEW < w.shape[-1]
    if jax.default_backend() == "cpu" and few and x.size > 0 and not _has_code(x, w, geometry):
        return by_few_taps(x, w, geometry)
    return by_xla(x, w, geometry)


def _has_code(x: Any, w: Any, geometry: Geometry) -> bool:
    """Whether a training step will compute it by machine code of our own (:mod:`fnn.lowering.direct`)."""
    on = vectors()
    is_plain = len(geometry.strides) in (1, 2) and {*geometry.dilations} == {1}
    return on is not None and is_plain and x.dtype in (jnp.float32, jnp.bfloat16) and on.lanes_for(w.shape[-1]) > 0
