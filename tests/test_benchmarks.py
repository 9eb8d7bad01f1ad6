"""The comparison with peers: what is made of the windows, and one small run of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.networks import NETWORKS
from benchmarks.peers import System
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
