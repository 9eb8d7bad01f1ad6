"""The convolution of XLA: cuDNN's on a GPU, Eigen's on a CPU. Every other algorithm is compared with it."""

from __future__ import annotations

import jax
from jaxtyping import Array, Float

from fnn.convolutions.geometry import Geometry


def by_xla(
    x: Float[Array, "batch *spatial n_in"], w: Float[Array, "*taps n_in_group n_out"], geometry: Geometry
) -> Float[Array, "batch *places n_out"]:
    """y[n, p, o] = sum over taps u and channels c of w[u, c, o] x[n, p stride + u dilation, c], zeros outside of x.

    Example:
        >>> import jax.numpy as jnp
        >>> by_xla(jnp.arange(4.0).reshape(1, 4, 1), jnp.ones((2, 1, 1)), Geometry((1,), (1,), "valid", 1)).ravel()
        Array([1., 3., 5.], dtype=float32)
    """
    n_axes = x.ndim - 2
    # Batch first, channels last; of the weights, taps first, then channels in, then channels out.
    data = (0, n_axes + 1, *range(1, n_axes + 1))
    weights = (n_axes + 1, n_axes, *range(n_axes))
    return jax.lax.conv_general_dilated(
        x,
        w,
        window_strides=geometry.strides,
        padding=geometry.padding.upper(),
        rhs_dilation=geometry.dilations,
        dimension_numbers=jax.lax.ConvDimensionNumbers(data, weights, data),
        feature_group_count=geometry.groups,
    )
