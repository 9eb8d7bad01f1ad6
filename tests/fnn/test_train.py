import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import (
    Batch,
    DataError,
    DivergedError,
    InputError,
    accuracy,
    batches,
    dense,
    epochs,
    fit,
    make_step,
    mean_squared_error,
    mlp,
    serial,
    sigmoid,
    sigmoid_binary_cross_entropy,
    start,
    supervised,
    tanh,
)
from fnn.losses import softmax_cross_entropy_with_integer_labels as cross_entropy
from fnn.trials import find_learning_rate, overfit_one_batch

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def line():
    """A linear model and 12 points, for which a float32 sum is nearly exact."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 3)).astype(np.float32)
    y = (x @ np.array([[1.0], [-2.0], [0.5]], np.float32)) + np.float32(0.25)
    model = dense(1)
    params, state = model.init(jax.random.key(1), x)
    return supervised(model, mean_squared_error), params, state, (x, y)


def close(one, other, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), one, other)


def equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def by_hand(data, params, rate, sizes):
    """Gradient descent on the mean squared error of w x + b, in float64, batches of these sizes in order."""
    x, y = (np.asarray(part, np.float64) for part in data)
    w, b = np.asarray(params["w"], np.float64), np.asarray(params["b"], np.float64)
    begin = 0
    for size in sizes:
        rows = slice(begin, begin + size)
        error = x[rows] @ w + b - y[rows]
        w, b = w - rate * 2 * x[rows].T @ error / size, b - rate * 2 * error.mean(axis=0)
        begin = (begin + size) % len(x)
    return {"w": w, "b": b}


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(None, [12]), (12, [12]), (100, [12]), (1, [1] * 12), (4, [4] * 3), (5, [5, 5, 2])]
)
def test_updates_are_those_computed_by_hand(line, batch_size, sizes):
    objective, params, state, data = line
    fitted = fit(
        objective, optax.sgd(0.05), params, state, data, key=KEY, n_epochs=2, batch_size=batch_size, shuffle=False
    )
    close(fitted.params, by_hand(data, params, 0.05, sizes * 2), rtol=1e-5, atol=1e-6)
    assert int(fitted.train_state.step) == 2 * len(sizes)


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_accumulated_small_batches_are_one_full_batch(line, batch_size):
    objective, params, state, data = line
    whole = fit(objective, optax.adam(0.1), params, state, data, key=KEY, n_epochs=3, batch_size=None)
    accumulating = optax.MultiSteps(optax.adam(0.1), 12 // batch_size).gradient_transformation()
    parts = fit(objective, accumulating, params, state, data, key=KEY, n_epochs=3, batch_size=batch_size)
    close(parts.params, whole.params, rtol=1e-4, atol=1e-5)


def test_with_vanishing_rate_all_batch_sizes_sum_the_same_gradient(line):
    # To first order in the rate an epoch of n/b updates moves n/b times as far as one full-batch update.
    objective, params, state, data = line
    moved = {}
    for batch_size in (None, 4, 1):
        fitted = fit(objective, optax.sgd(1e-3), params, state, data, key=KEY, n_epochs=1, batch_size=batch_size)
        n_updates = int(fitted.train_state.step)
        moved[n_updates] = jax.tree.map(lambda a, b, n=n_updates: (a - b) / n, fitted.params, params)
    assert sorted(moved) == [1, 3, 12]
    close(moved[3], moved[1], rtol=0.02)
    close(moved[12], moved[1], rtol=0.05)


def test_the_padded_last_batch_counts_its_own_examples_only(line):
    objective, params, state, data = line
    fitted = fit(objective, optax.sgd(0.0), params, state, data, key=KEY, n_epochs=1, batch_size=5)
    loss = objective(params, state, data, KEY)[0]
    np.testing.assert_allclose(fitted.history[0]["loss"], loss, rtol=1e-6)


def test_weights_of_the_data_are_used(line):
    objective, params, state, (x, y) = line
    weights = np.r_[np.ones(8), np.zeros(4)].astype(np.float32)
    arguments = {"key": KEY, "n_epochs": 5, "batch_size": None}
    weighted = fit(objective, optax.sgd(0.1), params, state, (x, y, weights), **arguments)
    fewer = fit(objective, optax.sgd(0.1), params, state, (x[:8], y[:8]), **arguments)
    close(weighted.params, fewer.params, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def noisy():
    """A network with dropout, and an odd number of examples: everything that draws random numbers takes part."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(50, 4)).astype(np.float32), rng.integers(0, 3, 50).astype(np.int32)
    model = mlp([8], 3, drop_rate=0.3)
    params, state = model.init(jax.random.key(1), x)
    return supervised(model, cross_entropy, {"accuracy": accuracy}), optax.adam(0.01), params, state, (x, y)


