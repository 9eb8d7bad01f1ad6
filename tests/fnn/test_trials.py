"""Short trainings before the long one."""

import jax
import numpy as np
import optax
import pytest

from fnn import Batch, InputError, accuracy, dense, mean_squared_error, mlp, supervised
from fnn.callbacks import early_stopping, keep_best
from fnn.losses import softmax_cross_entropy_with_integer_labels as cross_entropy
from fnn.trials import fast_dev_run, find_learning_rate, overfit_one_batch

KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    y = (x @ rng.normal(size=(6, 3))).argmax(-1).astype(np.int32)
    model = mlp([16], 3, drop_rate=0.1)
    params, state = model.init(jax.random.key(1), x)
    return supervised(model, cross_entropy, {"accuracy": accuracy}), params, state, (x, y)


def test_the_suggested_rate_learns_and_leaves_no_trace(problem):
    objective, params, state, data = problem
    before = jax.tree.map(np.array, params)
    found = find_learning_rate(objective, optax.adam, params, state, data, key=KEY)
    jax.tree.map(np.testing.assert_array_equal, params, before)
    again = find_learning_rate(objective, optax.adam, params, state, data, key=KEY)
    np.testing.assert_array_equal(found.losses, again.losses)
    assert found.rates.shape == found.losses.shape
    assert found.rates[0] == pytest.approx(1e-6)
    assert 1e-4 < found.suggestion < 1
    assert found.suggestion in found.rates
    tenth, suggested = (
        overfit_one_batch(objective, optax.adam(rate), params, state, data, key=KEY, n_steps=30).history[-1]["loss"]
        for rate in (found.suggestion / 100, found.suggestion)
    )
    assert suggested < tenth


class Lines:
    """A source that counts what is fetched."""

    fetched = 0

    def __len__(self):
        return 5000

    def take(self, rows):
        self.fetched += len(rows)
        x = (rows[:, None] % 7).astype(np.float32)
        return Batch(x, 2 * x)


def test_a_source_is_asked_for_no_more_than_is_seen():
    source, model = Lines(), dense(1)
    arguments = supervised(model, mean_squared_error), optax.sgd, *model.init(KEY, np.ones((1, 1), np.float32)), source
    found = find_learning_rate(*arguments, key=KEY, n_steps=40, batch_size=8)
    assert source.fetched == 40 * 8
    assert found.suggestion < 1


def uphill(schedule):
    return optax.sgd(lambda count: -schedule(count))


def test_divergence_ends_the_search(problem):
    objective, params, state, data = problem
    found = find_learning_rate(objective, optax.sgd, params, state, data, key=KEY, high=1e30, n_steps=200)
    assert len(found.rates) < 200
    assert np.isfinite(found.losses).all()
    with pytest.raises(InputError, match=r"^find_learning_rate: expected a loss that falls somewhere between 0.1"):
        find_learning_rate(
            objective, uphill, params, state, data, key=KEY, low=0.1, high=2, n_steps=30, batch_size=None
        )
    with pytest.raises(InputError, match=r"^find_learning_rate: expected 0 < low < high, got low == 1, high == 0.1$"):
        find_learning_rate(objective, optax.sgd, params, state, data, key=KEY, low=1, high=0.1)


def test_one_batch_is_learned_by_heart(problem):
    objective, params, state, data = problem
    fitted = overfit_one_batch(objective, optax.adam(0.03), params, state, data, key=KEY, n_steps=150, batch_size=8)
    assert len(fitted.history) == 150
    assert fitted.history[-1]["loss"] < 0.2 < fitted.history[0]["loss"]


def test_a_dev_run_goes_through_everything_once(problem):
    objective, params, state, data = problem
    seen = []

    def validate(params, state):
        seen.append(1)
        return {"validation_loss": 1.0}

    fitted = fast_dev_run(
        objective,
        optax.adam(0.01),
        params,
        state,
        data,
        key=KEY,
        validate=validate,
        callbacks=[keep_best("validation_loss"), early_stopping("loss", patience=1)],
    )
    assert (int(fitted.train_state.step), seen, list(fitted.history[0])) == (
        2,
        [1],
        ["loss", "accuracy", "validation_loss"],
    )
    with pytest.raises(InputError, match="a metric among loss, accuracy, got 'validation_los'"):
        fast_dev_run(objective, optax.adam(0.01), params, state, data, key=KEY, callbacks=[keep_best("validation_los")])
    tiny = fast_dev_run(objective, optax.adam(0.01), params, state, (data[0][:1], data[1][:1]), key=KEY)
    assert int(tiny.train_state.step) == 1
