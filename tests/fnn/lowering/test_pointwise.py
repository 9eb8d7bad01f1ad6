"""Convolutions that are matrix products, against XLA's, and that they are products."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.lowering import canonical

LAYOUTS = {
    1: [("NWC", "WIO", "NWC"), ("NCW", "OIW", "NCW"), ("CWN", "IWO", "WNC")],
    2: [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("CHWN", "IHWO", "HWNC"), ("HNWC", "HOWI", "CWHN")],
    3: [("NDHWC", "DHWIO", "NDHWC"), ("NCDHW", "OIDHW", "NCDHW")],
}


def n_convolutions(function, *arguments):
    return str(jax.make_jaxpr(function)(*arguments)).count("conv_general_dilated[")


def arrays(layout, sizes, taps, n_in=3, n_out=4):
    """An image and a window of these sizes in a layout."""
    rng = np.random.default_rng(0)
    names = "DHW"[-len(sizes) :]
    of = {"N": 2, "C": n_in, **dict(zip(names, sizes, strict=True))}
    window = {"I": n_in, "O": n_out, **dict(zip(names, taps, strict=True))}
    x = rng.normal(size=[of[axis] for axis in layout[0]]).astype(np.float32)
    return x, rng.normal(size=[window[axis] for axis in layout[1]]).astype(np.float32)


def padded_before(x, w, layout, strides, padding, dilations):
    """By XLA, which on JAX 0.10 reads outside of an image that is cut off on one side and extended on the other."""
    config = [(0, 0, 0) if axis in "NC" else (*padding, 0) for axis in layout[0]]
    x = np.asarray(lax.pad(x, np.float32(0), config))
    return lax.conv_general_dilated(x, w, strides, "VALID", rhs_dilation=dilations, dimension_numbers=layout)


@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_windows_of_one_place(n_axes):
    for layout, stride, padding in itertools.product(LAYOUTS[n_axes], (1, 2, 3), ((0, 0), (-1, 0), (2, -1))):
        x, w = arrays(layout, (7, 5, 6)[:n_axes], (1,) * n_axes)

        strides = (stride, 1, 2)[:n_axes]

        def convolve(x, w, layout=layout, strides=strides, padding=padding):
            return lax.conv_general_dilated(x, w, strides, [padding] * n_axes, dimension_numbers=layout)

        expected = padded_before(x, w, layout, strides, padding, (1,) * n_axes)
        got = jax.jit(canonical(convolve))(x, w)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5, err_msg=f"{layout} {stride} {padding}")
        assert n_convolutions(canonical(convolve), x, w) == 0


@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_windows_that_fit_in_one_place(n_axes):
    for layout, dilation, padding in itertools.product(LAYOUTS[n_axes], (1, 2), ((0, 0), (0, -1), (-1, 1))):
        taps = (3, 2, 4)[:n_axes]
        sizes = [(k - 1) * dilation + 1 - sum(padding) for k in taps]
        x, w = arrays(layout, sizes, taps)

        ones, dilations = (1,) * n_axes, (dilation,) * n_axes

        def convolve(x, w, layout=layout, ones=ones, dilations=dilations, padding=padding):
            return lax.conv_general_dilated(
                x, w, ones, [padding] * n_axes, rhs_dilation=dilations, dimension_numbers=layout
            )

        expected = padded_before(x, w, layout, ones, padding, dilations)
        got = jax.jit(canonical(convolve))(x, w)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5, err_msg=f"{layout} {dilation} {padding}")
        assert n_convolutions(canonical(convolve), x, w) == 0


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("layout", LAYOUTS[2][:2])
@pytest.mark.parametrize("n_out", [4, 80])
def test_gradients(layout, stride, n_out):
    x, w = arrays(layout, (8, 9), (1, 1), n_in=70, n_out=n_out)

    def loss(x, w):
        return jnp.sin(lax.conv_general_dilated(x, w, (stride,) * 2, "SAME", dimension_numbers=layout)).sum()

    gradient = jax.grad(loss, (0, 1))
    for got, expected in zip(jax.jit(canonical(gradient))(x, w), jax.jit(gradient)(x, w), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    assert n_convolutions(gradient, x, w) == 3
    assert n_convolutions(canonical(gradient), x, w) == 0


def test_the_dtype_of_the_sums():
    layout = LAYOUTS[2][0]
    x, w = (a.astype(jnp.bfloat16) for a in arrays(layout, (5, 6), (1, 1), n_in=300))

    def convolve(x, w):
        return lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=layout, preferred_element_type=jnp.float32
        )

    got = jax.jit(canonical(convolve))(x, w)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(
        got, np.einsum("nhwc,zyco->nhwo", *(np.float32(a) for a in (x, w))), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_nothing_to_see(sizes):
    x, w = arrays(LAYOUTS[2][0], sizes, (1, 1))

    def convolve(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=LAYOUTS[2][0])

    assert canonical(convolve)(x, w).shape == convolve(x, w).shape


@pytest.mark.parametrize(
    "other",
    [{"feature_group_count": 3}, {"lhs_dilation": (2, 2)}, {"window_strides": (1, 1)}],
    ids=["groups", "zeros in between, several taps", "several taps and places"],
)
def test_other_convolutions_stay(other):
    x, w = jnp.ones((2, 5, 5, 6)), jnp.ones((3, 3, 6 // other.get("feature_group_count", 1), 6))

    def convolve(x, w):
        arguments = {"window_strides": (1, 1), "padding": "VALID"} | other
        if "lhs_dilation" in other:
            arguments["padding"] = ((0, 0), (0, 0))
        return lax.conv_general_dilated(x, w, dimension_numbers=LAYOUTS[2][0], **arguments)

    assert n_convolutions(canonical(convolve), x, w) == 1
