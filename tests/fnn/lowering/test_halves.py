"""Comparisons of 16 bits give what they give without a detour, and take the detour."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.lowering import canonical

SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-7, 1e-40, 60000.0]
OPERATIONS = {
    **{name: getattr(lax, name) for name in ("eq", "ne", "lt", "le", "gt", "ge", "max", "min")},
    "clamp": lambda a, b: lax.clamp(jnp.asarray(-1, a.dtype), a, jnp.abs(b)),
}


def bits(x):
    return np.asarray(x if x.dtype == bool else lax.bitcast_convert_type(x, jnp.uint16))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_same_bits(name, dtype):
    drawn = np.random.default_rng(0).normal(size=200)
    a, b = (jnp.asarray(grid.ravel(), dtype) for grid in np.meshgrid([*SPECIAL, *drawn], [*SPECIAL, *drawn[:9]]))
    operation = OPERATIONS[name]
    rewritten = canonical(operation)
    plain, detour = jax.jit(operation)(a, b), jax.jit(rewritten)(a, b)
    assert detour.dtype == plain.dtype
    # Which of two zeros, or which NaN, is the larger one is left open by XLA; subnormal numbers count as zeros.
    value = np.asarray(plain, np.float32)
    is_open = (np.isnan(value) | (np.abs(value) < 2.0**-126)) & (plain.dtype != bool)
    assert is_open.mean() < 0.2
    np.testing.assert_array_equal(bits(detour)[~is_open], bits(plain)[~is_open])
    np.testing.assert_array_equal(np.isnan(detour.astype(np.float32)), np.isnan(plain.astype(np.float32)))
    eqns = jax.make_jaxpr(rewritten)(a, b).eqns
    (compared,) = [eqn for eqn in eqns if eqn.primitive.name == name]
    assert {atom.aval.dtype for atom in compared.invars} == {np.dtype(np.float32)}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.int32, jnp.int16])
def test_others_stay(dtype):
    a = jnp.arange(4).astype(dtype)
    assert str(jax.make_jaxpr(canonical(lax.gt))(a, a[::-1])) == str(jax.make_jaxpr(lax.gt)(a, a[::-1]))


def compared_in(jaxpr):
    """Of all bodies, the dtypes in which numbers that are not integers are compared."""
    found = set()
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in OPERATIONS:
            found |= {str(atom.aval.dtype) for atom in eqn.invars if jnp.issubdtype(atom.aval.dtype, jnp.floating)}
        for value in eqn.params.values():
            body = getattr(value, "jaxpr", value)
            found |= compared_in(body) if hasattr(body, "eqns") else set()
    return found


def test_within_a_loop_and_a_gradient():
    def gradient(x):
        def body(_, x):
            return jax.grad(lambda x: jax.nn.relu(x).sum().astype(jnp.float32))(x) * x

        return lax.fori_loop(0, 2, body, x)

    x = jnp.array([-1.0, 0.0, 2.0], jnp.bfloat16)
    traced = jax.make_jaxpr(canonical(gradient))(x)
    assert compared_in(traced.jaxpr) == {"float32"}
    assert "bfloat16" in compared_in(jax.make_jaxpr(gradient)(x).jaxpr)
    assert jax.jit(canonical(gradient))(x).tolist() == [0.0, 0.0, 2.0]
