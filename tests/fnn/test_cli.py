"""The command line as a user meets it: output, files, exit codes, one line for every error."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from types import ModuleType

import jax
import numpy as np
import pytest

from fnn import commands, save
from fnn.checkpoint import describe
from fnn.cli import main
from fnn.data.idx_folder import FILES
from fnn.progress import print_json
from fnn.runfile import read_run_file

QUICK = ["--epochs", "2", "--hidden", "8"]


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    def call(*words, code=0):
        assert main([str(word) for word in words]) == code
        out, err = capsys.readouterr()
        if code:
            assert out == ""
            assert err.count("\n") == 1, err
            assert "Traceback" not in err
        return err if code else out

    return call


@pytest.fixture
def folder(write_idx, tmp_path):
    """A small data set of 4 x 4 images in two classes, bright above or bright below."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 40), ("test", 10)):
        labels = (np.arange(n) % 2).astype(np.uint8)
        images = rng.integers(0, 60, (n, 4, 4)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 2] += 190
        write_idx(f"set/{FILES[f'{part}_images']}", images)
        write_idx(f"set/{FILES[f'{part}_labels']}", labels)
    return tmp_path / "set"


def test_train_evaluate_predict(run):
    said = run("train", *QUICK)
    assert "01_dense" in said
    assert "parameters kept in runs/digits-mlp" in said
    assert "accuracy" in run("evaluate")
    assert "digits, held out" in run("predict", "--count", "3")


def test_json_documents_agree_and_one_seed_gives_the_same_bits(run):
    trained = json.loads(run("train", *QUICK, "--seed", 3, "--json", "--out", "a"))
    again = json.loads(run("train", *QUICK, "--seed", 3, "--json", "--out", "b"))
    assert trained["sha256"] == again["sha256"]
    assert trained["epochs"] == again["epochs"]
    assert trained["test"] == again["test"]
    other = json.loads(run("train", *QUICK, "--seed", 4, "--json", "--out", "c"))
    assert other["sha256"] != trained["sha256"]
    assert [epoch["epoch"] for epoch in trained["epochs"]] == [1, 2]
    assert trained["parameters"] == sum(row["parameters"] for row in trained["layers"]) == 65 * 8 + 9 * 10
    judged = json.loads(run("evaluate", "a", "--json"))
    assert {name: judged[name] for name in ("loss", "accuracy")} == trained["test"]
    assert sum(c["examples"] for c in judged["classes"]) == judged["examples"] == 360
    hits = sum(c["accuracy"] * c["examples"] for c in judged["classes"])
    assert hits / 360 == pytest.approx(judged["accuracy"])
    predictions = json.loads(run("predict", "a", "--json", "--count", "360"))["predictions"]
    assert np.mean([p["class"] == p["label"] for p in predictions]) == pytest.approx(judged["accuracy"])
    assert all(sum(p["probabilities"]) == pytest.approx(1, abs=1e-5) for p in predictions)


def test_the_main_job_reaches_what_it_promises(run):
    assert json.loads(run("train", "--json"))["test"]["accuracy"] >= 0.97


def test_every_option_of_the_model_and_of_training(run, folder):
    here = ["--data", "idx", "--data-dir", folder]
    options = [
        "--channels",
        "2,3",
        "--hidden",
        "4",
        "--activation",
        "elu",
        "--drop-rate",
        "0.1",
        "--batch-size",
        "full",
    ]
    said = json.loads(
        run("train", *here, "--model", "cnn", *options, "--optimizer", "momentum", "--schedule", "constant", "--json")
    )
    assert said["model"] == {
        "name": "cnn",
        "n_out": 2,
        "channels": [2, 3],
        "hidden": [4],
        "activation": "elu",
        "batch_norm": True,
        "drop_rate": 0.1,
    }
    assert said["training"]["batch_size"] is None
    judged = json.loads(run("evaluate", "--json", *here))
    assert judged["run"] == "runs/idx-cnn"
    assert {name: judged[name] for name in said["test"]} == said["test"]
    linear = json.loads(run("train", *here, "--model", "linear", "--epochs", 60, "--learning-rate", 0.1, "--json"))
    assert linear["test"]["accuracy"] == 1.0
    predicted = run("predict", "runs/idx-linear", "--images", folder / FILES["test_images"], "--json")
    assert [p["class"] for p in json.loads(predicted)["predictions"]] == [0, 1] * 5