def test_same_arguments_same_bits_and_nothing_given_is_changed(noisy):
    objective, optimizer, params, state, data = noisy
    before = jax.tree.map(np.array, (params, data))
    one = fit(objective, optimizer, params, state, data, key=KEY, n_epochs=3, batch_size=16)
    other = fit(objective, optimizer, params, state, data, key=KEY, n_epochs=3, batch_size=16)
    equal(one.params, other.params)
    assert one.history == other.history
    equal((params, data), before)
    different = fit(objective, optimizer, params, state, data, key=jax.random.key(6), n_epochs=3, batch_size=16)
    assert (np.asarray(different.params["01_dense"]["w"]) != np.asarray(one.params["01_dense"]["w"])).any()


def test_a_loop_written_by_hand_gives_the_bits_of_fit(noisy):
    objective, optimizer, params, state, data = noisy
    order_key, step_key = jax.random.split(KEY)
    train_state, step = start(optimizer, params, state, step_key), jax.jit(make_step(objective, optimizer))
    for epoch in range(2):
        for batch in batches(data, 16, jax.random.fold_in(order_key, epoch)):
            train_state, _ = step(train_state, batch)
    equal(fit(objective, optimizer, params, state, data, key=KEY, n_epochs=2, batch_size=16).params, train_state.params)


def test_one_trace_per_fit(noisy):
    objective, optimizer, params, state, data = noisy
    traced = []

    def counting(*arguments):
        traced.append(arguments[2].x.shape)
        return objective(*arguments)

    fit(counting, optimizer, params, state, data, key=KEY, n_epochs=3, batch_size=16)
    assert traced == [(16, 4)]  # for the names of the metrics and for the program


def test_epochs_hands_out_states_that_stay_and_can_be_left(noisy):
    objective, optimizer, params, state, data = noisy
    sent = []
    arguments = {"key": KEY, "batch_size": 16, "on_step": sent.append}
    met = list(epochs(objective, optimizer, params, state, data, n_epochs=3, **arguments))
    assert [epoch.number for epoch in met] == [1, 2, 3]
    assert sent == list(range(1, 13))
    assert list(met[0].metrics) == ["loss", "accuracy"]
    for epoch in met:  # none was donated away
        assert jnp.isfinite(epoch.train_state.params["01_dense"]["w"]).all()
        assert int(epoch.train_state.step) == 4 * epoch.number
    two = fit(objective, optimizer, params, state, data, key=KEY, n_epochs=2, batch_size=16)
    equal(two.params, met[1].train_state.params)


def test_no_epochs_and_shuffling(noisy):
    objective, optimizer, params, state, data = noisy
    equal(fit(objective, optimizer, params, state, data, key=KEY, n_epochs=0).params, params)
    ordered, shuffled = (
        fit(objective, optax.sgd(0.1), params, state, data, key=KEY, n_epochs=1, batch_size=16, shuffle=shuffle)
        for shuffle in (False, True)
    )
    assert (np.asarray(ordered.params["01_dense"]["w"]) != np.asarray(shuffled.params["01_dense"]["w"])).any()


