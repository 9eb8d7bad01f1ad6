"""Many trainings as one program: each is what it is alone."""

import json
import os
import runpy
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from fnn import (
    InputError,
    Swept,
    conv,
    dense,
    dropout,
    fit_scan,
    from_linen,
    relu,
    serial,
    softmax_cross_entropy_with_integer_labels as cross_entropy,
    supervised,
    sweep,
)

X = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
LABELS = (X[:, 0] > 0).astype(np.int32) + (X[:, 1] > 0).astype(np.int32)
MODEL = serial(dense(8), relu, dropout(0.2), dense(3))


def train(model, key, learning_rate, momentum, batch_size=6):
    init_key, fit_key = jax.random.split(key)
    params, state = model.init(init_key, X)
    optimizer = optax.sgd(learning_rate, momentum)
    objective = supervised(model, cross_entropy)
    trained = fit_scan(
        objective, optimizer, params, state, (X, LABELS), key=fit_key, n_epochs=10, batch_size=batch_size
    )
    history = trained.history["loss"]
    return {"params": trained.params, "state": trained.state, "loss": history[-1], "history": history}


def run(key, learning_rate, momentum):
    return train(MODEL, key, learning_rate, momentum)


@pytest.fixture(scope="module")
def swept():
    return sweep(run, seeds=[3, 0, 2], learning_rate=[0.01, 0.3], momentum=[0.5, 0.9])


def test_each_is_equal_to_its_run_alone(swept):
    alone = jax.jit(run)
    for place, seed, learning_rate, momentum in ((0, 3, 0.01, 0.5), (5, 2, 0.01, 0.9), (11, 2, 0.3, 0.9)):
        expected = alone(jax.random.key(seed), learning_rate, momentum)
        got = jax.tree.map(lambda leaf, place=place: leaf[place], swept.results)
        # The tolerance that sweep states.
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, expected)


def test_settings_and_results_are_plain_arrays_in_order(swept):
    assert {name: column.tolist() for name, column in swept.settings.items()} == {
        "learning_rate": [0.01] * 6 + [0.3] * 6,
        "momentum": ([0.5] * 3 + [0.9] * 3) * 2,
        "seed": [3, 0, 2] * 4,
    }
    assert all(type(leaf) is np.ndarray and len(leaf) == 12 for leaf in jax.tree.leaves(swept.results))
    assert swept.chunk_size == 12
    rows = swept.rows()
    assert len(rows) == 12
    assert rows[4] == {
        "learning_rate": 0.01,
        "momentum": 0.9,
        "seed": 0,
        "loss": swept.results["loss"][4].item(),
    }


def test_over_seeds(swept):
    first, *rest = swept.over_seeds()
    losses = swept.results["loss"][:3].astype(np.float64)
    assert len(rest) == 3
    assert first["seeds"] == 3
    assert first["loss_mean"] == losses.mean()
    np.testing.assert_allclose(first["loss_std"], np.sqrt(np.square(losses - losses.mean()).sum() / 2))
    assert set(first) == {"learning_rate", "momentum", "seeds", "loss_mean", "loss_std"}


def test_one_trace_serves_all_chunks_and_a_last_smaller_one():
    traced = []

    def half(key, x):
        traced.append(None)
        return x / 2

    swept = sweep(half, seeds=7, chunk_size=3, x=[1.0])
    assert swept.results.tolist() == [0.5] * 7
    assert swept.chunk_size == 3
    assert len(traced) == 1
    assert swept.rows()[6] == {"x": 1.0, "seed": 6, "result": 0.5}


def test_chunks_fit_memory():
    def large(key):
        return jnp.sort(jax.random.normal(key, (1000,)))[:10]

    whole = sweep(large, seeds=40)
    # A run needs its 4,000 bytes of numbers, twice or more; 40 of them do not fit, some do.
    parts = sweep(large, seeds=40, max_bytes=100_000)
    assert whole.chunk_size == 40
    assert 1 <= parts.chunk_size <= 25
    np.testing.assert_array_equal(whole.results, parts.results)
    with pytest.raises(InputError, match=r"sweep: expected a run to need at most max_bytes == 100, got \d+ bytes"):
        sweep(large, seeds=40, max_bytes=100)