def test_every_option_of_the_optimizer(run, folder, tmp_path):
    given = {
        "optimizer": "nesterov",
        "learning_rate": 0.05,
        "schedule": "linear",
        "warmup": 2,
        "weight_decay": 1e-4,
        "clip": 1.0,
        "accumulate": 2,
        "augment": ["flip", "shift:1", "rotate:5", "cutout:2"],
        "label_smoothing": 0.1,
        "patience": 5,
        "precision": "bfloat16",
        "batch_size": 8,
        "epochs": 2,
    }
    words = ["train", "--data", "idx", "--data-dir", folder, "--hidden", 4, "--batch-norm", "--json", "--out", "a"]
    for name, value in given.items():
        words += [f"--{name.replace('_', '-')}", ",".join(value) if isinstance(value, list) else value]
    said = json.loads(run(*words, "--checkpoint-every", 3, "--keep", 1, "--keep-best", "loss"))
    assert said["training"] == given | {"seed": 0, "plateau_patience": None, "plateau_factor": None}
    assert sorted(os.listdir("a/checkpoints")) == ["best", "step_000000000010"]
    assert read_run_file("a/run.toml")["augment"] == given["augment"]
    losses = [epoch["loss"] for epoch in said["epochs"]]
    assert said["best_epoch"] == losses.index(min(losses)) + 1


def test_the_best_epoch_is_what_is_kept(run):
    # Much too fast, so that the last epoch is hardly the best.
    words = [*LINEAR, 3, "--learning-rate", 50, "--schedule", "constant", "--optimizer", "adam", "--json"]
    words += ["--validation", 0.2]
    last = json.loads(run(*words, "--out", "last"))
    shares = [epoch["validation_accuracy"] for epoch in last["epochs"]]
    assert "best_epoch" not in last
    best = json.loads(run(*words, "--keep-best", "validation_accuracy", "--out", "best"))
    assert best["epochs"] == last["epochs"]
    assert best["best_epoch"] == shares.index(max(shares)) + 1
    assert (best["sha256"] == last["sha256"]) == (best["best_epoch"] == 3)
    assert json.loads(run("evaluate", "best", "--json"))["loss"] == best["test"]["loss"]
    said = run(*words, "--keep-best", "validation_los", "--out", "other", code=1)
    assert (
        "--keep-best: expected one of loss, accuracy, validation_loss, validation_accuracy, got validation_los" in said
    )


def test_training_ends_when_nothing_improves(run):
    words = [*LINEAR, 30, "--learning-rate", 50, "--schedule", "constant", "--patience", 1, "--validation", 0.2]
    said = json.loads(run(*words, "--json"))
    losses = [epoch["validation_loss"] for epoch in said["epochs"]]
    assert 1 < len(losses) < 30
    assert losses[-1] >= min(losses[:-1])
    assert all(later < earlier for earlier, later in pairwise(losses[:-1]))


def test_the_rate_is_lowered_where_the_loss_stays(run):
    words = [*LINEAR, 6, "--learning-rate", 50, "--validation", 0.2, "--optimizer", "adam", "--json"]
    flat = json.loads(run(*words, "--schedule", "constant", "--out", "a"))
    options = ["--schedule", "plateau", "--plateau-patience", 1, "--plateau-factor", 0.1]
    lowered = json.loads(run(*words, *options, "--out", "b"))
    losses = [epoch["validation_loss"] for epoch in flat["epochs"]]
    at = next(i for i in range(1, 6) if losses[i] >= min(losses[:i]))  # the first epoch without improvement
    assert lowered["epochs"][: at + 1] == flat["epochs"][: at + 1]
    assert lowered["epochs"][at + 1] != flat["epochs"][at + 1]
    assert (lowered["training"]["plateau_patience"], lowered["training"]["plateau_factor"]) == (1, 0.1)
    assert json.loads(run("train", "--from", "b", "--json"))["repeats"]["same"] is True
    assert "--plateau-factor goes with --schedule plateau, got --schedule cosine" in run(
        *LINEAR, 1, "--plateau-factor", 0.5, code=1
    )


def test_trials_answer_and_keep_nothing(run):
    words = [*LINEAR, 1, "--validation", 0.1]
    found = json.loads(run(*words, "--trial", "learning-rate", "--json"))
    rates, losses = np.array(found["learning_rates"]), np.array(found["losses"])
    # Where the loss falls most steeply over the logarithm of the rate, on its way down to the lowest.
    slopes = np.gradient(losses, np.log(rates))[: losses.argmin() + 1]
    assert found["learning_rate"] == rates[slopes.argmin()]
    options = ["--schedule", "constant", "--json", "--learning-rate"]
    good, bad = (
        json.loads(run(*LINEAR, 1, *options, times * found["learning_rate"], "--out", times))["test"]["loss"]
        for times in (1, 100)
    )
    assert good < 0.5 < np.log(10) < bad  # the middle one: of ten classes, none is thought likelier than another
    for name in ("1", "100"):
        shutil.rmtree(name)
    assert f"--learning-rate {found['learning_rate']:.3g}" in run(*words, "--trial", "learning-rate")
    learned = json.loads(run(*words, "--trial", "one-batch", "--batch-size", 10, "--learning-rate", 0.1, "--json"))
    assert learned["examples"] == 10
    assert learned["after"]["accuracy"] == 1.0 > learned["before"]["accuracy"]
    assert learned["after"]["loss"] < 0.1 * learned["before"]["loss"]
    fast = json.loads(run(*words, "--trial", "fast", "--patience", 1, "--json"))
    assert set(fast["metrics"]) == {"loss", "accuracy", "validation_loss", "validation_accuracy"}
    assert set(fast["test"]) == {"loss", "accuracy"}
    assert fast["batches"] == 2
    assert "2 batches, validation and test run through: loss" in run(*words, "--trial", "fast")
    assert "one batch, validation and test run through: loss" in run(*words, "--trial", "fast", "--batch-size", "full")
    assert "2 batches and test run through: loss" in run(*LINEAR, 1, "--trial", "fast")
    assert os.listdir() == []
    pytest.importorskip("matplotlib")
    assert "picture in pictures/learning_rate_curve.png" in run(
        *words, "--trial", "learning-rate", "--plot", "--out", "pictures"
    )
    assert os.listdir("pictures") == ["learning_rate_curve.png"]
    assert "nothing to --resume" in run("train", "--resume", "a", "--trial", "fast", code=1)


