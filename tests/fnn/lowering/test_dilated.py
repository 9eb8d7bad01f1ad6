"""Convolutions of what is spread out with zeros, against XLA's, and that nothing is spread out any more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.lowering import canonical

AXES = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC")}


def spread_out(function, *arguments):
    text = str(jax.make_jaxpr(function)(*arguments))
    return text.count("lhs_dilation=(") - text.count("lhs_dilation=(1,)") - text.count("lhs_dilation=(1, 1)")


def geometries(n_axes, count):
    """At random: sizes, taps, dilations and paddings, some of which cut off, such that something is left."""
    rng = np.random.default_rng(n_axes)
    while count:
        sizes, dilation = rng.integers(1, 7, n_axes), rng.integers(1, 5, n_axes)
        taps = [int(rng.integers(1, size + 1)) for size in sizes]
        padding = [(int(rng.integers(-3, 6)), int(rng.integers(-3, 6))) for _ in range(n_axes)]
        width = [(n - 1) * d + 1 + sum(pair) for n, d, pair in zip(sizes, dilation, padding, strict=True)]
        if max(dilation) > 1 and all(w >= k for w, k in zip(width, taps, strict=True)):
            count -= 1
            yield [int(n) for n in sizes], taps, tuple(map(int, dilation)), padding


@pytest.mark.parametrize("n_axes", [1, 2])
def test_any_geometry(n_axes):
    rng = np.random.default_rng(0)
    for sizes, taps, dilation, padding in geometries(n_axes, 40):
        x = rng.normal(size=(2, *sizes, 3)).astype(np.float32)
        w = rng.normal(size=(*taps, 3, 4)).astype(np.float32)

        def convolve(x, w, dilation=dilation, padding=padding):
            strides = (1,) * n_axes
            return lax.conv_general_dilated(
                x, w, strides, padding, lhs_dilation=dilation, dimension_numbers=AXES[n_axes]
            )

        expected, got = convolve(x, w), jax.jit(canonical(convolve))(x, w)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5, err_msg=f"{sizes} {taps} {dilation} {padding}")
        assert spread_out(convolve, x, w) == 1
        assert spread_out(canonical(convolve), x, w) == 0


@pytest.mark.parametrize("stride", [(2, 2), (3, 1), (2, 3)])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("taps", [(1, 1), (3, 3), (2, 5), (4, 4)])
def test_gradients_of_strides(stride, padding, taps):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 16, 17, 3)).astype(np.float32)
    w = rng.normal(size=(*taps, 3, 4)).astype(np.float32)

    def loss(x):
        return jnp.sin(lax.conv_general_dilated(x, w, stride, padding, dimension_numbers=AXES[2])).sum()

    gradient = jax.grad(loss)
    np.testing.assert_allclose(jax.jit(canonical(gradient))(x), jax.jit(gradient)(x), rtol=1e-4, atol=1e-5)
    assert spread_out(gradient, x) == 1
    assert spread_out(canonical(gradient), x) == 0
    is_product = set(taps) == {1}
    assert ("conv_general_dilated" in str(jax.make_jaxpr(canonical(gradient))(x))) != is_product


def test_a_window_larger_than_the_image_stays():
    """As it is in the weight gradient of a transposed convolution, where it would be written anew in each step."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 5, 3)).astype(np.float32)
    w = rng.normal(size=(3, 3, 3, 4)).astype(np.float32)

    def loss(w):
        y = lax.conv_general_dilated(x, w, (1, 1), [(2, 2), (2, 2)], lhs_dilation=(2, 2), dimension_numbers=AXES[2])
        return jnp.sin(y).sum()

    gradient = jax.grad(loss)
    np.testing.assert_allclose(jax.jit(canonical(gradient))(w), jax.jit(gradient)(w), rtol=1e-4, atol=1e-4)
    assert spread_out(canonical(gradient), w) == 1  # of the two, that of the loss itself is not


def test_more_than_one_thing_at_once_stays():
    x, w = jnp.ones((1, 6, 6, 4)), jnp.ones((3, 3, 4, 4))
    for other in ({"window_strides": (2, 1)}, {"rhs_dilation": (1, 2)}):
        arguments = {"window_strides": (1, 1), "padding": ((0, 0), (0, 0)), "lhs_dilation": (2, 2)} | other

        def convolve(x, w, arguments=arguments):
            return lax.conv_general_dilated(x, w, dimension_numbers=AXES[2], **arguments)

        assert spread_out(canonical(convolve), x, w) == 1
