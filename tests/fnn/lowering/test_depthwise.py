"""Convolutions of each channel by itself, against XLA's, and that none of them is left."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import fnn
from fnn.evaluation import _forward
from fnn.lowering import canonical
from tests.fnn.lowering.test_convolutions import CASES as GEOMETRIES, LAYOUTS, shaped

CASES = {name: case for name, case in GEOMETRIES.items() if "feature_group_count" not in case} | {
    "uneven stride": {"padding": "SAME", "window_strides": (2, 3)}
}


@pytest.mark.parametrize(
    ("case", "layout"), [*itertools.product(CASES, LAYOUTS[:1]), *itertools.product(["stride", "cut off"], LAYOUTS[1:])]
)
def test_values_and_gradients(case, layout):
    arguments = {"window_strides": (1, 1), "dimension_numbers": layout, "feature_group_count": 4} | CASES[case]
    x = shaped(layout[0], {"N": 3, "H": 9, "W": 8, "C": 4}, 0)
    w = shaped(layout[1], {"H": 3, "W": 2, "I": 1, "O": 4}, 1)

    def both(x, w):
        y, back = jax.vjp(lambda x, w: lax.conv_general_dilated(x, w, **arguments), x, w)
        return y, back(jnp.sin(y))

    rewritten = canonical(both)
    for got, expected in zip(*(jax.tree.leaves(jax.jit(f)(x, w)) for f in (rewritten, both)), strict=True):
        assert np.any(expected != 0)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    assert "conv_general_dilated" not in str(jax.make_jaxpr(rewritten)(x, w))


def test_one_axis():
    def gradient(x, w):
        axes = ("NWC", "WIO", "NWC")
        y, back = jax.vjp(
            lambda x, w: lax.conv_general_dilated(x, w, (2,), "SAME", dimension_numbers=axes, feature_group_count=3),
            x,
            w,
        )
        return back(jnp.sin(y))

    x, w = shaped("NWC", {"N": 2, "W": 7, "C": 3}, 0), shaped("WIO", {"W": 4, "I": 1, "O": 3}, 1)
    for got, expected in zip(jax.jit(canonical(gradient))(x, w), jax.jit(gradient)(x, w), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert "conv_general_dilated" not in str(jax.make_jaxpr(canonical(gradient))(x, w))


@pytest.mark.parametrize(
    ("taps", "n_in", "n_groups", "n_out"), [((3, 3), 4, 2, 4), ((3, 3), 4, 4, 8), ((8, 8), 4, 4, 4), ((3, 3), 1, 1, 4)]
)
def test_other_convolutions_stay(taps, n_in, n_groups, n_out):
    x, w = jnp.ones((2, 9, 9, n_in)), jnp.ones((*taps, n_in // n_groups, n_out))

    def convolve(x, w):
        return lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=LAYOUTS[0], feature_group_count=n_groups
        )

    assert "conv_general_dilated" in str(jax.make_jaxpr(canonical(convolve))(x, w))
    np.testing.assert_allclose(canonical(convolve)(x, w), convolve(x, w), rtol=1e-5)


def test_sums_in_bfloat16_are_of_float32():
    """Over 25,088 places, which a sum in bfloat16 would lose."""
    model = fnn.conv(32, groups=32, bias=False)
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 1.5, (32, 28, 28, 32)).astype(np.float32)
    params, state = model.init(jax.random.key(0), x)

    def gradient(dtype):
        cast = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
        x_cast = x.astype(dtype)
        return jax.jit(canonical(jax.grad(lambda p: model.apply(p, state, x_cast)[0].astype(jnp.float32).sum())))(cast)

    got, expected = gradient(jnp.bfloat16)["w"].astype(jnp.float32), gradient(jnp.float32)["w"]
    np.testing.assert_allclose(got, expected, rtol=0.01)


def test_sums_are_of_the_dtype_that_is_asked_for():
    axes = {"dimension_numbers": LAYOUTS[0], "feature_group_count": 2}
    x, w = np.full((1, 1, 2, 2), 1e8, np.float32), np.ones((1, 2, 1, 2), np.float32)
    x[:, :, 1] = 1.0

    def convolve(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), "VALID", preferred_element_type=jnp.float64, **axes)

    with jax.enable_x64(True):
        assert jax.jit(canonical(convolve))(x, w).ravel().tolist() == [1e8 + 1] * 2


def test_nothing_to_see():
    """No examples, and no places."""
    for x in (jnp.ones((0, 5, 5, 2)), jnp.ones((2, 0, 5, 2))):
        w = jnp.ones((3, 3, 1, 2))

        def convolve(x, w):
            y = lax.conv_general_dilated(
                x, w, (1, 1), [(1, 1), (1, 1)], (2, 2), dimension_numbers=LAYOUTS[0], feature_group_count=2
            )
            return y, jax.grad(lambda w: (y * w.sum()).sum())(w)

        for got, expected in zip(canonical(convolve)(x, w), convolve(x, w), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_prediction_is_by_taps_too():
    model = fnn.serial(fnn.conv(6), fnn.relu, fnn.conv(6, groups=6), fnn.flatten(), fnn.dense(3))
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype(np.float32)
    params, state = model.init(jax.random.key(0), x)
    program = str(_forward(model).trace(params, state, x).jaxpr)
    assert "feature_group_count=6" not in program
    np.testing.assert_allclose(
        fnn.predict(model, params, state, x), model.apply(params, state, x)[0], rtol=1e-4, atol=1e-5
    )


def test_whole_numbers_stay():
    x, w = jnp.ones((1, 4, 4, 2), jnp.int32), jnp.ones((3, 3, 1, 2), jnp.int32)

    def convolve(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=LAYOUTS[0], feature_group_count=2)

    assert "conv_general_dilated" in str(jax.make_jaxpr(canonical(convolve))(x, w))
