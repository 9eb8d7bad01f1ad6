import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import (
    DataError,
    InputError,
    adaline,
    adaline_rule,
    fit,
    half_squared_error,
    learn,
    mlp,
    perceptron,
    perceptron_rule,
    sigmoid_binary_cross_entropy,
    step,
    supervised,
    tanh,
    toy,
)

ZEROS = {"w": jnp.zeros((2, 1)), "b": jnp.zeros(1)}
SEPARABLE = ("and", "nand", "or", "nor")
MIXED = ("xor", "xnor")


def outputs(model, params, gate):
    return model.apply(params, {}, gate.x)[0]


@pytest.mark.parametrize("name", SEPARABLE)
def test_both_rules_learn_the_gates_that_a_line_separates(name):
    gate = toy.logic_gate(name)
    learned = learn(perceptron_rule, ZEROS, gate, n_epochs=20)
    np.testing.assert_array_equal(outputs(perceptron(1), learned.params, gate), gate.y)
    assert learned.errors[-1] == 0
    params = learn(adaline_rule, ZEROS, gate, learning_rate=0.1, n_epochs=50).params
    np.testing.assert_array_equal(step(outputs(adaline(1), params, gate) - 0.5), gate.y)


@pytest.mark.parametrize("name", MIXED)
def test_neither_rule_learns_the_others(name):
    gate = toy.logic_gate(name)
    learned = learn(perceptron_rule, ZEROS, gate, n_epochs=60)
    assert learned.errors.min() > 0  # every pass had a mistake
    # Least squares itself answers 1/2 to everything, and so does Adaline, which goes there.
    params = learn(adaline_rule, ZEROS, gate, learning_rate=0.01, n_epochs=2000).params
    np.testing.assert_allclose(outputs(adaline(1), params, gate), np.full((4, 1), 0.5), atol=0.02)


def test_no_line_at_all_separates_xor():
    x, y, _ = toy.logic_gate("xor")
    # Adding up the four conditions on w and b gives 0 > 0: y = 1 twice asks w1 + w2 + 2 b > 0, y = 0 twice at most 0.
    signs = np.where(y[:, 0] == 1, 1, -1)[:, None]
    np.testing.assert_array_equal((signs * np.hstack([x, np.ones((4, 1))])).sum(axis=0), [0, 0, 0])


def test_a_hidden_layer_learns_xor():
    gate = toy.logic_gate("xor")
    model = mlp([4], 1, activation=tanh)
    params, state = model.init(jax.random.key(0), gate.x)
    objective = supervised(model, sigmoid_binary_cross_entropy)
    fitted = fit(objective, optax.adam(0.1), params, state, gate, key=jax.random.key(0), n_epochs=100, batch_size=None)
    np.testing.assert_array_equal(step(outputs(model, fitted.params, gate)), gate.y)
    assert fitted.history[-1]["loss"] < 0.05


def test_the_perceptron_keeps_its_bound_on_mistakes():
    x, y, _ = toy.gauss(jax.random.key(0), 60, noise=0.2)
    data = x, y[:, None].astype(np.float32)
    learned = learn(perceptron_rule, ZEROS, data, n_epochs=30)
    assert learned.errors[-1] == 0
    # Any separating plane bounds them by (R / margin)^2; the one that was learned is one.
    inputs = np.hstack([x, np.ones((60, 1), np.float32)])
    plane = np.append(learned.params["w"], learned.params["b"])
    margin = (inputs @ plane * np.where(y == 1, 1, -1)).min() / np.linalg.norm(plane)
    assert 0 < learned.errors.sum() <= (np.linalg.norm(inputs, axis=1).max() / margin) ** 2


def test_adaline_is_gradient_descent_one_example_at_a_time():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(6, 2)).astype(np.float32), rng.normal(size=(6, 1)).astype(np.float32)
    learned = learn(adaline_rule, ZEROS, data, learning_rate=0.05, n_epochs=3)
    objective = supervised(adaline(1), half_squared_error)
    fitted = fit(
        objective, optax.sgd(0.05), ZEROS, {}, data, key=jax.random.key(0), n_epochs=3, batch_size=1, shuffle=False
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), learned.params, fitted.params)
    # The loss of a pass is the mean of half the squared errors that the rule met.
    losses = [epoch["loss"] for epoch in fitted.history]
    np.testing.assert_allclose(learned.errors / 12, losses, rtol=1e-5)


def test_unfit_arguments():
    x = jnp.ones(2)
    for rule in (perceptron_rule, adaline_rule):
        with pytest.raises(InputError, match=rf"^{rule.__name__}: expected x \(n_in,\), w .*, got x \(2,\), w"):
            rule(ZEROS, x, x, 1.0)
        with pytest.raises(InputError, match=rf"^{rule.__name__}: expected x of one example, with one axis, got x"):
            rule(ZEROS, jnp.ones((1, 2)), jnp.ones(1), 1.0)
    gate = toy.logic_gate("and")
    with pytest.raises(InputError, match=r"^learn: expected y with two axes, got y.shape == \(4,\)$"):
        learn(perceptron_rule, ZEROS, (gate.x, gate.y[:, 0]))
    with pytest.raises(InputError, match=r"^learn: expected n_epochs >= 1, got n_epochs == 0$"):
        learn(perceptron_rule, ZEROS, gate, n_epochs=0)
    with pytest.raises(InputError, match=r"^learn: expected learning_rate > 0, got learning_rate == 0$"):
        learn(perceptron_rule, ZEROS, gate, learning_rate=0)
    with pytest.raises(DataError, match=r"^learn: expected finite numbers, got nan at x\[0, 0\]$"):
        learn(perceptron_rule, ZEROS, (gate.x * np.float32(np.nan), gate.y))