def test_what_a_trial_would_not_do_is_refused(run):
    said = run(*LINEAR, 1, "--trial", "fast", "--log-to", "wandb,mlflow", code=1)
    assert "--trial fast tells no service anything, got --log-to wandb,mlflow" in said
    for kind in ("fast", "one-batch"):
        said = run(*LINEAR, 1, "--trial", kind, "--plot", code=1)
        assert f"--plot goes with a training or with --trial learning-rate, got --trial {kind}" in said


@pytest.mark.parametrize("kind", ["fast", "one-batch"])
def test_a_trial_that_diverges(capsys, kind):
    words = ["train", *QUICK, "--optimizer", "sgd", "--learning-rate", "1e30", "--trial", kind, "--json"]
    assert main(words) == 4
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert (said["command"], said["trial"], said["status"]) == ("train", kind, "diverged")
    assert f"at step {said['step']} (epoch {said['epoch']}, batch {said['batch']} " in err
    assert err == f"fnn train: {said['error']}\n"


def test_a_schedule_that_is_replaced_takes_its_settings_along(run):
    run(*LINEAR, 1, "--schedule", "plateau", "--plateau-patience", 2, "--out", "a")
    said = json.loads(run("train", "--from", "a", "--schedule", "cosine", "--warmup", 2, "--out", "b", "--json"))
    assert said["training"]["schedule"] == "cosine"
    assert (said["training"]["plateau_patience"], said["training"]["warmup"]) == (None, 2)
    said = json.loads(run("train", "--from", "b", "--schedule", "one-cycle", "--json"))
    assert (said["training"]["schedule"], said["training"]["warmup"]) == ("one-cycle", 0)
    # What is given now is not what was left over.
    words = ["--schedule", "cosine", "--plateau-patience", 3]
    assert "--plateau-patience goes with --schedule plateau" in run("train", "--from", "a", *words, code=1)
    again = json.loads(run("train", "--from", "a", "--schedule", "plateau", "--json"))
    assert again["training"]["plateau_patience"] == 2


def test_a_run_becomes_a_program_and_a_file_of_weights(run, folder):
    from jax.export import deserialize

    from fnn import load_weights
    from fnn.data.idx_folder import load_idx

    here = ["--data", "idx", "--data-dir", folder, "--out", "a"]
    run("train", "--model", "linear", "--epochs", 2, *here)
    said = json.loads(run("export", "a", "--json"))
    assert said == {"command": "export", "run": "a", "file": "a.stablehlo", "bytes": os.path.getsize("a.stablehlo")}
    pixels = load_idx(folder).test.x * 255  # as the files have them
    with open("a.stablehlo", "rb") as file:
        scores = deserialize(bytearray(file.read())).call(np.asarray(pixels, np.float32))
    predicted = json.loads(run("predict", "a", "--count", 10, "--json"))["predictions"]
    assert np.asarray(scores).argmax(axis=1).tolist() == [p["class"] for p in predicted]
    shares = np.asarray(jax.nn.softmax(scores))
    np.testing.assert_allclose(shares.max(axis=1), [p["probability"] for p in predicted], rtol=1e-5)
    run("export", "a", "--file", "weights/a.safetensors")
    like = jax.eval_shape(lambda: {"params": {"01_dense": {"w": np.zeros((16, 2)), "b": np.zeros(2)}}, "state": {}})
    weights = load_weights(
        "weights/a.safetensors", jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, "float32"), like)
    )
    assert weights["params"]["01_dense"]["w"].shape == (16, 2)
    before = sorted(os.listdir())
    assert "in the new folder weights/again" in run("export", "a", "--file", "weights/again/a.safetensors")
    assert "new folder" not in run("export", "a", "--file", "weights/again/a.safetensors")
    assert "expected a file named .stablehlo or .safetensors, got .onnx" in run(
        "export", "a", "--file", "a.onnx", code=1
    )
    os.mkdir("b.stablehlo")
    for name in (".", "weights", "weights/", "b.stablehlo", "c.stablehlo/"):
        # No run is needed to see that: it comes before the work.
        assert run("export", "nowhere", "--file", name, code=1) == (
            f"fnn export: {name}: expected a file, got a folder\n"
        )
    assert "--file: expected the name of a file, got ''" in run("export", "a", "--file", "", code=1)
    os.rename("a", "b")
    assert "b.stablehlo: expected a file, got a folder" in run("export", "b", code=1)
    os.rename("b", "a")
    os.rmdir("b.stablehlo")
    assert sorted(os.listdir()) == before