def test_whole_numbers_stay_whole_and_keys_come_back_as_data():
    swept = sweep(lambda key, n: {"n": n, "key": key}, seeds=2, n=[3, 4])
    assert swept.results["n"].dtype == np.int32
    np.testing.assert_array_equal(swept.results["key"][3], jax.random.key_data(jax.random.key(1)))


def test_one_that_diverges_stops_none_of_the_others():
    def descend(key, learning_rate):
        return jax.lax.fori_loop(0, 50, lambda i, w: w - learning_rate * 2 * w, 1.0)

    swept = sweep(descend, seeds=1, learning_rate=[1e30, 0.1])
    assert not np.isfinite(swept.results[0])
    np.testing.assert_allclose(swept.results[1], 0.8**50, rtol=1e-5)
    assert np.isnan(swept.over_seeds()[1]["result_std"])  # one seed has no spread


def test_the_table_names_what_diverged():
    settings = {"learning_rate": np.array([0.1, 0.2, 0.3, 0.4], np.float32), "seed": np.zeros(4, np.int32)}
    results = {
        "loss": np.array([0.5, np.nan, 0.25, 0.125], np.float32),
        "w": np.array([[1, 2], [3, 4], [5, np.inf], [7, 8]], np.float32),
        "first_bad": np.array([-1, 3, -1, 9], np.int32),
    }
    rows = Swept(settings, results, 4).table()
    assert [row["diverged"] for row in rows] == [False, True, True, True]
    assert [row["loss"] for row in rows] == [0.5, None, 0.25, 0.125]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_a_model_of_flax_with_state_sweeps_unchanged():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x, train):
            x = linen.relu(linen.BatchNorm(use_running_average=not train)(linen.Dense(4)(x)))
            return linen.Dense(3)(linen.Dropout(0.2, deterministic=not train)(x))

    model = from_linen(Net(), call=lambda net, x, train: net(x, train))
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        swept = sweep(
            lambda key, learning_rate: train(model, key, learning_rate, 0.9, None), seeds=2, learning_rate=[0.1]
        )
        alone = jax.jit(lambda key: train(model, key, np.float32(0.1), 0.9, None))(jax.random.key(1))
    got = jax.tree.map(lambda leaf: leaf[1], swept.results)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), got, alone)
    assert (swept.results["state"]["batch_stats"]["BatchNorm_0"]["mean"] != 0).all()


def test_several_devices_give_the_same_numbers():
    program = """
        import jax, jax.numpy as jnp, numpy as np
        from fnn import sweep
        assert jax.device_count() == 3
        def run(key, scale):
            w, _ = jax.lax.scan(lambda w, k: (jnp.cos(w @ w) + jax.random.normal(k, (2, 2)), None),
                                scale * jnp.ones((2, 2)), jax.random.split(key, 5))
            return w
        settings = dict(seeds=7, scale=[0.5, 1.0])
        many, one = sweep(run, **settings), sweep(run, devices=jax.devices()[:1], **settings)
        chunks = sweep(run, chunk_size=4, **settings)
        assert (one.chunk_size, many.chunk_size, chunks.chunk_size) == (14, 15, 6), (many.chunk_size, chunks.chunk_size)
        for other in (many, chunks):
            assert other.results.shape == (14, 2, 2)
            np.testing.assert_allclose(other.results, one.results, rtol=1e-5, atol=1e-6)
    """
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=3"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"seeds": 0}, r"seeds to be a sequence of numbers, at least one, got range\(0, 0\)"),
        ({"seeds": [0.5]}, r"seeds to be integers, got \[0.5\]"),
        ({"seeds": 1, "x": []}, r"x to be a sequence of numbers, at least one, got \[\]"),
        ({"seeds": 1, "x": 0.1}, "x to be a sequence of numbers, at least one, got 0.1"),
        ({"seeds": 1, "x": "0.1"}, "x to be a sequence of numbers, at least one, got '0.1'"),
        ({"seeds": 1, "x": ["relu"]}, "x to be a sequence of numbers"),
        ({"seeds": 1, "x": [2**40]}, "x to be whole numbers of at most 32 bits, got 1099511627776"),
        ({"seeds": 1, "chunk_size": 0}, "chunk_size >= 1, or None, got chunk_size == 0"),
        ({"seeds": 1, "devices": []}, "at least one device, got none"),
    ],
)
def test_bad_arguments(options, text):
    with pytest.raises(InputError, match=f"sweep: expected {text}"):
        sweep(lambda key, x=0: x, **options)