OPTIMIZERS = {
    "adamw": optax.adamw(0.01),
    "clipped lion": optax.chain(optax.clip(1.0), optax.lion(0.01)),
    "scheduled, accumulating": optax.MultiSteps(
        optax.adam(optax.cosine_decay_schedule(0.05, 20)), 2
    ).gradient_transformation(),
    "asking for the loss": optax.chain(optax.adam(0.01), optax.contrib.reduce_on_plateau()),
    "searching along a line": optax.lbfgs(),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer(noisy, name):
    objective, _, params, state, data = noisy
    history = fit(objective, OPTIMIZERS[name], params, state, data, key=KEY, n_epochs=20, batch_size=25).history
    assert history[-1]["loss"] < history[0]["loss"]


def test_xor_is_learned_with_a_hidden_layer():
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    y = np.array([[0], [1], [1], [0]], np.float32)
    model = serial(dense(8), tanh, dense(1))
    params, state = model.init(jax.random.key(0), x)
    objective = supervised(model, sigmoid_binary_cross_entropy)
    fitted = fit(objective, optax.adam(0.1), params, state, (x, y), key=KEY, n_epochs=150, batch_size=None)
    np.testing.assert_allclose(sigmoid(model.apply(fitted.params, fitted.state, x)[0]), y, atol=0.05)


def test_divergence_names_the_step(line):
    objective, params, state, data = line
    with pytest.raises(DivergedError, match=r"^training diverged: at step [0-9]+ \(epoch .*\), the loss is") as error:
        fit(objective, optax.sgd(1e6), params, state, data, key=KEY, n_epochs=10, batch_size=4)
    assert error.value.step == first_bad_step(line, 1e6)
    assert error.value.layer == "loss"
    assert (error.value.epoch, error.value.batch) == tuple(1 + n for n in divmod(error.value.step - 1, 3))
    assert int(error.value.train_state.step) == error.value.step - 1
    # The state from before and the examples that are named give that loss.
    rows, before = error.value.rows, error.value.train_state
    assert np.isfinite(before.params["w"]).all()
    assert not np.isfinite(objective(before.params, before.state, (data[0][rows], data[1][rows]), KEY)[0])


def first_bad_step(line, rate):
    objective, params, state, data = line
    order_key, step_key = jax.random.split(KEY)
    train_state, step = start(optax.sgd(rate), params, state, step_key), jax.jit(make_step(objective, optax.sgd(rate)))
    for epoch in range(10):
        for batch in batches(data, 4, jax.random.fold_in(order_key, epoch)):
            train_state, metrics = step(train_state, batch)
            if not np.isfinite(metrics["loss"]):
                return int(train_state.step)
    raise AssertionError("the loss stayed finite")


def test_a_parameter_lost_in_the_very_last_step_is_noticed(line):
    objective, params, state, data = line
    with pytest.raises(DivergedError, match=r"^training diverged: at step 1 .*, the update is not finite; the"):
        fit(objective, optax.sgd(float("inf")), params, state, data, key=KEY, n_epochs=1, batch_size=None)


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (
            lambda x, y: (x, y[:5]),
            {},
            InputError,
            "data: expected x, y and weights with the same number of examples, got",
        ),
        (lambda x, y: (x[:0], y[:0]), {}, InputError, "data: expected at least one example, got none"),
        (lambda x, y: [x, y], {}, InputError, r"fit: expected a tuple \(x, y\) or .*, or a source, got list"),
        (lambda x, y: (np.where(x == x[2, 1], np.nan, x), y), {}, DataError, r"fit: .* got nan at x\[2, 1\]"),
        (lambda x, y: (x, np.where(y == y[3], np.inf, y)), {}, DataError, r"fit: .* got inf at y\[3, 0\]"),
        (
            lambda x, y: (x, y),
            {"batch_size": 0},
            InputError,
            "data: expected a whole number batch_size >= 1, or None for all, got",
        ),
        (
            lambda x, y: (x, y),
            {"n_epochs": -1},
            InputError,
            "fit: expected a whole number n_epochs >= 0, got n_epochs == -1",
        ),
    ],
)
def test_unfit_data_and_arguments(line, data, options, error, message):
    objective, params, state, pair = line
    with pytest.raises(error, match=f"^{message}"):
        fit(objective, optax.sgd(0.1), params, state, data(*pair), **{"key": KEY, "n_epochs": 1, **options})


