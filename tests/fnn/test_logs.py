import json
import signal
import struct
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import logs
from fnn.errors import DataError, InputError


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_values_of_every_kind(tmp_path):
    path = tmp_path / "deep" / "metrics.jsonl"
    with logs.json_lines(path) as log:
        log.write(
            {"epoch": np.int32(1), "loss": jnp.float32(0.5), "bad": float("nan"), "rate": -float("inf"), "at": "x"}
        )
        assert read(path) == [{"epoch": 1, "loss": 0.5, "bad": None, "rate": None, "at": "x"}]  # before it is closed
    log.close()
    with pytest.raises(InputError, match="one that was closed"):
        log.write({"epoch": 2})
    with pytest.raises(InputError, match="a number or a text as 'loss', got ndarray"):
        logs.json_lines(path).write({"loss": np.zeros(2)})


@pytest.mark.parametrize(
    ("end", "kept"),
    [(b'{"epoch": 2, "lo', 1), (b'{"epoch": 2}', 2), (b'{"epoch": 2}\n', 2), (b"", 1)],
    ids=["torn", "without a newline", "whole", "nothing"],
)
def test_a_torn_last_line_goes(tmp_path, end, kept):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"epoch": 1}\n' + end)
    with logs.json_lines(path) as log:
        log.write({"epoch": 9})
    assert [record["epoch"] for record in read(path)] == [*range(1, kept + 1), 9]


def test_what_a_resumed_training_repeats_stands_once(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text("".join(f'{{"epoch": {n}}}\n' for n in range(1, 6)) + '{"epo')
    with logs.json_lines(path, resume_by="epoch") as log:
        log.write({"epoch": 3, "loss": 1})
        log.write({"epoch": 4, "loss": 1})
    assert read(path) == [{"epoch": 1}, {"epoch": 2}, {"epoch": 3, "loss": 1}, {"epoch": 4, "loss": 1}]
    before = path.read_bytes()
    with pytest.raises(InputError, match="a number 'epoch' in each record, got None"):
        logs.json_lines(path, resume_by="epoch").write({"loss": 1})
    with pytest.raises(DataError, match="a number 'step' in each record"):
        logs.json_lines(path, resume_by="step").write({"step": 1})
    assert path.read_bytes() == before


def test_nothing_else_is_touched(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not\nours\n")
    with pytest.raises(DataError, match="a JSON object in line 1"):
        logs.json_lines(path).write({"epoch": 1})
    assert path.read_text() == "not\nours\n"
    with pytest.raises(InputError, match="cannot be written"):
        logs.json_lines(tmp_path).write({"epoch": 1})
    with logs.json_lines(tmp_path / "never"):
        pass
    assert not (tmp_path / "never").exists()


def test_lines_survive_a_kill(tmp_path):
    path = tmp_path / "m.jsonl"
    code = "import os, signal, sys; from fnn.logs import json_lines; log = json_lines(sys.argv[1])\n"
    code += "for n in range(3): log.write({'epoch': n})\nos.kill(os.getpid(), signal.SIGKILL)"
    ended = subprocess.run([sys.executable, "-c", code, str(path)], timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert [record["epoch"] for record in read(path)] == [0, 1, 2]


def events(folder):
    """The payloads of TensorBoard's event files, oldest file first: length, checksum, payload, checksum."""
    for file in sorted(folder.glob("events.out.tfevents.*"), key=lambda f: f.stat().st_mtime_ns):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            yield data[at + 12 : at + 12 + length]
            at += length + 16


def test_tensorboard_for_real(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    with logs.tensorboard(tmp_path) as log:
        log.write({"epoch": 2, "step": 20, "loss": 0.5, "note": "warm"})
        log.write({"epoch": 3, "loss": 0.25})
        with pytest.raises(InputError, match='tensorboard: expected an integer "step" or "epoch"'):
            log.write({"loss": 1.0})
    parsed = [Event.FromString(payload) for payload in events(tmp_path)]
    assert [event.step for event in parsed if event.HasField("session_log")] == [20]  # later ones of old are purged
    values = [(event.step, value.tag, value.simple_value) for event in parsed for value in event.summary.value]
    assert [v for v in values if "note" not in v[1]] == [(20, "epoch", 2.0), (20, "loss", 0.5), (3, "loss", 0.25)]
    assert sum("note" in v[1] for v in values) == 1


@pytest.mark.parametrize(
    ("open_log", "package", "extra"),
    [
        (lambda: logs.tensorboard("nowhere"), "tensorboardX", "tensorboard"),
        (lambda: logs.wandb(mode="offline"), "wandb", "wandb"),
        (lambda: logs.mlflow("nowhere"), "mlflow", "mlflow"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, open_log, package, extra):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(logs.importlib, "import_module", missing)
    with pytest.raises(InputError, match=rf"{extra}: expected the package {package}.*pip install 'fnn\[{extra}\]'"):
        open_log()


def test_a_write_that_stops_half_way_leaves_whole_lines(tmp_path):
    # As a disk does that is nearly full: a part of the line is written, the rest is not.
    program = (
        "import resource, signal, sys; from fnn import InputError, json_lines\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "log = json_lines(sys.argv[1]); log.write({'epoch': 1, 'loss': 0.5})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))\n"
        "try: log.write({'epoch': 2, 'loss': 0.25})\n"
        "except InputError as error: print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "log.write({'epoch': 3, 'loss': 0.125}); log.close()\n"
    )
    path = tmp_path / "metrics.jsonl"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert "metrics.jsonl" in done.stdout
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 3]
