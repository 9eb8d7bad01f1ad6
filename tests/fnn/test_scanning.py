"""The loop inside one program takes the steps of fit."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import (
    DataError,
    InputError,
    accuracy,
    dense,
    dropout,
    fit,
    fit_scan,
    mean_squared_error,
    serial,
    softmax_cross_entropy_with_integer_labels as cross_entropy,
    supervised,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(11, 3)).astype(np.float32)
LABELS = np.arange(11, dtype=np.int32) % 3
WEIGHTS = RNG.integers(0, 3, 11).astype(np.float32)
KEY = jax.random.key(5)
MODEL = serial(dense(8), jnp.tanh, dropout(0.3), dense(3))
OBJECTIVE = supervised(MODEL, cross_entropy, {"accuracy": accuracy})


def close(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, other)


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ((X, LABELS), {"batch_size": 4}),  # the last batch is padded
        ((X, LABELS, WEIGHTS), {"batch_size": 4, "shuffle": False}),
        ((X, LABELS), {"batch_size": None}),
    ],
    ids=["padded", "weights, in order", "full batch"],
)
def test_the_updates_are_those_of_fit(data, options):
    params, state = MODEL.init(jax.random.key(1), X)
    arguments = OBJECTIVE, optax.adam(0.01), params, state, data
    fitted = fit(*arguments, key=KEY, n_epochs=3, **options)
    scanned = jax.jit(lambda key: fit_scan(*arguments, key=key, n_epochs=3, **options))(KEY)
    close(scanned.params, fitted.params)
    assert int(scanned.train_state.step) == int(fitted.train_state.step)
    assert int(scanned.first_bad) == -1
    assert set(scanned.history) == {"loss", "accuracy"}
    for name, values in scanned.history.items():
        np.testing.assert_allclose(values, [metrics[name] for metrics in fitted.history], rtol=1e-5)


def test_state_is_carried():
    def counting(params, state, x, *, key=None, train=False):
        return x * params["w"][None], {"calls": state["calls"] + 1}

    model = type(MODEL)(lambda key, x: ({"w": jnp.ones(3)}, {"calls": jnp.zeros((), jnp.int32)}), counting)
    params, state = model.init(KEY, X)
    objective = supervised(model, mean_squared_error)
    scanned = fit_scan(objective, optax.sgd(0.1), params, state, (X, X), key=KEY, n_epochs=2, batch_size=4)
    assert int(scanned.state["calls"]) == 2 * 3


def test_no_epochs_change_nothing():
    params, state = MODEL.init(jax.random.key(1), X)
    scanned = fit_scan(OBJECTIVE, optax.sgd(0.1), params, state, (X, LABELS), key=KEY, n_epochs=0)
    close(scanned.params, params)
    assert scanned.history["loss"].shape == (0,)
    assert int(scanned.first_bad) == -1


def test_the_first_bad_step_is_told():
    line = dense(1, bias=False)
    objective = supervised(line, mean_squared_error)
    ones = np.ones((4, 1), np.float32)

    @jax.jit
    def first_bad(w, learning_rate):
        params = {"w": jnp.full((1, 1), w)}
        return fit_scan(
            objective, optax.sgd(learning_rate), params, {}, (ones, ones), key=KEY, n_epochs=3, batch_size=2
        ).first_bad

    assert int(first_bad(2.0, 0.1)) == -1
    assert int(first_bad(np.inf, 0.1)) == 1
    # w - 1 becomes 1e20, whose square is no float32; the loss of step 2 is the first that sees it.
    assert int(first_bad(2.0, -5e19)) == 2


def test_the_last_update_may_be_the_bad_one():
    ones = np.ones((2, 1), np.float32)
    objective = supervised(dense(1, bias=False), mean_squared_error)
    params = {"w": jnp.full((1, 1), 2.0)}
    arguments = objective, optax.sgd(jnp.inf), params, {}, (ones, ones)
    scanned = fit_scan(*arguments, key=KEY, n_epochs=1)
    assert np.isfinite(scanned.history["loss"]).all()
    assert int(scanned.first_bad) == 1


@pytest.mark.parametrize(
    ("data", "options", "error", "text"),
    [
        (
            (X, LABELS),
            {"n_epochs": -1},
            InputError,
            "fit_scan: expected a whole number n_epochs >= 0, got n_epochs == -1",
        ),
        ((X, LABELS), {"n_epochs": 2.0}, InputError, "fit_scan: expected a whole number n_epochs >= 0, got .* 2.0"),
        ((X, LABELS), {"key": 1}, InputError, r"fit_scan: expected key=jax.random.key\(seed\), got key == 1"),
        ((X, LABELS), {"batch_size": 0}, InputError, "expected a whole number batch_size >= 1"),
        ((X, LABELS[:3]), {}, InputError, "the same number of examples"),
        ((X, LABELS, -WEIGHTS), {}, InputError, "fit_scan: expected weights of at least 0"),
        ((np.full_like(X, np.nan), LABELS), {}, DataError, "fit_scan: expected finite numbers, got nan at x"),
        (X, {}, InputError, r"expected a tuple \(x, y\)"),
    ],
)
def test_bad_arguments(data, options, error, text):
    with pytest.raises(error, match=text):
        fit_scan(OBJECTIVE, optax.sgd(0.1), {}, {}, data, **{"key": KEY, "n_epochs": 1, **options})