def test_an_objective_of_ones_own_with_data_of_ones_own():
    # Nothing but inputs, a dict of two arrays; the mean of their sum is learned.
    def objective(params, state, batch, key):
        x, _, weights = Batch(*batch)
        error = jnp.square(x["a"] + x["b"] - params)
        loss = jnp.mean(error) if weights is None else jnp.sum(weights * error) / jnp.sum(weights)
        return loss, (state, {})

    x = {"a": np.arange(5, dtype=np.float32), "b": np.ones(5, np.float32)}
    fitted = fit(objective, optax.sgd(0.5), jnp.zeros(()), {}, (x,), key=KEY, n_epochs=1, batch_size=None)
    np.testing.assert_allclose(fitted.params, 3.0)
    assert list(fitted.history[0]) == ["loss"]
    padded = fit(objective, optax.sgd(0.1), jnp.zeros(()), {}, (x,), key=KEY, n_epochs=60, batch_size=2)
    assert abs(float(padded.params) - 3.0) < 0.7


def test_a_nan_of_the_gradient_names_the_layer_and_the_step_before_the_loss_shows_it():
    # sqrt(0) is fine, its slope is not: the loss of this step is finite, its gradient is not.
    x = np.array([[0.0], [1.0], [4.0], [0.0], [9.0], [16.0]], np.float32)
    model = serial(dense(1), jnp.abs, jnp.sqrt, dense(1))
    params, state = model.init(jax.random.key(0), x)
    params["00_dense"]["w"] = jnp.ones((1, 1))
    objective = supervised(model, mean_squared_error)
    frozen = optax.sgd(0.0)  # 0 times NaN is NaN
    ordered = np.array([1, 2, 3, 0, 4, 5])
    with pytest.raises(DivergedError, match=r"at step 2 \(epoch 1, batch 2 of 3\), the gradient of 0[12]_") as error:
        fit(
            objective, frozen, params, state, (x[ordered], x[ordered]), key=KEY, n_epochs=2, batch_size=2, shuffle=False
        )
    assert error.value.rows.tolist() == [2, 3]
    equal(error.value.train_state.params, params)


@pytest.mark.parametrize("every", [1, 3])
def test_whether_watched_or_chunked_the_bits_are_the_same(noisy, monkeypatch, every):
    objective, optimizer, params, state, data = noisy
    arguments = {"key": KEY, "n_epochs": 2, "batch_size": 4}
    at_once = fit(objective, optimizer, params, state, data, **arguments)
    watched = fit(objective, optimizer, params, state, data, **arguments, on_step=lambda step: None)
    for limit in ("_CHUNK_BYTES", "_LONG_BYTES"):
        monkeypatch.setattr(f"fnn.feeding.{limit}", every * 4 * 5 * 4 + 20)
    chunked = fit(objective, optimizer, params, state, data, **arguments)
    for other in (watched, chunked):
        equal(other.params, at_once.params)
        assert other.history == at_once.history


def test_a_source_gives_the_bits_of_its_arrays(noisy):
    objective, optimizer, params, state, (x, y) = noisy

    class Fetched:
        def __len__(self):
            return len(x)

        def take(self, rows):
            return Batch(x[rows], y[rows])

    arguments = {"key": KEY, "n_epochs": 2, "batch_size": 16}
    one, other = (fit(objective, optimizer, params, state, data, **arguments) for data in ((x, y), Fetched()))
    equal(one.params, other.params)


