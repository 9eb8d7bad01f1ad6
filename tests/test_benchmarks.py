"""The comparison with peers: what is made of the windows, and one small run of it."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import fnn
from benchmarks import timing, to_accuracy
from benchmarks.growth import width
from benchmarks.networks import NETWORKS, examples
from benchmarks.peers import SYSTEMS, System
from benchmarks.peers.fnn_fit import build, prepare
from benchmarks.timing import compare, ratios, summarize, with_roofline

ROOT = Path(__file__).parent.parent


def row(system, form, rate, network="cnn", dtype="float32"):
    head = {"network": network, "system": system, "form": form, "dtype": dtype}
    return head | ({"absent": "not installed"} if rate is None else {"images_per_second": rate})


def test_the_median_of_windows_counts():
    answers = [{"examples": 100, "seconds": seconds, "peak_bytes": n} for n, seconds in enumerate([1.0, 4.0, 2.0])]
    assert summarize(answers) == {
        "images_per_second": 50.0,
        "lowest": 25.0,
        "highest": 100.0,
        "windows": 3,
        "peak_bytes": 2,
    }


def test_a_ratio_is_over_the_best_peer_of_a_form():
    rows = [row("fnn", "stock", 30.0), row("a", "stock", 10.0), row("b", "stock", 20.0), row("b", "tuned", 60.0)]
    rows += [row("c", "stock", None), row("fnn", "stock", 5.0, dtype="bfloat16"), row("fnn", "stock", None, "mlp")]
    assert ratios(rows) == {
        "cnn": {"best_stock": 1.5, "best_tuned": 0.5},
        "cnn bfloat16": {"best_stock": None, "best_tuned": None},
    }


def test_flops_are_those_counted_by_hand():
    # 784-30-10: forward 2 * 784 * 30 and twice that for the weights; the second layer once more, for its input.
    assert NETWORKS["small-sgd"].flops() == 2 * (2 * 784 * 30) + 3 * (2 * 30 * 10)
    conv1, conv2, dense = 2 * 9 * 784 * 32, 2 * 9 * 196 * 32 * 64, 2 * (3136 * 256 + 256 * 10)
    assert NETWORKS["cnn"].flops() == 2 * conv1 + 3 * conv2 + 3 * dense
    rows = [row("fnn", "stock", 1000.0)]
    with_roofline(rows, 1e12)
    assert rows[0]["share_of_peak"] == pytest.approx(1000 * NETWORKS["cnn"].flops() / 1e12)


def test_a_quick_run_of_fnn_alone():
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", "--only", "small-sgd", "--peers", "none"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert set(document) == {"machine", "results", "ratios"}
    (result,) = document["results"]
    assert (result["network"], result["system"], result["form"], result["windows"]) == ("small-sgd", "fnn", "stock", 3)
    assert result["images_per_second"] > 0
    assert document["ratios"] == {"small-sgd": {"best_stock": None, "best_tuned": None}}
    lost = subprocess.run([*command, "--data-dir", "nowhere"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (lost.returncode, "--data-dir: expected a folder with train-images" in lost.stderr) == (2, True)
    wrong = subprocess.run([*command[:3], "--only", "cn"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (wrong.returncode, "--only: unknown 'cn', one of cnn," in wrong.stderr) == (2, True)


def test_a_system_that_breaks_is_no_absent_one():
    broken = System("broken", "stock", "loops", "jax")  # a module that prepares nothing
    (told,) = compare(
        "small-sgd", "float32", [broken], seconds=0.1, rounds=1, data_dir=None, interpreters={}, say=lambda line: None
    )
    assert "absent" not in told
    assert "has no attribute 'prepare'" in told["failed"]


def test_the_first_step_ends_before_python_does(monkeypatch):
    monkeypatch.setattr(timing, "_FIRST_STEP", "import time\nprint(time.time())\ntime.sleep(0.5)")
    seconds = timing.first_steps("mlp")
    assert set(seconds) == {"first_step_cold_seconds", "first_step_warm_seconds", "exit_seconds"}
    assert min(seconds.values()) > 0
    assert seconds["exit_seconds"] >= 0.5


@pytest.mark.parametrize(
    ("program", "message"),
    [("raise RuntimeError('no network {network}')", "RuntimeError: no network mlp"), ("while 1: pass", "within 2 s")],
)
def test_a_first_step_that_is_none(monkeypatch, program, message):
    monkeypatch.setattr(timing, "_FIRST_STEP", program)
    assert message in timing.first_steps("mlp", timeout=2)["first_step_failed"]


def test_growth_tells_the_cost_of_a_unit(tmp_path):
    out = tmp_path / "growth.json"
    command = [sys.executable, "-m", "benchmarks.growth", "--quick", "--rounds", "1", "--only", "steps", "--out", out]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "ns per step" in shown
    told = json.loads(out.read_text("utf-8"))["steps"]
    first = told["rows"][0]
    assert [(row["epochs"], row["units"]) for row in told["rows"]] == [(1, 10), (2, 20), (4, 40), (8, 80)]
    for row in told["rows"]:
        assert row["ratio"] == pytest.approx(row["seconds"] / row["units"] * first["units"] / first["seconds"])
    assert told["highest_ratio"] == max(row["ratio"] for row in told["rows"])


def test_growth_counts_the_flops_of_a_width():
    for size in width(6_400, 2048, 4).sizes:
        # 784-n-n-10: the first layer needs no gradient with respect to its input.
        n = size.size
        assert size.units == 6_400 * size.epochs * (4 * 784 * n + 6 * n * n + 6 * n * 10)


@pytest.mark.parametrize("says", ["", "echo '{\"ready\": true}'"])
def test_a_system_that_hangs_is_given_up(tmp_path, says):
    # The child of the shell holds on to the pipe, as a compiler that a system has started would.
    hangs = tmp_path / "python"
    hangs.write_text(f"#!/bin/sh\n{says}\nsleep 60\necho late\n")
    hangs.chmod(0o755)
    began = time.perf_counter()
    (told,) = compare(
        "small-sgd",
        "float32",
        [System("hangs", "stock", "flax_linen", "flax")],
        seconds=0.1,
        rounds=2,
        data_dir=None,
        interpreters={"flax": str(hangs)},
        say=lambda line: None,
        timeout=0.5,
    )
    assert time.perf_counter() - began < 10
    assert told["failed"] == "no answer within 0.5 s"
    assert "images_per_second" not in told


def idx(path, array):
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes())


def test_accuracy_after_equal_epochs(tmp_path, monkeypatch):
    pytest.importorskip("flax")
    rng = np.random.default_rng(0)
    for part, count in (("train", 1000), ("t10k", 200)):
        labels = rng.integers(0, 10, count, np.uint8)
        images = rng.integers(0, 100, (count, 28, 28), np.uint8)
        images[np.arange(count), labels] += 45  # a bright line in the row of the label
        idx(tmp_path / f"{part}-images-idx3-ubyte", images)
        idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    command = [sys.executable, "-m", "benchmarks.to_accuracy", "--data-dir", str(tmp_path), "--json"]
    command += ["--networks", "mlp", "--systems", "fnn,flax-linen", "--seeds", "2", "--epochs", "3", "--target", "0.5"]
    document = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    own, peer = document["results"]
    for row in (own, peer):
        # Whole batches, all of them learned from; what a seed gives is its own.
        assert (row["init"], row["dtype"], row["examples"], row["epochs"]) == ("he", "float32", 896, 3)
        assert row["seeds_that_met_target"] == 2
        assert 0.5 < row["accuracy_mean"] < 1
        assert [training["seed"] for training in row["trainings"]] == [0, 1]
        assert row["trainings"][0]["accuracies"] != row["trainings"][1]["accuracies"]
        assert 0 < row["seconds_to_target"] < row["seconds_to_target_with_compilation"]
    (gap,) = document["differences"]
    assert gap["peer"] == "flax-linen"
    assert gap["difference"] == pytest.approx(own["accuracy_mean"] - peer["accuracy_mean"])
    asked = []

    def worker(system, order, *given, **named):
        asked.append((system.name, order["dtype"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(to_accuracy, "Worker", worker)
    monkeypatch.setattr(sys, "argv", [*command[2:], "--dtype", "bfloat16"])
    with pytest.raises(KeyboardInterrupt):
        to_accuracy.main()
    assert asked == [("fnn", "bfloat16")]
    lost = subprocess.run([*command[:4], str(tmp_path / "no")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (lost.returncode, "--data-dir: expected a folder with train-images" in lost.stderr) == (2, True)


def test_many_networks_are_trained_at_once(monkeypatch):
    network = replace(NETWORKS["sweep"], runs=3, epochs=20, n_examples=50)
    x, y = examples(network, None)
    training = prepare(network, x, y, "stock", "float32")
    assert training.examples == 3 * 20 * 50
    swept, sweep = [], fnn.sweep
    monkeypatch.setattr(fnn, "sweep", lambda *given, **named: swept.append(sweep(*given, **named)) or swept[-1])
    training.epoch()
    (done,) = swept
    model = build(network)
    accuracies = [
        fnn.evaluate(model, jax.tree.map(lambda leaf, run=run: leaf[run], done.results), {}, (x, y), {"": fnn.accuracy})
        for run in range(3)
    ]
    # Random labels of 50 examples: only who is trained with them knows half of them.
    assert min(accuracy[""] for accuracy in accuracies) > 0.5
    first, second, third = jax.tree.leaves(done.results)[-1]
    assert (first != second).any()
    assert (second != third).any()


def test_a_peer_trains_many_networks_one_by_one():
    (told,) = compare(
        "sweep",
        "float32",
        [system for system in SYSTEMS if system.name == "scikit-learn"],
        seconds=0.05,
        rounds=1,
        data_dir=None,
        interpreters={},
        say=lambda line: None,
    )
    assert (told["runs"], told["updates_each"]) == (64, 2000)
    assert told["seconds_for_all"] == pytest.approx(64 * 20_000 / told["images_per_second"])
    assert "multiplied by 64" in told["how"]


@pytest.mark.parametrize("name", ["entropy-100", "conv-conv-relu"])
def test_a_line_of_the_book_is_trained_from_each_seed(name):
    from benchmarks.published import ROWS, repeat

    rng = np.random.default_rng(0)
    labels = np.arange(1_500) % 10
    # A class is a bright row; all the rest is noise.
    images = rng.random((1_500, 28, 28, 1), np.float32) * np.float32(0.3)
    images[np.arange(1_500), 2 * labels + 4] += np.float32(0.7)
    train = images[:500], np.eye(10, dtype=np.float32)[labels[:500]]
    test = images[500:], labels[500:]
    # By wrong labels the best epoch is the one in which the least has been learned.
    wrong = test[0], (test[1] + 1) % 10
    found = repeat(ROWS[name], train, wrong, test, 2, 3)
    assert (found["chapter"], found["seeds"], found["epochs"]) == (ROWS[name].chapter, 2, 3)
    for chosen in ("best", "last"):
        assert found[chosen]["lowest"] <= found[chosen]["mean"] <= found[chosen]["highest"] <= 100
    assert found["last"]["lowest"] >= 90
    if ROWS[name].validated:
        assert found["best"]["highest"] < found["last"]["lowest"]
        assert repeat(ROWS[name], train, test, test, 1, 3)["best"]["lowest"] >= 90
    else:
        assert found["best"]["lowest"] >= found["last"]["lowest"]
