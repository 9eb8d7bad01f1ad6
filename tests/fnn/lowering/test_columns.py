"""Convolutions of several columns at a time, against XLA's, and where they are left alone."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.lowering import canonical

AXES = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC")}


def steps(function, *arguments):
    """The last numbers of the strides of all convolutions in a function."""
    jaxpr = jax.make_jaxpr(function)(*arguments)
    return [eqn.params["window_strides"][-1] for eqn in jaxpr.eqns if eqn.primitive.name == "conv_general_dilated"]


@pytest.mark.parametrize("n_axes", [1, 2])
@pytest.mark.parametrize(
    ("n_in", "n_out", "at_once"), [(1, 32, 4), (3, 64, 2), (5, 1, 4), (8, 12, 4), (9, 13, 2), (25, 8, 2)]
)
def test_any_geometry(n_axes, n_in, n_out, at_once):
    rng = np.random.default_rng(n_out)
    for taps, low, high in itertools.product((2, 3, 5), (0, 2), (0, 1)):
        columns = int(rng.integers(8, 14))
        sizes = (*rng.integers(5, 9, n_axes - 1), columns + taps - 1 - low - high)
        window = (*rng.integers(1, 4, n_axes - 1), taps)
        strides, spread = (*rng.integers(1, 3, n_axes - 1), 1), (*rng.integers(1, 3, n_axes - 1), 1)
        padding = [(1, 0)] * (n_axes - 1) + [(low, high)]
        x = rng.normal(size=(2, *map(int, sizes), n_in)).astype(np.float32)
        w = rng.normal(size=(*map(int, window), n_in, n_out)).astype(np.float32)

        def convolve(x, w, strides=strides, padding=padding, spread=spread):
            return lax.conv_general_dilated(
                x,
                w,
                tuple(map(int, strides)),
                padding,
                rhs_dilation=tuple(map(int, spread)),
                dimension_numbers=AXES[n_axes],
            )

        assert steps(canonical(convolve), x, w) == [at_once]
        expected, got = convolve(x, w), jax.jit(canonical(convolve))(x, w)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4, err_msg=f"{sizes} {window} {padding}")


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_gradients(padding):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 12, 13, 6)).astype(np.float32)
    w = rng.normal(size=(5, 5, 6, 16)).astype(np.float32)

    def loss(x, w):
        return jnp.sin(lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=AXES[2])).sum()

    gradient = jax.grad(loss, (0, 1))
    for got, expected in zip(jax.jit(canonical(gradient))(x, w), jax.jit(gradient)(x, w), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)
    # Forward, the gradient of the window and that of the input, whose channels out are the 6 channels in.
    assert sorted(steps(canonical(gradient), x, w)) == [1, 2, 4]


LEFT_ALONE = {
    "many channels out": (jnp.ones((1, 12, 12, 4)), jnp.ones((3, 3, 4, 65)), {}),
    "many channels in": (jnp.ones((1, 12, 12, 25)), jnp.ones((3, 3, 25, 9)), {}),
    "few columns": (jnp.ones((1, 12, 9, 4)), jnp.ones((3, 3, 4, 8)), {}),
    "a window as large as the image": (jnp.ones((1, 28, 28, 4)), jnp.ones((15, 15, 4, 8)), {}),
    "a window of one column": (jnp.ones((1, 12, 12, 4)), jnp.ones((3, 1, 4, 8)), {}),
    "a stride": (jnp.ones((1, 22, 22, 4)), jnp.ones((3, 3, 4, 8)), {"window_strides": (1, 2)}),
    "a window with gaps": (jnp.ones((1, 22, 22, 4)), jnp.ones((3, 3, 4, 8)), {"rhs_dilation": (1, 2)}),
    "an image with gaps": (jnp.ones((1, 12, 12, 4)), jnp.ones((13, 13, 4, 8)), {"lhs_dilation": (1, 2)}),
    "half precision": (jnp.ones((1, 12, 12, 4), jnp.bfloat16), jnp.ones((3, 3, 4, 8), jnp.bfloat16), {}),
    "no examples": (jnp.ones((0, 12, 12, 4)), jnp.ones((3, 3, 4, 8)), {}),
}


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_what_is_left_alone(case):
    x, w, other = LEFT_ALONE[case]

    def convolve(x, w):
        arguments = {"window_strides": (1, 1), "padding": ((0, 0), (0, 0))} | other
        return lax.conv_general_dilated(x, w, dimension_numbers=AXES[2], **arguments)

    assert steps(canonical(convolve), x, w) == steps(convolve, x, w)
    np.testing.assert_array_equal(canonical(convolve)(x, w), convolve(x, w))


def test_a_sequence_and_the_dtype_of_its_sums():
    """Along the one axis that there is; the dtype that was asked for stays."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 40, 5)).astype(np.float32), rng.normal(size=(4, 5, 7)).astype(np.float32)

    def convolve(x, w):
        return lax.conv_general_dilated(
            x, w, (1,), "SAME", dimension_numbers=AXES[1], preferred_element_type=jnp.float64
        )

    with jax.enable_x64(True):
        got = canonical(convolve)(x, w)
        assert got.dtype == jnp.float64
        np.testing.assert_allclose(got, convolve(x, w), rtol=1e-12)


def test_of_what_is_spread_out_with_zeros():
    """The convolution that is left of it has few channels out."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 6, 20, 5)).astype(np.float32), rng.normal(size=(3, 4, 5, 2)).astype(np.float32)

    def convolve(x, w):
        padding = ((1, 2), (-1, 3))
        return lax.conv_general_dilated(x, w, (1, 1), padding, lhs_dilation=(2, 2), dimension_numbers=AXES[2])

    assert steps(canonical(convolve), x, w) == [4]
    np.testing.assert_allclose(jax.jit(canonical(convolve))(x, w), convolve(x, w), rtol=1e-5, atol=1e-5)


def test_in_a_loop_over_a_batch_of_windows():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 7, 12, 3)).astype(np.float32), rng.normal(size=(4, 3, 3, 3, 3)).astype(np.float32)

    def last(x, w):
        def body(x, _):
            return jnp.tanh(lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=AXES[2])), None

        return lax.scan(body, x, None, length=3)[0]

    of_all = jax.vmap(last, (None, 0))
    np.testing.assert_allclose(jax.jit(canonical(of_all))(x, w), of_all(x, w), rtol=1e-4, atol=1e-5)