def test_a_log_goes_on_where_it_was(run, monkeypatch):
    """A service that gives its runs numbers; the training is interrupted after its first epoch."""
    from fnn import logs

    begun, told = [], []

    def fake(*, name, run_id):
        begun.append((name, run_id))

        def write(record):
            told.append(record["epoch"])
            if told == [1]:
                raise KeyboardInterrupt

        return logs.Log(write, lambda completed: None, run_id=run_id or "seven")

    monkeypatch.setattr(logs, "mlflow", fake)
    assert main([str(word) for word in (*LINEAR, 3, "--log-to", "mlflow", "--out", "a")]) == 130
    run("train", "--resume", "a")
    assert begun == [("a", None), ("a", "seven")]
    assert told == [1, 2, 3]


class Wandb(ModuleType):
    """In the place of the package wandb, and of its run: fails in the functions named, where it is told the epoch."""

    id = "seven"

    def __init__(self):
        super().__init__("wandb")
        self.fails, self.error = {}, None
        self.known, self.told, self.ended = [], [], []

    def init(self, **options):
        self.known.append(options.get("id"))
        self.fail("init")
        return self

    def log(self, record, step):
        self.told.append(record["epoch"])
        self.fail("log")

    def finish(self, exit_code):
        self.ended.append(exit_code)
        self.fail("finish")

    def fail(self, name):
        if name in self.fails and (name != "log" or self.told[-1] == 2):
            raise self.fails[name]


@pytest.fixture
def wandb(monkeypatch):
    service = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", service)
    return service


class UsageError(Exception):
    """As the service has its own, which are no OSError."""


@pytest.mark.parametrize("where", ["log", "finish"])
def test_a_service_that_fails_ends_no_training(wandb, run, capsys, where):
    words = [*LINEAR, 3, "--json", "--out"]
    alone = json.loads(run(*words, "alone"))
    wandb.fails = {name: UsageError("HTTP 500:\nout of order") for name in (where, "finish")}
    assert main([*map(str, words), "a", "--log-to", "wandb"]) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert [line for line in err.splitlines() if not line.startswith("epoch ")] == [
        "fnn train: warning: wandb failed and is told nothing more: UsageError: HTTP 500: out of order"
    ]
    assert (wandb.told, wandb.ended) == (([1, 2], [1]) if where == "log" else ([1, 2, 3], [0]))
    assert said["logs_failed"] == {"wandb": "UsageError: HTTP 500: out of order"}
    assert said["logs"] == {"wandb": "seven"}
    assert {name: said[name] for name in ("status", "sha256", "epochs")} == {
        name: alone[name] for name in ("status", "sha256", "epochs")
    }
    assert json.loads(run("evaluate", "a", "--json"))["loss"] == alone["test"]["loss"]


def test_what_ends_a_training_is_told_before_what_ends_its_log(wandb, capsys):
    wandb.fails = {"finish": UsageError("out of order")}
    words = ["train", *QUICK, "--optimizer", "sgd", "--learning-rate", "1e30", "--json", "--log-to", "wandb"]
    assert main(words) == 4
    out, err = capsys.readouterr()
    assert json.loads(out)["logs_failed"] == {"wandb": "UsageError: out of order"}
    assert [line.partition(" failed")[0].partition(" diverged")[0] for line in err.splitlines()] == [
        "fnn train: warning: wandb",
        "fnn train: training",
    ]


def test_a_service_that_refuses_at_the_start(wandb, run):
    wandb.fails = {"init": UsageError("no API key\nis there")}
    said = run(*LINEAR, 1, "--log-to", "wandb", "--json", code=1)
    assert said.startswith("fnn train: --log-to wandb: the service refuses: UsageError: no API key is there; --log-to ")
    assert not any(os.scandir("runs"))


