import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import Batch, InputError, accuracy, dense, dropout, half_squared_error, loss_and_grad, serial, supervised
from fnn.losses import softmax_cross_entropy_with_integer_labels as cross_entropy

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(6, 4)), jnp.float32)
    model = dense(3)
    return model, model.init(KEY, x)[0], x, jnp.array([0, 1, 2, 0, 1, 2])


def test_loss_is_the_mean_over_examples(problem):
    model, params, x, y = problem
    losses = cross_entropy(model.apply(params, {}, x)[0], y)
    loss, (state, metrics) = supervised(model, cross_entropy, {"accuracy": accuracy})(params, {}, (x, y), KEY)
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-6)
    assert state == {}
    assert list(metrics) == ["loss", "accuracy"]


def test_weights_zero_is_as_if_the_example_were_not_there(problem):
    model, params, x, y = problem
    value_and_grad = loss_and_grad(supervised(model, cross_entropy))
    weights = jnp.array([1.0, 1, 1, 1, 0, 0])
    (loss, _), grads = value_and_grad(params, {}, Batch(x.at[4:].set(1e30), y, weights), KEY)
    (expected, _), expected_grads = value_and_grad(params, {}, Batch(x[:4], y[:4]), KEY)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    jax.tree.map(lambda g, e: np.testing.assert_allclose(g, e, rtol=1e-5, atol=1e-7), grads, expected_grads)


def test_weights_count_examples_twice(problem):
    model, params, x, y = problem
    objective = supervised(model, cross_entropy)
    doubled = Batch(jnp.concatenate([x, x[:1]]), jnp.concatenate([y, y[:1]]))
    weighted = Batch(x, y, jnp.array([2.0, 1, 1, 1, 1, 1]))
    np.testing.assert_allclose(
        objective(params, {}, weighted, KEY)[0], objective(params, {}, doubled, KEY)[0], rtol=1e-6
    )


def test_the_model_is_in_training(problem):
    *_, x, y = problem
    model = serial(dropout(0.5), dense(3))
    params, state = model.init(KEY, x)
    objective = supervised(model, cross_entropy)
    one, other = (objective(params, state, (x, y), jax.random.key(seed))[0] for seed in (1, 2))
    assert float(one) != float(other)


def test_gradient_agrees_with_differences(problem, check_gradient):
    model, params, x, y = problem

    def loss(params):
        return supervised(model, cross_entropy)(params, {}, (x.astype(params["w"].dtype), y), KEY)[0]

    check_gradient(loss, params)


def test_refusals(problem):
    model, params, x, y = problem
    with pytest.raises(InputError, match=r"^supervised: expected loss to give one number per example, got shape \(\)$"):
        supervised(model, lambda outputs, y: jnp.mean(outputs))(params, {}, (x, y), KEY)
    with pytest.raises(
        InputError, match=r"^supervised: expected weights.shape == \(6,\), got weights.shape == \(6, 1\)$"
    ):
        supervised(model, cross_entropy)(params, {}, (x, y, jnp.ones((6, 1))), KEY)
    with pytest.raises(InputError, match=r"^half_squared_error: expected targets.shape == \(6, 3\) \(outputs.shape\)"):
        supervised(model, half_squared_error)(params, {}, (x, jnp.ones(6)), KEY)
    with pytest.raises(InputError, match=r'^supervised: expected metrics with names other than "loss"'):
        supervised(model, cross_entropy, {"loss": accuracy})
