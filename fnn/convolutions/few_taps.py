"""Convolution by one matrix product, for windows of few numbers, such as those over an image of one channel.

Each place of the window sees K = taps * channels numbers. Written side by side, for all P = batch * places, they are a
matrix A of shape (P, K), and

    y = A w,    w of shape (K, n_out).

So the weight gradient is A^T g: one product with P terms per sum. XLA computes it instead as a convolution whose window
is the whole image, for which its algorithm writes out matrices of its own. A costs K numbers per place, against n_out
for y: little as long as K is small, too much when it is not.
"""

from __future__ import annotations

import itertools
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnn.convolutions.geometry import Geometry


def by_few_taps(
    x: Float[Array, "batch *spatial n_in"], w: Float[Array, "*taps n_in n_out"], geometry: Geometry
) -> Float[Array, "batch *places n_out"]:
    """The convolution of :func:`fnn.convolutions.reference.by_xla`, for one group.

    Example:
        >>> by_few_taps(jnp.arange(4.0).reshape(1, 4, 1), jnp.ones((2, 1, 1)), Geometry((1,), (1,), "valid", 1)).ravel()
        Array([1., 3., 5.], dtype=float32)
    """
    taps, sizes, n_in = w.shape[:-2], x.shape[1:-1], x.shape[-1]
    places = geometry.places(sizes, taps)
    padded = jnp.pad(x, [(0, 0), *geometry.margins(sizes, taps), (0, 0)])
    seen = []
    for tap in itertools.product(*map(range, taps)):
        cuts = [
            slice(at * dilation, at * dilation + (n - 1) * stride + 1, stride)
            for at, dilation, n, stride in zip(tap, geometry.dilations, places, geometry.strides, strict=True)
        ]
        seen.append(padded[(slice(None), *cuts)])
    rows = jnp.stack(seen, axis=-2).reshape(x.shape[0] * prod(places), prod(taps) * n_in)
    # Without the barrier XLA would build the rows number by number within the product.
    apart: Any = jax.lax.optimization_barrier
    y: Array = apart(rows) @ w.reshape(-1, w.shape[-1])
    return y.reshape(x.shape[0], *places, w.shape[-1])