def test_a_training_goes_on_with_other_services(wandb, run, capsys):
    from fnn import logs

    words = [*LINEAR, 3, "--json", "--out"]
    whole = json.loads(run(*words, "whole"))

    def begin(name):
        wandb.fails = {"log": KeyboardInterrupt()}
        assert main([*map(str, words), name, "--log-to", "wandb"]) == 130
        capsys.readouterr()

    begin("without")
    wandb.fails = {"init": UsageError("no API key")}
    assert "--log-to none goes without" in run("train", "--resume", "without", "--json", code=1)
    said = json.loads(run("train", "--resume", "without", "--log-to", "none", "--json"))
    assert (said["sha256"], said["epochs"]) == (whole["sha256"], whole["epochs"])
    begin("other")
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            logs,
            "mlflow",
            lambda **_: logs.Log(lambda record: told.append(record["epoch"]), lambda _: None, run_id="8"),
        )
        said = json.loads(run("train", "--resume", "other", "--log-to", "mlflow", "--json"))
    assert (said["sha256"], said["log_to"], said["logs"]) == (
        whole["sha256"],
        ["mlflow"],
        {"wandb": "seven", "mlflow": "8"},
    )
    assert told == [3]


def test_a_service_that_was_dropped_is_taken_up_again_if_asked_for(wandb, run, monkeypatch, capsys):
    def interrupted(progress, number, metrics):
        if number == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr("fnn.progress.Progress.epoch", interrupted)
    wandb.fails, stop = {"log": UsageError("HTTP 500")}, 3
    assert main([str(word) for word in (*LINEAR, 5, "--out", "a", "--log-to", "wandb")]) == 130
    wandb.fails, stop = {}, 4
    assert main(["train", "--resume", "a"]) == 130
    assert (wandb.known, wandb.told) == ([None], [1, 2])
    capsys.readouterr()
    said = json.loads(run("train", "--resume", "a", "--log-to", "wandb", "--json"))
    assert (wandb.known, wandb.told[2:]) == ([None, "seven"], [5])
    assert said["logs_failed"] == {}


def test_help_goes_to_stdout(capsys):
    for words in (["--help"], ["train", "--help"], ["evaluate", "-h"], ["predict", "-h"]):
        assert main(words) == 0
        assert capsys.readouterr().out.startswith("usage: fnn")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "fnn: the following arguments are required: train | evaluate | predict"),
        (["trian"], "fnn: unknown command 'trian'; did you mean train?"),
        (["train", "--learning-rat", "1"], "fnn train: unknown option --learning-rat; did you mean --learning-rate?"),
        (["train", "--batchsize=3"], "fnn train: unknown option --batchsize; did you mean --batch-size?"),
        (["train", "--xyzzy"], "fnn train: unknown option --xyzzy;"),
        (["evaluate", "--epochs", "3"], "fnn evaluate: unknown option --epochs"),
        (["train", "a.toml", "mnist"], "fnn train: unexpected argument 'mnist'"),
        (["train", "--data", "digts"], "fnn train: argument --data: unknown 'digts'; did you mean digits?"),
        (["train", "--model", "xx"], "fnn train: argument --model: unknown 'xx', one of mlp|cnn|linear"),
        (["train", "--epochs", "0"], "fnn train: argument --epochs: expected an integer from 1 to 2147483647, got 0"),
        (["train", "--epochs", "ten"], "expected an integer from 1 to 2147483647, got 'ten'"),
        (["train", "--batch-size", "-1"], 'expected an integer of at least 1, or "full", got -1'),
        (["train", "--learning-rate", "nan"], "expected a positive number from 1.2e-38 to 3.4e38, got nan"),
        (["train", "--learning-rate", "1e300"], "expected a positive number from 1.2e-38 to 3.4e38, got 1e+300"),
        (["train", "--drop-rate", "1"], "expected a number from 0 to below 1, got 1.0"),
        (["train", "--hidden", "30,,10"], "expected an integer from 1 to 2147483647, got ''"),
        (["train", "--hidden", "99999999999999999999"], "from 1 to 2147483647, got 99999999999999999999"),
        (["train", "--seed", "-1"], "expected an integer from 0 to 4294967295, got -1"),
    ],
)
def test_bad_usage(run, words, message):
    assert message in run(*words, code=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--model", "linear", "--hidden", "3"], "--model linear has no --hidden"),
        (["train", "--model", "mlp", "--channels", "3"], "--model mlp has no --channels"),
        (["train", "--model", "cnn", "--hidden", "3,4"], "--model cnn has one hidden dense layer, got --hidden 3,4"),
        (
            ["train", "--model", "cnn", "--channels", "1,1,1,1"],
            "average_pool: expected spatial axes of at least (2, 2)",
        ),
        (["train", "--data-dir", "x"], "--data-dir goes with --data idx or mnist or"),
        (["train", "--train-images", "x"], "--train-images goes with --data idx, got --data digits"),
        (["train", "--data", "csv"], "--data csv needs --data-path, the file"),
        (["train", "nowhere.toml"], "nowhere.toml: the run file cannot be read: No such file or directory"),
        (["train", "--from", "nowhere"], "nowhere: no run there"),
        (["train", "--resume", "nowhere"], "nowhere: no run there"),
        (["train", "--resume", "a", "--from", "b"], "--from and --resume both say where the settings come from"),
        (["train", "--resume", "a", "--epochs", "3"], "--resume goes on with the settings of a; --epochs cannot"),
        (["train", "--step", "3"], "--step goes with --resume"),
        (["train", "--data", "idx"], "idx: expected a folder or a file for the train images, got neither"),
        (["train", "--data", "mnist", "--data-dir", "nowhere"], "nowhere: no file train-images-idx3-ubyte"),
        (["evaluate"], "runs: no kept parameters there"),
        (["predict", "nowhere"], "nowhere: no kept parameters there"),
    ],
)
def test_bad_input(run, words, message):
    assert run(*words, code=1).startswith(f"fnn {words[0]}: {message}")


