"""What is made flat is computed before, and other reshapes stay."""

import jax
import jax.numpy as jnp
import numpy as np

from fnn.lowering import canonical


def operations(function, x):
    return [eqn.primitive.name for eqn in jax.make_jaxpr(canonical(function))(x).eqns]


def test_flattening():
    x = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)

    def flat(x):
        return jnp.sin(x).reshape(2, 12)

    assert operations(flat, x) == ["sin", "optimization_barrier", "reshape"]
    np.testing.assert_array_equal(jax.jit(canonical(flat))(x), jax.jit(flat)(x))
    gradient = jax.grad(lambda x: (flat(x) ** 2).sum())
    np.testing.assert_array_equal(jax.jit(canonical(gradient))(x), jax.jit(gradient)(x))


def test_other_reshapes_stay():
    x = jnp.zeros((2, 3, 4))
    for shape in [(6, 4), (24,), (2, 3, 2, 2), (3, 2, 4)]:
        assert operations(lambda x, shape=shape: jnp.sin(x).reshape(shape), x) == ["sin", "reshape"]


def test_what_comes_from_outside_is_there():
    assert operations(lambda x: jnp.sin(x.reshape(2, 12)), jnp.zeros((2, 3, 4))) == ["reshape", "sin"]


def test_a_number_written_in_the_program():
    assert canonical(lambda x: x + jnp.reshape(2.0, (1, 1)))(jnp.zeros((1, 1))).tolist() == [[2.0]]
    assert operations(lambda x: x + jax.lax.reshape(2.0, (1,)), jnp.zeros(1))[-1] == "add"
