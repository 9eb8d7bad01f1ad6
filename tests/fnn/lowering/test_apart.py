"""What is kept apart is itself, and is computed once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.lowering.apart import apart


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (256, 300)])
def test_it_is_itself(dtype, shape):
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape) * 3).astype(dtype)
    np.testing.assert_array_equal(jax.jit(apart)(x), x)


@pytest.mark.parametrize("first", [np.nan, -0.0, np.inf])
def test_whatever_comes_first(first):
    x = np.random.default_rng(0).normal(size=(256, 300)).astype(np.float32)
    x[0, 0], x[5] = first, -0.0
    got = np.asarray(jax.jit(apart)(x))
    np.testing.assert_array_equal(got.view(np.int32), x.view(np.int32))


def test_for_many_and_with_a_gradient():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 256, 300)), jnp.float32)
    np.testing.assert_array_equal(jax.jit(jax.vmap(apart))(x), x)
    np.testing.assert_array_equal(jax.jit(jax.grad(lambda x: (apart(x) ** 2).sum()))(x), 2 * x)


def transpositions_of_a_sine(keep):
    """How many compute it: of a loop in which both the sine of something and two transposes of that are used."""

    def body(_, x):
        y = jnp.sin(x)
        left, right = lax.transpose(keep(y), (3, 1, 2, 0)), lax.transpose(keep(y), (1, 2, 0, 3))
        axes = ("NHWC", "HWIO", "NHWC")
        w = lax.conv_general_dilated(left, right, (1, 1), ((1, 1), (1, 1)), dimension_numbers=axes)
        return x + y * w.sum()

    program = jax.jit(lambda x: lax.fori_loop(0, 3, body, x)).lower(jnp.ones((64, 14, 14, 32))).compile()
    return sum(" sine(" in part and " transpose(" in part for part in program.as_text().split("\n\n"))


def test_computed_once():
    assert transpositions_of_a_sine(lambda y: y) > 0
    assert transpositions_of_a_sine(apart) == 0