def spoil(path, how):
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "gz":
        path.rename(path.with_name(path.name + ".gz"))
    else:
        path.write_bytes({"cut": content[:-1], "long": content + b"\0", "magic": b"\1" + content[1:]}[how])


@pytest.mark.parametrize(
    ("part", "how", "message"),
    [
        ("train_images", "missing", "no file train-images-idx3-ubyte, with or without .gz"),
        ("train_images", "cut", "train-images-idx3-ubyte: truncated: the header announces 640 bytes"),
        ("test_labels", "long", "t10k-labels-idx1-ubyte: over-long: the header announces 10 bytes"),
        ("test_images", "magic", "t10k-images-idx3-ubyte: not an IDX file"),
        ("train_labels", "gz", "train-labels-idx1-ubyte.gz: expected gzip, as the name says"),
    ],
)
def test_bad_files(run, folder, part, how, message):
    spoil(folder / FILES[part], how)
    assert message in run("train", "--data", "idx", "--data-dir", folder, code=1)


def test_files_that_do_not_fit_each_other(run, folder, write_idx):
    def said(option, array):
        return run("train", "--data", "idx", "--data-dir", folder, option, write_idx("other", array), code=1)

    assert "as many labels as images, got 40 images and 39 labels" in said("--train-labels", np.zeros(39, np.uint8))
    assert "expected classes from 0 to 1, got 2 (label number 9)" in said(
        "--test-labels", np.array([0] * 9 + [2], np.uint8)
    )
    assert "expected finite numbers, got nan at x[0, 0, 0]" in said(
        "--train-images", np.full((40, 4, 4), np.nan, np.float32)
    )


def test_parameters_and_images_that_do_not_fit(run, folder, write_idx, tmp_path):
    run("train", *QUICK, "--out", "kept")
    assert "kept: expected images of shape (8, 8, 1), idx has (4, 4, 1)" in run(
        "evaluate", "kept", "--data", "idx", "--data-dir", folder, code=1
    )
    images = write_idx("images", np.zeros((3, 8, 9), np.uint8))
    assert "expected images of shape (8, 8, 1)" in run("predict", "kept", "--images", images, code=1)
    assert "nan at x[0, 0, 0, 0]" in run(
        "predict", "kept", "--images", write_idx("nan", np.full((2, 8, 8), np.nan, np.float32)), code=1
    )
    (tmp_path / "broken.gz").write_bytes(gzip.compress(images.read_bytes())[:-4])
    assert "broken.gz: damaged gzip" in run("predict", "kept", "--images", "broken.gz", code=1)
    manifest = tmp_path / "kept" / "parameters" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("a", "b", 1))
    assert "kept/parameters: damaged" in run("evaluate", "kept", code=1)


def test_another_data_set_is_scaled_as_the_one_that_was_learned(run, write_idx):
    # Whole numbers, so that the largest, by which the training images are divided, is known: 400.
    rng = np.random.default_rng(0)
    for part, n in (("train", 30), ("test", 12)):
        labels = (np.arange(n) % 3).astype(np.int32)
        x = rng.integers(0, 100, (n, 6)) + 300 * (np.arange(6) % 3 == labels[:, None])
        x[0, 0] = 400
        write_idx(f"set/{FILES[f'{part}_images']}", x.astype(np.float32))
        write_idx(f"set/{FILES[f'{part}_labels']}", labels)
    trained = json.loads(run("train", "--data", "idx", "--data-dir", "set", "--model", "linear", "--json"))
    assert trained["data"]["scale"] == 400
    # The same held-out images beside training images of another size and of two classes.
    other = [
        "--train-images",
        write_idx("images", np.full((2, 6), 7, np.float32)),
        "--train-labels",
        write_idx("labels", np.array([0, 1], np.int32)),
    ]
    for part in ("images", "labels"):
        other += [f"--test-{part}", f"set/{FILES[f'test_{part}']}"]
    judged = json.loads(run("evaluate", "--json", "--data", "idx", *other))
    assert judged["loss"] == pytest.approx(trained["test"]["loss"], rel=1e-5)
    assert judged["accuracy"] == trained["test"]["accuracy"]


