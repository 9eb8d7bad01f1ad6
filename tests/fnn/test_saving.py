"""States of a training on disk: whatever happens to the process or the disk, no state that was completed is lost."""

import errno
import functools
import multiprocessing
import os
import random
import time
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from fnn import CheckpointError, InputError, checkpoint, epochs, fit, mlp, start, supervised
from fnn.callbacks import Callback, Decision
from fnn.losses import softmax_cross_entropy_with_integer_labels as cross_entropy
from fnn.saving import Checkpoints, load_state

SEED = 5
N_EPOCHS = 4


def counting():
    """Counts epochs in its state, halves a rate in the optimizer's: what must survive besides the parameters."""

    def update(seen, event):
        opt_state = event.train_state.opt_state
        rate = opt_state.hyperparams["learning_rate"] / 2
        opt_state = opt_state._replace(hyperparams={**opt_state.hyperparams, "learning_rate": rate})
        return seen + 1, Decision(event.train_state._replace(opt_state=opt_state), False)

    return Callback("counting", lambda train_state: np.zeros((), np.int32), update)


@functools.cache
def problem(width):
    """The same objects each time, so that one compilation serves all tests."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(100, 4)).astype(np.float32), rng.integers(0, 3, 100).astype(np.int32)
    model = mlp([width], 3, drop_rate=0.3)
    params, _ = jax.jit(lambda key: model.init(key, x[:1]))(jax.random.key(1))
    optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=0.02)
    return supervised(model, cross_entropy), optimizer, params, (x, y)


def train(
    folder=None, *, resume=False, every=3, n_epochs=N_EPOCHS, keep_best=None, batch_size=16, on_step=None, **more
):
    """A network with dropout on 100 examples, 7 steps an epoch, the last one padded."""
    objective, optimizer, params, data = problem(more.get("width", 8))
    return fit(
        objective,
        optimizer,
        params,
        {},
        data,
        key=jax.random.key(more.get("seed", SEED)),
        n_epochs=n_epochs,
        batch_size=batch_size,
        callbacks=[counting()],
        checkpoints=folder and Checkpoints(folder, every, keep_best=keep_best),
        resume=resume,
        on_step=on_step,
    )


@pytest.fixture(scope="module")
def whole():
    return train()


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(one.params), jax.device_get(other.params))
    opt_states = (jax.device_get(fitted.train_state.opt_state) for fitted in (one, other))
    jax.tree.map(np.testing.assert_array_equal, *opt_states)
    assert one.history == other.history
    assert [int(state) for state in one.callbacks] == [int(state) for state in other.callbacks] == [N_EPOCHS]


class Stopped(Exception):
    pass


def stop_at(step):
    def on_step(done):
        if done == step:
            raise Stopped

    return on_step


@pytest.mark.parametrize("stop", [5, 7, 9, 14, 22])
def test_a_resumed_training_ends_in_the_same_bits(tmp_path, whole, stop):
    with pytest.raises(Stopped):
        train(tmp_path, on_step=stop_at(stop))
    same(train(tmp_path, resume=True), whole)
    assert len(list(tmp_path.glob("step_*"))) == 2
    same(train(tmp_path, resume=True), whole)  # nothing is left to be done


def test_an_interrupted_training_keeps_what_it_has_reached(tmp_path, whole):
    def interrupt(done):
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, every=1000, on_step=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["step_000000000011"]
    same(train(tmp_path, resume=True, every=1000), whole)


def test_a_training_can_go_on_for_longer(tmp_path, whole):
    train(tmp_path, n_epochs=2)
    same(train(tmp_path, resume=True), whole)


def test_the_best_state_stays(tmp_path):
    fitted = train(tmp_path, every=None, keep_best=("loss", "max"))
    losses = [epoch["loss"] for epoch in fitted.history]
    best = load_state(tmp_path / "best", fitted.train_state)
    assert int(best.step) == 7 * (1 + int(np.argmax(losses)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "step_000000000021", "step_000000000028"]


def _train_and_tell(folder, cache, pipe):
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    pipe.send("ready")
    fitted = train(folder, resume=True, every=2, keep_best=("loss", "min"), on_step=lambda _: pipe.send("stepped"))
    pipe.send(jax.device_get((fitted.params, fitted.history)))


def _listen(pipe, process, until=None):
    """What the process sends, until it says so or ends."""
    received = []
    while process.is_alive() or pipe.poll():
        if pipe.poll(0.02):
            received.append(pipe.recv())
            if received[-1] == until:
                break
    process.join(None if until is None else 0)
    return received


def test_killed_at_50_random_moments_it_still_ends_in_the_same_bits(tmp_path, whole):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "orbax.checkpoint", "sklearn"])
    rng, kills, folder = random.Random(0), 0, tmp_path / "kept"
    seconds = 0.5  # what the training takes from its first step on, learned below
    result = None
    while kills < 50 or result is None:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_train_and_tell, args=(folder, str(tmp_path / "cache"), there))
        process.start()
        assert _listen(here, process, until="ready") == ["ready"]
        if rng.random() < 0.8:  # else it is killed before it has got anywhere
            _listen(here, process, until="stepped")
        begin = time.monotonic()
        if kills < 50:
            time.sleep(rng.uniform(0, seconds))
            if process.is_alive():
                process.kill()
                process.join()
                kills += 1
        received = _listen(here, process)
        if process.exitcode == 0:
            seconds = 0.7 * seconds + 0.3 * (time.monotonic() - begin)
            params, history = received[-1]
            jax.tree.map(np.testing.assert_array_equal, params, jax.device_get(whole.params))
            assert history == whole.history
            result = params
            if kills < 50:  # it was quicker than the kill: once more from the start
                for path in folder.iterdir():
                    path.rename(tmp_path / f"{time.monotonic_ns()}")
    assert not list(folder.glob(".*.part"))


def flip(folder):
    path = max(
        (path for path in (folder / "arrays").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(folder):
    path = max(
        (path for path in (folder / "arrays").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )
    path.write_bytes(path.read_bytes()[:-3])


def lose(folder):
    (folder / "description.json").unlink()


@pytest.mark.parametrize("damage", [flip, truncate, lose])
def test_a_damaged_state_is_refused_and_the_last_good_one_offered(tmp_path, whole, damage):
    with pytest.raises(Stopped):
        train(tmp_path, on_step=stop_at(14))
    damage(tmp_path / "step_000000000012")
    good = r"the last good state is that after step 9: resume=9 goes on from it$"
    with pytest.raises(CheckpointError, match=rf"step_000000000012: damaged: .*; {good}"):
        train(tmp_path, resume=True)
    same(train(tmp_path, resume=9), whole)


def test_a_full_disk_is_told_with_the_last_good_state(tmp_path, whole, monkeypatch):
    keep = checkpoint.save

    def full(path, tree, about=None):
        if Path(path).name == "step_000000000009":
            raise CheckpointError(f"{path}: cannot be written: {os.strerror(errno.ENOSPC)}")
        keep(path, tree, about)

    monkeypatch.setattr("fnn.checkpoint.save", full)
    with pytest.raises(CheckpointError, match=r"No space left on device; the last good state is that after step 6$"):
        train(tmp_path)
    monkeypatch.undo()
    same(train(tmp_path, resume=True), whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"width": 9},
            r"belongs to another model: expected .*01_dense/b.* of shape \(9,\) .*got of shape \(8,\)",
        ),
        ({"seed": 6}, r"belongs to another training: expected key .*6\], got .*5\]"),
        ({"batch_size": 20}, r"belongs to another training: expected batch_size 20, got 16"),
    ],
)
def test_another_training_is_refused(tmp_path, change, message):
    with pytest.raises(Stopped):
        train(tmp_path, on_step=stop_at(5))
    with pytest.raises(CheckpointError, match=message):
        train(tmp_path, resume=True, **change)


def test_what_cannot_be_resumed_or_begun(tmp_path):
    with pytest.raises(InputError, match=r"^fit: expected checkpoints to resume from, got None$"):
        train(None, resume=True)
    with pytest.raises(InputError, match=r"^Checkpoints: expected every >= 1, or None, got every == 0$"):
        train(tmp_path, every=0)
    with pytest.raises(InputError, match=r"^Checkpoints: expected keep_best among \['loss'\], got accuracy$"):
        train(tmp_path / "best", keep_best=("accuracy", "max"))
    train(tmp_path / "whole", n_epochs=1)
    with pytest.raises(CheckpointError, match=r"holds states of an earlier training, up to step 7; resume=True goes"):
        train(tmp_path / "whole")
    with pytest.raises(CheckpointError, match=r"no state after step 5 there; kept are: 6, 7$"):
        train(tmp_path / "whole", resume=5)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"file/step_000000000000: cannot be written: "):
        train(tmp_path / "file")


def test_resumed_epochs_are_those_that_were_not_over(tmp_path):
    x = np.ones((8, 2), np.float32)
    model = mlp([4], 2)
    params, state = model.init(jax.random.key(0), x)
    arguments = supervised(model, cross_entropy), optax.sgd(0.1), params, state, (x, np.zeros(8, np.int32))
    for epoch in epochs(*arguments, key=jax.random.key(SEED), n_epochs=5, checkpoints=Checkpoints(tmp_path)):
        if epoch.number == 2:
            break
    numbers = [
        e.number
        for e in epochs(
            *arguments, key=jax.random.key(SEED), n_epochs=5, checkpoints=Checkpoints(tmp_path), resume=True
        )
    ]
    assert numbers == [3, 4, 5]


def test_a_state_of_another_optimizer_is_refused(tmp_path):
    fitted = train(tmp_path, n_epochs=1)
    other = start(optax.sgd(0.1, momentum=0.9), fitted.params, fitted.state, jax.random.key(SEED))
    with pytest.raises(CheckpointError, match="belongs to another model: expected opt_state"):
        load_state(tmp_path / "step_000000000007", other)
