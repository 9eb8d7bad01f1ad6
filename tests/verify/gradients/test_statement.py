"""Both sides of a statement, evaluated in float64 against JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from verify.algebra.real import Real
from verify.gradients.statement import project, state


def f(params, x, n):
    return {"y": jnp.tanh(params["w"] @ x) * n, "n": n}


ARGS = ({"w": jnp.asarray([[1.0, -0.5], [0.25, 2.0]])}, jnp.asarray([0.3, -0.7]), 3)


def test_names_and_roles():
    statement = state("vjp", f, ARGS, (0,), (1,), None)
    assert [leaf.name for leaf in statement.leaves] == ["args[0]['w']", "args[1]"]
    assert (list(statement.chosen), list(statement.held), list(statement.integers)) == ([0], [1], ["args[2]"])
    assert [leaf.name for leaf in statement.results] == ["f(...)['y']"]
    assert [leaf.name for leaf in statement.seeds] == ["f(...)['y']"]
    assert [leaf.name for leaf in statement.targets] == ["args[0]['w']"]


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_both_sides_agree_for_jax_s_own_rules(kind):
    statement = state(kind, f, ARGS, (0, 1), (), None)
    generator = np.random.default_rng(0)
    leaves = [np.asarray(ARGS[0]["w"], float), np.asarray(ARGS[1], float)]
    seeds = [generator.standard_normal(leaf.type.shape) for leaf in statement.seeds]
    weights = [generator.standard_normal(leaf.type.shape) for leaf in statement.targets]
    real = Real()
    claimed = project(real, statement.claim(real, leaves, seeds), weights)
    np.testing.assert_allclose(claimed, statement.truth(real, leaves, seeds, weights), rtol=1e-12)
    by_jax = statement.run_claimed(*[jnp.asarray(v, jnp.float32) for v in (*leaves, *seeds)])
    np.testing.assert_allclose(project(real, [np.asarray(v) for v in by_jax], weights), claimed, rtol=1e-5)


def test_a_weight_of_none_leaves_a_target_out():
    statement = state("vjp", f, ARGS, (0, 1), (), None)
    leaves, seeds = [np.eye(2), np.ones(2)], [np.ones(2)]
    whole = statement.truth(Real(), leaves, seeds, [np.ones((2, 2)), np.ones(2)])
    parts = [
        statement.truth(Real(), leaves, seeds, [np.ones((2, 2)), None]),
        statement.truth(Real(), leaves, seeds, [None, np.ones(2)]),
    ]
    np.testing.assert_allclose(whole, sum(parts))


def test_hessians():
    def g(x):
        return jnp.sum(x**3 * x[0])

    x, v, w = np.array([0.5, -1.0]), np.array([1.0, 2.0]), np.array([0.3, 0.7])
    statement = state("hvp", g, (jnp.asarray(x, jnp.float32),), 0, (), None)
    hessian = np.asarray(jax.hessian(g)(jnp.asarray(x, jnp.float32)), float)
    np.testing.assert_allclose(statement.truth(Real(), [x], [v], [w]), v @ hessian @ w, rtol=1e-6)
    np.testing.assert_allclose(project(Real(), statement.claim(Real(), [x], [v]), [w]), v @ hessian @ w, rtol=1e-6)