def test_a_network_of_huge_weights(run, write_idx):
    assert "loss" in run("train", *QUICK, "--learning-rate", "1e15", "--out", "huge")
    images = write_idx("images", np.full((2, 8, 8), 3e38, np.float32))
    for words in ([], ["--json"]):
        said = run("predict", "huge", "--images", images, *words, code=1)
        assert "huge: the outputs for example 0 of" in said
        assert "are not finite" in said
    assert "--input names the examples" in run("predict", "huge", "--images", images, "--data", "mnist", code=1)


def test_json_has_null_for_what_is_not_finite(capsys):
    print_json({"test": {"loss": float("inf"), "of": [float("nan"), 1.5, "inf", None]}})
    assert json.loads(capsys.readouterr().out) == {"test": {"loss": None, "of": [None, 1.5, "inf", None]}}


def test_more_than_the_memory_holds(run, monkeypatch):
    # What XLA says; to bring it about in earnest would take the memory from others.
    def fails(text):
        def train(options):
            raise jax.errors.JaxRuntimeError(text)

        monkeypatch.setattr(commands, "train", train)

    fails("RESOURCE_EXHAUSTED: Out of memory allocating 256000000000 bytes.\nand more")
    said = run("train", code=1)
    assert said.startswith("fnn train: Out of memory allocating 256000000000 bytes. A smaller model")
    fails("INTERNAL: a mistake of the program")
    with pytest.raises(RuntimeError, match=r"^INTERNAL"):
        run("train")


def test_descriptions_that_no_training_wrote(run):
    assert run("train", *QUICK, "--model", "mlp", "--out", "kept")
    about = describe("kept/parameters")
    tree = {"w": np.zeros(2, np.float32)}
    for change in ({"scale": 0}, {"scale": "x"}, {"n_classes": None}, {"input_shape": 3}, {"source": [1]}):
        save("other", tree, about | {"data": about["data"] | change})
        assert "other: was not kept by train" in run("predict", "other", code=1)


