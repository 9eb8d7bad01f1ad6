"""Which algorithm a convolution is computed by."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import jax
from jaxtyping import Array, Float

from fnn.convolutions.few_taps import by_few_taps
from fnn.convolutions.geometry import Geometry
from fnn.convolutions.reference import by_xla
from fnn.kernels import Geometry as Sizes, can_convolve

# Numbers in a window up to which a matrix product is faster: measured with 32 channels out, on two cores.
_FEW = 16


def convolve(
    x: Float[Array, "batch *spatial n_in"], w: Float[Array, "*taps n_in_group n_out"], geometry: Geometry
) -> Float[Array, "batch *places n_out"]:
    """The convolution of ``x`` with ``w``, by the algorithm for these shapes on this machine.

    The choice depends on shapes, dtypes and on what there is to compute with (:func:`fnn.kernels.vectors`) only, so
    that the same training gives the same bits on the same machine. What was traced on one backend and is
    run on another is right all the same.

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
    n_axes = len(geometry.strides)
    if n_axes not in (1, 2) or {*geometry.dilations} != {1} or x.dtype != w.dtype:
        return False
    taps, sizes = w.shape[:-2], x.shape[1:-1]
    margins = [low for low, _ in geometry.margins(sizes, taps)]
    of = Sizes(
        images=x.shape[0],
        size=_as_rows(sizes, 1),
        n_in=x.shape[-1],
        taps=_as_rows(taps, 1),
        n_out=w.shape[-1],
        places=_as_rows(geometry.places(sizes, taps), 1),
        strides=_as_rows(geometry.strides, 1),
        margin=_as_rows(margins, 0),
    )
    return can_convolve(of, x.dtype)


def _as_rows(sizes: Sequence[int], rows: int) -> tuple[int, int]:
    """Of a sequence, as if it were an image of one row."""
    return (rows, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])
