"""The scripts in examples/ about fnn run, and do what they say."""

import json
import runpy
import shutil
from pathlib import Path

import jax
import numpy as np

from fnn import fit, softmax_cross_entropy_with_integer_labels, supervised

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_loop_of_ones_own_reaches_the_bits_of_fit():
    path = EXAMPLES / "own_loop.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 25
    with jax.numpy_dtype_promotion("standard"):  # as a user has it; Optax needs it
        names = runpy.run_path(str(path))
    assert names["step"] + 1 == 3 * 45
    params, state = names["model"].init(jax.random.key(1), names["data"].x[:1])
    objective = supervised(names["model"], softmax_cross_entropy_with_integer_labels)
    fitted = fit(
        objective, names["optimizer"], params, state, names["data"], key=jax.random.key(0), n_epochs=3, batch_size=32
    )
    assert fitted.history[-1]["loss"] < 0.5 * fitted.history[0]["loss"]
    jax.tree.map(np.testing.assert_array_equal, names["params"], fitted.params)


def run(name):
    path = EXAMPLES / f"{name}.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 30
    with jax.numpy_dtype_promotion("standard"):
        return runpy.run_path(str(path))


def test_xor_needs_a_hidden_layer(capsys):
    names = run("xor")
    assert names["mistakes"]["and"] == 0
    assert names["mistakes"]["xor"] > 0
    np.testing.assert_array_equal(names["probabilities"] > 0.9, [False, True, True, False])
    np.testing.assert_array_equal(names["probabilities"] < 0.1, [True, False, False, True])
    assert "hidden layer, 1 xor 1: 0.0" in capsys.readouterr().out


def test_layers_trained_before_help_where_examples_are_few():
    names = run("fine_tune")
    for layer in ("01_dense", "03_dense"):
        jax.tree.map(np.testing.assert_array_equal, names["tuned"][layer], names["pretrained"][layer])
    scratch, taken = (np.mean(scores) for scores in names["found"].values())
    assert taken > scratch + 0.02  # measured: 0.907 and 0.853


def test_a_gradient_vanishes_in_sigmoids_only():
    first = run("vanishing")["first"]
    assert first["sigmoid"] < 1e-4 < 1e-1 < first["relu"]


def test_a_transformer_turns_sequences_around():
    assert run("transformer")["share"] > 0.95  # measured: 1.0


def test_metrics_go_to_a_file_with_each_epoch_once(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["log_metrics.py", str(tmp_path)])
    run("log_metrics")
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    lines = [json.loads(line) for line in whole.splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 45), (2, 90), (3, 135)]
    assert lines[2]["accuracy"] > lines[0]["accuracy"] > 0.5
    # Killed in the midst of a line, after a later state was lost: the same file in the end.
    path.write_bytes(whole[:-20])
    shutil.rmtree(max((tmp_path / "checkpoints").glob("step_*")))
    run("log_metrics")
    assert path.read_bytes() == whole


def test_training_ends_by_itself_and_the_best_epoch_is_found():
    names = run("early_stopping")
    history, best = [epoch["validation_loss"] for epoch in names["fitted"].history], names["best"]
    assert len(history) == best["epoch"] + 8 < 200
    assert int(np.argmin(history)) + 1 == best["epoch"]
    assert names["scores"]["accuracy"] > 0.9