def test_an_interrupt_while_judging_keeps_what_was_learned(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fnn.commands.job.evaluate", interrupted)
        assert main(["train", *QUICK, "--out", "kept"]) == 130
    assert "--resume kept goes on from here" in capsys.readouterr().err
    assert main(["evaluate", "kept"]) == 0


def test_a_folder_that_is_not_ours_is_left_alone(run, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "exists and holds no run; it is not replaced" in run("train", "--out", tmp_path, code=1)


def test_parameters_of_no_command(run):
    save("kept", {"w": np.zeros(2, np.float32)}, {"model": {"name": "mlp"}})
    assert "kept: was not kept by train" in run("evaluate", "kept", code=1)


def test_divergence(run, capsys):
    assert main(["train", "--optimizer", "sgd", "--learning-rate", "1e30", "--epochs", "2", "--json"]) == 4
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert said["status"] == "diverged"
    assert f"at step {said['step']} (epoch {said['epoch']}, batch {said['batch']} " in err
    assert said["layer"] in err
    assert err.startswith("fnn train: training diverged: at step ")
    assert err.count("\n") == 1


def test_interrupt_keeps_the_last_epoch(tmp_path):
    # A shell's background jobs, such as these tests may be, are born deaf to it.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from fnn.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", program, "train", "--epochs", "100000", "--out", "kept"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline().startswith("epoch 1/100000: loss ")
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().splitlines()
    assert process.returncode == 130
    assert rest[-1] == "fnn train: interrupted; python -m fnn train --resume kept goes on from here"
    assert all(line.startswith("epoch ") for line in rest[:-1])
    assert os.listdir(tmp_path) == ["kept"]
    assert main(["evaluate", "kept"]) == 0


LINEAR = ["train", "--model", "linear", "--epochs"]


def test_killed_and_resumed_to_the_bit(run, tmp_path):
    whole = json.loads(run(*LINEAR, 6, "--json", "--out", "whole"))
    program = (
        "import os, signal, sys; from fnn import progress; from fnn.cli import main;"
        "progress.Progress.epoch = lambda self, number, _: number < 3 or os.kill(os.getpid(), signal.SIGKILL);"
        "main(sys.argv[1:])"
    )
    words = [sys.executable, "-c", program, *LINEAR, "6", "--out", "killed"]
    assert subprocess.run(words, capture_output=True).returncode == -signal.SIGKILL
    assert "killed: its training has not ended: python -m fnn train --resume killed" in run(
        "evaluate", "killed", code=1
    )
    assert "killed: holds a run that is not over" in run(*LINEAR, 1, "--out", "killed", code=1)
    resumed = json.loads(run("train", "--resume", "killed", "--json"))
    assert {name for name in whole if whole[name] != resumed[name]} <= {"seconds", "out"}
    assert (tmp_path / "killed/metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()
    assert json.loads(run("train", "--resume", "killed", "--json")) == resumed  # it has ended


def test_a_damaged_state_is_named_and_the_one_before_is_gone_on_with(monkeypatch, run, tmp_path, capsys):
    def interrupted(progress, number, metrics):
        if number == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fnn.progress.Progress.epoch", interrupted)
        assert main([*LINEAR, "5", "--out", "a"]) == 130
    assert capsys.readouterr().err == "fnn train: interrupted; python -m fnn train --resume a goes on from here\n"
    (tmp_path / "a/checkpoints/step_000000000135/description.json").write_text("{}")
    assert "the last good state is that after step 90: --step 90 goes on" in run(
        "train", "--resume", "a", "--json", code=1
    )
    resumed = json.loads(run("train", "--resume", "a", "--step", 90, "--json"))
    assert resumed["sha256"] == json.loads(run("train", "--from", "a", "--json"))["sha256"]


def test_a_run_repeats_itself(run, tmp_path, capsys):
    (tmp_path / "a.toml").write_text("[model]\nname = 'linear'\n[training]\nepochs = 9\nschedule = 'one-cycle'\n")
    first = json.loads(run("train", "a.toml", "--epochs", 2, "--validation", 0.1, "--out", "a", "--json"))
    assert first["training"]["epochs"] == 2
    assert {"validation_loss", "validation_accuracy"} < set(first["epochs"][0])
    assert json.loads(run("train", "--from", "a", "--json"))["repeats"] == {"run": "a", "differences": [], "same": True}
    other = json.loads(run("train", "--from", "a", "--seed", 1, "--epochs", 1, "--json"))
    assert other["sha256"] != first["sha256"]
    assert other["repeats"]["same"] is None
    record = json.loads((tmp_path / "a/record.json").read_text()) | {"sha256": "0"}
    (tmp_path / "a/record.json").write_text(json.dumps(record))
    assert main(["train", "--from", "a", "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("the parameters are not those of a, though nothing recorded differs\n")
    record["versions"]["jax"] = "0.0"
    (tmp_path / "a/record.json").write_text(json.dumps(record))
    repeats = json.loads(run("train", "--from", "a", "--json"))["repeats"]
    assert repeats == {"run": "a", "differences": [f"jax 0.0 then, {jax.__version__} now"], "same": False}


def test_a_table_of_numbers_to_predict(run, tmp_path):
    rows = [(a, 2000 + 7 * b) for a in range(12) for b in range(12)]
    lines = [f"{a},{b},{3000 * a - 20 * b}" for a, b in rows]
    (tmp_path / "a.csv").write_text("\n".join(["a,b,price", *lines]))
    words = ["train", "--data", "csv", "--data-path", "a.csv", "--task", "regression", "--model", "linear", "--json"]
    trained = json.loads(run(*words, "--learning-rate", "0.1", "--out", "kept", "--weight-decay", "none"))
    judged = json.loads(run("evaluate", "kept", "--json"))
    assert judged["loss"] == trained["test"]["loss"] < 20**2  # in the units of the table, whose spread is 10,000
    (tmp_path / "b.csv").write_text("b,a\n2000,5\n2010,6\n")
    values = [p["values"][0] for p in json.loads(run("predict", "kept", "--input", "b.csv", "--json"))["predictions"]]
    assert values == pytest.approx([-25000, -22200], abs=40)
    (tmp_path / "b.csv").write_text("b\n2000\n")
    assert "b.csv: no column 'a'; the first line names b" in run("predict", "kept", "--input", "b.csv", code=1)
    (tmp_path / "b.csv").write_text("a,b\n1,x\n")
    assert "b.csv, line 2, column 'b': expected a number, got 'x'" in run("predict", "kept", "--input", "b.csv", code=1)


def test_numbers_that_are_no_classes(run, tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"{n},{n % 2}\n" for n in range(20)) + "3,0.5\n")
    words = ["train", "--data", "csv", "--data-path", "a.csv", "--task", "single-label"]
    assert "got the number 0.5; to predict a number, set the task to regression\n" in run(*words, code=1)


def test_streams_that_the_shell_closed():
    words = f"{sys.executable} -m fnn train --help"
    program = (
        "import os, sys; from fnn.cli import main; code = main(['predict', 'nowhere']);"
        "os.write(3, b'%d' % code + sys.stdout.name.encode())"
    )
    # Both closed: Python has no stdout and no stderr then. What is seen is told through descriptor 3.
    done = subprocess.run(
        ["sh", "-c", f'{words} >&- 2>&- && "$0" -c "$1" 3>&1 >&- 2>&-', sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"1{os.devnull}"


def test_output_into_a_closed_pipe():
    words = [sys.executable, "-m", "fnn", "train", *QUICK, "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        said = process.stderr.read().splitlines()
    assert [line[:9] for line in said] == ["epoch 1/2", "epoch 2/2"]
    assert process.returncode == 1
