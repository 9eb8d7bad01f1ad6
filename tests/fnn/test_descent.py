import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import InputError, inertial_descent, mlp, path_mask

PARAMS = {"00_dense": {"w": jnp.array([[1.0, -2.0]]), "b": jnp.array([0.5, 0.25])}}


def run(optimizer, steps=5, params=PARAMS):
    opt_state, trail = optimizer.init(params), []
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(steps):
            grads = jax.tree.map(jnp.sin, params)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            params = optax.apply_updates(params, updates)
            trail.append(params)
    return trail


@pytest.mark.parametrize(("alpha", "beta", "decay"), [(0.5, 0.2, 0.1), (0.3, 1.0, 0.0), (0.1, 0.01, 0.5)])
def test_is_the_formula_of_the_deck(alpha, beta, decay):
    w = before = {name: np.asarray(leaf, np.float64) for name, leaf in PARAMS["00_dense"].items()}
    for step in run(inertial_descent(alpha, beta=beta, weight_decay=decay)):
        own = {"w": decay, "b": 0.0}
        after = {
            k: w[k] + beta * (-alpha * np.sin(w[k]) - alpha * own[k] * w[k]) + (1 - beta) * (w[k] - before[k])
            for k in w
        }
        w, before = after, w
        for name in w:
            np.testing.assert_allclose(step["00_dense"][name], w[name], rtol=1e-5)


def test_equals_its_optax_counterpart():
    counterpart = optax.chain(
        optax.add_decayed_weights(0.1, mask=path_mask("*/w")), optax.sgd(0.5 * 0.2, momentum=1 - 0.2)
    )
    for ours, theirs in zip(run(inertial_descent(0.5, beta=0.2, weight_decay=0.1)), run(counterpart), strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, theirs)


def test_the_sign_of_the_deck_would_let_weights_grow():
    still = {"w": jnp.ones(1)}
    optimizer = inertial_descent(0.5, beta=1.0, weight_decay=0.1)
    updates, _ = optimizer.update({"w": jnp.zeros(1)}, optimizer.init(still), still)
    assert float(updates["w"][0]) == pytest.approx(-0.05)


def test_schedules_and_masks_are_those_of_optax():
    first, second = run(inertial_descent(optax.piecewise_constant_schedule(0.5, {1: 0.0}), beta=1.0), 2)
    jax.tree.map(np.testing.assert_array_equal, first, second)  # a rate of 0 after the first update
    everything = inertial_descent(0.5, beta=1.0, weight_decay=0.1, decayed=path_mask("*"))
    (after,) = run(everything, 1)
    b = PARAMS["00_dense"]["b"]
    np.testing.assert_allclose(after["00_dense"]["b"], b - 0.5 * (jnp.sin(b) + 0.1 * b), rtol=1e-6)
    params, _ = mlp([2], 1).init(jax.random.key(0), jnp.ones((1, 3)))
    assert inertial_descent(0.1, weight_decay=0.1).init(params)


def test_unfit_arguments():
    for beta in (0, 1.5):
        with pytest.raises(InputError, match=rf"^inertial_descent: expected 0 < beta <= 1, got beta == {beta}$"):
            inertial_descent(0.1, beta=beta)
    with pytest.raises(InputError, match=r"^inertial_descent: expected weight_decay >= 0, got weight_decay == -1$"):
        inertial_descent(0.1, weight_decay=-1)
