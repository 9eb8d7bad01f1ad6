"""What is kept apart is itself, and is computed once."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.lowering import apart as module
from fnn.lowering.apart import apart

IS_HEEDED = module.barriers_are_heeded


@pytest.fixture(params=["as it is", "a branch"], autouse=True)
def _either_way(request, monkeypatch):
    """Also on a version of JAX that needs no branch."""
    if request.param == "a branch":
        monkeypatch.setattr(module, "barriers_are_heeded", lambda: False)


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


def test_where_there_is_a_branch(monkeypatch):
    large, small = jnp.ones((256, 300)), jnp.ones((256, 3))
    for is_heeded, backend in itertools.product([True, False], ["cpu", "gpu"]):
        monkeypatch.setattr(jax, "__version_info__", (0, 12) if is_heeded else (0, 10, 2))
        monkeypatch.setattr(module, "barriers_are_heeded", IS_HEEDED)
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        wanted = ["cond"] if backend == "cpu" and not is_heeded else []
        assert [name for name in operations(large) if name == "cond"] == wanted
        for other in (small, large.astype(jnp.int32)):
            assert operations(other) == ["optimization_barrier"]


def operations(x):
    traced = jax.make_jaxpr(lambda x: apart(x) + 0)(x)  # a function that JAX does not know yet
    return [eqn.primitive.name for eqn in traced.eqns if eqn.primitive.name != "add"]


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
