"""What looks at training after each epoch: by hand-made metrics, within fit, and across a kill."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import Checkpoints, InputError, dense, epochs, fit, mean_squared_error, start, supervised
from fnn.callbacks import Callback, Decision, Event, early_stopping, keep_best, reduce_on_plateau

NAN = float("nan")
KEY = jax.random.key(0)


def stops(callback, values, metric="loss"):
    state, told = callback.init(None), []
    for epoch, value in enumerate(values, start=1):
        event = Event(epoch, {metric: value, "other": 0.0}, None)
        again, _ = callback.update(state, event)
        state, decision = callback.update(state, event)
        jax.tree.map(np.testing.assert_array_equal, again, state)  # pure
        told.append(decision.stop)
    return told


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        ({"patience": 1}, [3, 2, 2], [False, False, True]),
        ({"patience": 3}, [3, 4, 5, 6], [False, False, False, True]),
        ({"patience": 2}, [3, 4, 2, 4, 4], [False, False, False, False, True]),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.6, 2], [False, True, False]),
        ({"patience": 1, "mode": "max"}, [1, 2, 1], [False, False, True]),
        ({"patience": 1}, [NAN, 1, NAN], [True, False, True]),
    ],
)
def test_early_stopping_counts_epochs_without_improvement(options, values, expected):
    assert stops(early_stopping("loss", **options), values) == expected


@pytest.fixture(scope="module")
def line():
    x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
    model = dense(1)
    params, state = model.init(jax.random.key(0), x)
    return supervised(model, mean_squared_error), optax.inject_hyperparams(optax.sgd)(0.1), params, state, (x, 2 * x)


def valley(lowest):
    """Validation that is best in one epoch."""
    seen = []

    def validate(params, state):
        seen.append(np.asarray(params["w"]).copy())
        return {"distance": abs(len(seen) - lowest)}

    return validate, seen


def test_the_best_epoch_is_kept_and_training_stops(line):
    validate, seen = valley(3)
    callbacks = [keep_best("distance"), early_stopping("distance", patience=2)]
    fitted = fit(*line, key=jax.random.key(1), n_epochs=20, batch_size=4, validate=validate, callbacks=callbacks)
    best, _ = fitted.callbacks
    assert len(fitted.history) == 5
    assert (int(best["epoch"]), float(best["value"])) == (3, 0.0)
    np.testing.assert_array_equal(best["params"]["w"], seen[2])
    assert (np.asarray(fitted.params["w"]) != seen[2]).any()


def test_the_rate_falls_on_a_plateau_and_rests(line):
    objective, optimizer, *rest = line
    chained = optax.chain(optax.clip(1.0), optimizer)
    callback = reduce_on_plateau("flat", factor=0.5, patience=1, cooldown=1, min_rate=0.02)
    arguments = {"key": jax.random.key(1), "n_epochs": 8, "validate": lambda *_: {"flat": 1.0}, "callbacks": [callback]}
    states = [epoch.train_state.opt_state for epoch in epochs(objective, chained, *rest, **arguments)]
    rates = [round(float(optax.tree_utils.tree_get(state, "learning_rate")), 4) for state in states]
    assert rates == [0.1, 0.05, 0.05, 0.025, 0.025, 0.02, 0.02, 0.02]


def test_callbacks_are_resumed_to_the_bit(line, tmp_path):
    def run(folder, n_epochs, resume=False):
        callbacks = [
            keep_best("loss"),
            reduce_on_plateau("loss", patience=1, min_delta=0.01),
            early_stopping("loss", patience=30),
        ]
        checkpoints = folder and Checkpoints(folder)
        arguments = {"key": jax.random.key(1), "batch_size": 4, "callbacks": callbacks}
        return fit(*line, **arguments, n_epochs=n_epochs, checkpoints=checkpoints, resume=resume)

    whole = run(None, 12)
    run(tmp_path, 5)
    resumed = run(tmp_path, 12, resume=True)
    assert resumed.history == whole.history
    leaves = [jax.tree.leaves(jax.device_get((fitted.params, fitted.callbacks))) for fitted in (whole, resumed)]
    for one, other in zip(*leaves, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_each_sees_what_the_one_before_decided(line):
    def shift(by):
        def update(state, event):
            params = jax.tree.map(lambda leaf: leaf + by, event.train_state.params)
            return state, Decision(event.train_state._replace(params=params), stop=by == 2.0)

        return Callback("shift", lambda train_state: (), update)

    plain = fit(*line, key=jax.random.key(1), n_epochs=1)
    shifted = fit(*line, key=jax.random.key(1), n_epochs=9, callbacks=[shift(2.0), shift(1.0)])
    assert len(shifted.history) == 1
    np.testing.assert_allclose(shifted.params["w"], plain.params["w"] + 3, rtol=1e-6)


def test_what_cannot_be_meant(line):
    train_state = start(optax.sgd(0.1), {"w": jnp.ones(1)}, {}, jax.random.key(0))
    for patience in (0, 1.5, "a"):
        text = rf"^early_stopping: expected a whole number patience >= 1, got patience == {patience!r}$"
        with pytest.raises(InputError, match=text):
            early_stopping("loss", patience=patience)
    for name, text in (
        ("factor", "factor between 0 and 1, got factor == 'a'"),
        ("patience", "a whole number patience >= 1, got patience == 'a'"),
        ("cooldown", "a whole number cooldown >= 0, got cooldown == 'a'"),
        ("min_rate", "min_rate to be a number, got min_rate == 'a'"),
        ("min_delta", "min_delta >= 0, got min_delta == 'a'"),
    ):
        with pytest.raises(InputError, match=f"^reduce_on_plateau: expected {text}$"):
            reduce_on_plateau("loss", **{name: "a"})
    with pytest.raises(InputError, match=r"min_rate to be a number, got min_rate == nan$"):
        reduce_on_plateau("loss", min_rate=float("nan"))
    with pytest.raises(InputError, match=r"^keep_best: expected mode \"min\" or \"max\", got mode == 'best'$"):
        keep_best("loss", mode="best")
    with pytest.raises(InputError, match=r"^keep_best: expected a metric among loss, got 'accuracy'$"):
        keep_best("accuracy").update(keep_best("accuracy").init(train_state), Event(1, {"loss": 1.0}, train_state))
    with pytest.raises(InputError, match=r"one learning_rate in the optimizer's state; optax.inject_hyperparams"):
        reduce_on_plateau("loss").init(train_state)
    scheduled = start(optax.inject_hyperparams(optax.sgd)(optax.constant_schedule(0.1)), {"w": jnp.ones(1)}, {}, KEY)
    with pytest.raises(InputError, match=r"^reduce_on_plateau: expected a learning_rate that is a number, got a sched"):
        reduce_on_plateau("loss").init(scheduled)
    with pytest.raises(InputError, match=r"^reduce_on_plateau: expected factor between 0 and 1, got factor == 1"):
        reduce_on_plateau("loss", factor=1.0)
