"""Convolutions in groups, against XLA's, and that no groups are left."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.lowering import canonical

LAYOUTS = [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("HWNC", "IOHW", "CNHW")]
# Groups, channels in and out of each: all joined, some, none; in a loop, joined and not; of one channel.
GROUPS = [(2, 3, 5), (6, 5, 7), (3, 40, 2), (24, 2, 16), (18, 17, 3), (5, 1, 2)]


def shaped(spec, sizes, seed):
    return np.random.default_rng(seed).normal(size=[sizes[axis] for axis in spec]).astype(np.float32)


def n_in_groups(function, *arguments):
    """Of the convolutions of a function, those in groups."""
    text = str(jax.make_jaxpr(function)(*arguments))
    counts = [
        text.count(f"{kind}_group_count=") - text.count(f"{kind}_group_count=1\n") for kind in ("feature", "batch")
    ]
    return sum(counts)


@pytest.mark.parametrize(
    ("layout", "groups", "step"),
    [*((LAYOUTS[0], groups, 1) for groups in GROUPS), *((layout, GROUPS[1], 2) for layout in LAYOUTS[1:])],
)
def test_value_and_gradients(layout, groups, step):
    n_groups, n_in, n_out = groups
    x = shaped(layout[0], {"N": 2, "H": 6, "W": 9, "C": n_groups * n_in}, 0)
    w = shaped(layout[1], {"H": 3, "W": 2, "I": n_in, "O": n_groups * n_out}, 1)

    def convolve(x, w):
        return lax.conv_general_dilated(
            x, w, (step, 1), "SAME", dimension_numbers=layout, feature_group_count=n_groups, rhs_dilation=(1, step)
        )

    def everything(x, w):
        y, back = jax.vjp(convolve, x, w)
        return y, *back(jnp.sin(y))

    assert n_in_groups(everything, x, w) == 3
    assert n_in_groups(canonical(everything), x, w) == 0
    for got, expected in zip(jax.jit(canonical(everything))(x, w), jax.jit(everything)(x, w), strict=True):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_groups_of_a_transposed_convolution():
    layout = LAYOUTS[0]
    x = shaped(layout[0], {"N": 2, "H": 4, "W": 5, "C": 8}, 0)
    w = shaped(layout[1], {"H": 3, "W": 3, "I": 2, "O": 12}, 1)

    def loss(x, w):
        y = lax.conv_general_dilated(
            x, w, (1, 1), [(1, 2)] * 2, lhs_dilation=(2, 3), dimension_numbers=layout, feature_group_count=4
        )
        return jnp.sin(y).sum()

    gradient = jax.grad(loss, (0, 1))
    assert n_in_groups(gradient, x, w) == 3
    assert n_in_groups(canonical(gradient), x, w) == 0
    for got, expected in zip(jax.jit(canonical(gradient))(x, w), jax.jit(gradient)(x, w), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.complex64, jnp.bfloat16])
def test_other_numbers(dtype):
    """Small whole ones, with which all dtypes are exact."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.integers(-3, 4, (2, 5, 6)), dtype)
    w = jnp.asarray(rng.integers(-3, 4, (3, 2, 9)), dtype)

    def convolve(x, w):
        return lax.conv_general_dilated(
            x, w, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=3
        )

    got = jax.jit(canonical(convolve))(x, w)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, convolve(x, w))