@pytest.mark.parametrize(
    "run",
    [lambda key, x: dense(x).init(key, X)[0], lambda key, x: x if x > 1 else -x, lambda key, x: np.sin(x)],
    ids=["width", "condition", "numpy"],
)
def test_a_hyperparameter_that_is_no_mere_number(run):
    with pytest.raises(InputError, match="sweep: expected run to use what it is given as numbers only, got: "):
        sweep(run, seeds=1, x=[3, 4])


def test_the_example_finds_a_learning_rate(capsys):
    path = Path(__file__).parents[2] / "examples" / "sweep_digits.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 30
    with jax.numpy_dtype_promotion("standard"):  # as a user has it
        rows = runpy.run_path(str(path))["swept"].over_seeds()
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 + len(rows) == 8
    assert printed[0].split() == list(rows[0])
    assert printed[2].split() == [f"{v:.4g}" for v in rows[0].values()]
    assert all(row["seeds"] == 8 for row in rows)
    assert rows[0]["accuracy_mean"] < 0.8 < 0.9 < max(row["accuracy_mean"] for row in rows)


def test_runs_with_large_products_are_computed_in_turn_on_all_cores(monkeypatch):
    monkeypatch.setattr("fnn.sweeping._n_cores", lambda: 2)
    x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    traced = []

    def run(key, scale):
        traced.append(None)
        return {"loss": jnp.sum(jnp.tanh(x @ (jax.random.normal(key, (64, 64)) * scale)))}

    swept = sweep(run, seeds=5, scale=[0.5])
    assert swept.chunk_size == 3
    assert len(traced) == 1  # to look at its products, and for the program
    alone = [jax.jit(run)(jax.random.key(seed), 0.5)["loss"] for seed in range(5)]
    np.testing.assert_allclose(swept.results["loss"], alone, rtol=1e-5)
    assert (
        sweep(
            lambda key, scale: run(key, scale)["loss"][None, None] @ jnp.ones((1, 1)),
            seeds=5,
            scale=[0.5],
            chunk_size=2,
        ).chunk_size
        == 2
    )


@pytest.mark.parametrize(("width", "at_once"), [(100, 2), (256, 1)])
def test_a_thread_is_left_to_programs_that_ask_for_help(monkeypatch, width, at_once):
    # Without it what they ask for stays in memory until they end: 100,000 steps of training held gigabytes.
    monkeypatch.setattr("fnn.sweeping._n_cores", lambda: 2)
    w = np.ones((width, width), np.float32)
    swept = sweep(lambda key: jnp.sum(jax.random.normal(key, (8, width)) @ w), seeds=4)
    assert swept.chunk_size == 4 // at_once


def test_a_convolution_asks_for_help(monkeypatch):
    monkeypatch.setattr("fnn.sweeping._n_cores", lambda: 3)
    layer = conv(8, (3, 3))
    params, state = layer.init(jax.random.key(0), jnp.zeros((4, 28, 28, 1)))
    swept = sweep(lambda key: layer.apply(params, state, jax.random.normal(key, (4, 28, 28, 1)))[0].sum(), seeds=6)
    assert swept.chunk_size == 3


def test_settings_stay_as_they_were_given():
    swept = sweep(lambda key, rate: {"rate": 2 * rate, "seed": rate}, seeds=np.int64(2), rate=[0.1])
    assert swept.rows()[1]["rate"] == 0.1
    assert swept.rows()[1]["seed"] == 1
    assert swept.rows()[1]["result/rate"] == np.float32(0.2)
    with pytest.raises(InputError, match=r"^sweep: expected seeds=.* got a hyperparameter seed$"):
        sweep(lambda key, seed: seed, seeds=2, seed=[5, 6])
