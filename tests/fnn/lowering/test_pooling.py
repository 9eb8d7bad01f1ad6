"""The gradient of pooling by the maximum, number by number that of the original, ties and NaNs included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.lowering import canonical

CASES = [  # shape, window, strides, padding, whether it is rewritten
    ((2, 6, 8, 3), (1, 2, 2, 1), (1, 2, 2, 1), "VALID", True),
    ((2, 7, 9, 3), (1, 2, 3, 1), (1, 2, 3, 1), "VALID", True),
    ((2, 7, 8, 3), (1, 2, 2, 1), (1, 2, 2, 1), "SAME", False),
    ((2, 3, 9), (1, 1, 4), (1, 1, 4), "VALID", True),
    ((2, 8, 8, 3), (1, 3, 3, 1), (1, 2, 2, 1), "VALID", False),
    ((1, 20, 20, 1), (1, 10, 10, 1), (1, 10, 10, 1), "VALID", False),
]


@pytest.mark.parametrize(("shape", "window", "strides", "padding", "rewritten"), CASES)
def test_gradient(shape, window, strides, padding, rewritten):
    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, size=shape).astype(np.float32)  # many ties
    x[0, 0, 0] = np.nan
    pooled = lambda x: lax.reduce_window(x, -jnp.inf, lax.max, window, strides, padding)  # noqa: E731
    g = rng.normal(size=jax.eval_shape(pooled, x).shape).astype(np.float32)

    def gradient(x, g):
        return jax.vjp(pooled, x)[1](g)[0]

    got, expected = jax.jit(canonical(gradient))(x, g), jax.jit(gradient)(x, g)
    np.testing.assert_array_equal(got, expected)
    assert np.any(expected != 0)
    assert ("select_and_scatter_add" not in str(jax.make_jaxpr(canonical(gradient))(x, g))) == rewritten


def test_members_of_an_ensemble():
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 4, 2)).astype(np.float32)
    window = (1, 2, 2, 1)

    def gradient(x):
        return jax.grad(lambda x: jnp.sum(lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID") ** 2))(x)

    for rewritten in (canonical(jax.vmap(gradient)), jax.vmap(canonical(gradient))):
        np.testing.assert_array_equal(jax.jit(rewritten)(x), jax.vmap(gradient)(x))