def test_validation_joins_the_metrics(noisy):
    objective, optimizer, params, state, data = noisy
    seen = []

    def validate(params, state):
        seen.append(np.asarray(params["01_dense"]["b"]))
        return {"validation_loss": 2.0}

    fitted = fit(objective, optimizer, params, state, data, key=KEY, n_epochs=2, batch_size=16, validate=validate)
    assert [list(epoch) for epoch in fitted.history] == [["loss", "accuracy", "validation_loss"]] * 2
    assert (seen[0] != seen[1]).any()
    with pytest.raises(InputError, match=r"^fit: expected validate to give names other than .*, got loss$"):
        fit(objective, optimizer, params, state, data, key=KEY, n_epochs=1, validate=lambda *_: {"loss": 1.0})


def test_an_update_that_changes_a_dtype_is_refused(noisy):
    objective, _, params, state, data = noisy
    widening = optax.stateless(lambda updates, params: updates)
    growing = optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), lambda u, s, p=None: (u, s * 1.0))
    fit(objective, widening, params, state, data, key=KEY, n_epochs=1)
    with pytest.raises(
        InputError, match=r"leave shapes and dtypes as they are, got opt_state from int32\[\] to float32"
    ):
        fit(objective, growing, params, state, data, key=KEY, n_epochs=1)


def test_weights_of_small_dtypes_do_not_overflow(line):
    objective, params, state, (x, y) = line
    arguments = {"key": KEY, "n_epochs": 2, "batch_size": 5}
    plain = fit(objective, optax.sgd(0.1), params, state, (x, y, np.ones(len(x), np.float32)), **arguments)
    large = fit(objective, optax.sgd(0.1), params, state, (x, y, np.full(len(x), 3e4, np.float16)), **arguments)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), plain.params, large.params)
    with pytest.raises(InputError, match=r"weights whose sum is within float32, got a sum of"):
        fit(objective, optax.sgd(0.1), params, state, (x, y, np.full(len(x), 3e38, np.float32)), **arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": 1}, r"fit: expected key=jax.random.key\(seed\), got key == 1"),
        ({"key": jax.random.split(KEY, 2)}, r"fit: expected key=jax.random.key\(seed\), got keys of shape \(2,\)"),
        ({"batch_size": 4.0}, "data: expected a whole number batch_size"),
        ({"validate": lambda params, state: {"v": np.ones(1)}}, r"fit: expected validate to give one number as 'v'"),
        ({"validate": lambda params, state: {"v": "a"}}, "fit: expected validate to give one number as 'v', got 'a'"),
        ({"validate": lambda params, state: None}, "fit: expected validate to give numbers by name, a dict, got NoneT"),
        ({"validate": lambda params, state: "a"}, "fit: expected validate to give numbers by name, a dict, got str"),
    ],
)
def test_arguments_of_another_kind(line, options, message):
    objective, params, state, data = line
    with pytest.raises(InputError, match=f"^{message}"):
        fit(objective, optax.sgd(0.1), params, state, data, **{"key": KEY, "n_epochs": 1, **options})


def test_a_search_for_a_rate_takes_no_other_key_or_number(line):
    objective, params, state, data = line
    with pytest.raises(InputError, match=r"^find_learning_rate: expected key=jax.random.key\(seed\), got key == 1$"):
        find_learning_rate(objective, optax.sgd, params, state, data, key=1)
    with pytest.raises(InputError, match=r"^find_learning_rate: expected a whole number n_steps >= 3, got .* 4.0$"):
        find_learning_rate(objective, optax.sgd, params, state, data, key=KEY, n_steps=4.0)
    with pytest.raises(InputError, match=r"^overfit_one_batch: expected a whole number n_steps >= 1, got .* 1.5$"):
        overfit_one_batch(objective, optax.sgd(0.1), params, state, data, key=KEY, n_steps=1.5)


def test_a_metric_is_one_number(line):
    objective, params, state, data = line

    def with_many(*arguments):
        loss, (state, metrics) = objective(*arguments)
        return loss, (state, {**metrics, "v": jnp.ones(3)})

    with pytest.raises(InputError, match=r"^fit: expected the objective to give one number as 'v', got shape \(3,\)$"):
        fit(with_many, optax.sgd(0.1), params, state, data, key=KEY, n_epochs=1)
