"""The folder of a run: what repeats a training, what it has reported, and what it has learned.

``run.toml``: all settings, a run file. ``record.json``: versions, data, how it ended. ``metrics.jsonl``: a line per
epoch, written as it ends. ``parameters/``: what was learned, and ``checkpoints/``: the states to go on from, both kept
by :mod:`fnn.checkpoint`. ``pictures/``, ``logs/``: if asked for.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from fnn import checkpoint
from fnn.errors import CheckpointError

RUNS = Path("runs")
_SETTINGS, _RECORD, _METRICS = "run.toml", "record.json", "metrics.jsonl"
_PARAMETERS, _CHECKPOINTS, _PICTURES, _LOGS = "parameters", "checkpoints", "pictures", "logs"
_OURS = {_SETTINGS, _RECORD, _METRICS, _PARAMETERS, _CHECKPOINTS, _PICTURES, _LOGS}
_MANIFEST = "manifest.json"
_OVER = ("finished", "diverged")


class Run:
    """A run's folder.

    Attributes:
        path: the folder.
        settings_file: the run file in it.
        metrics: the file of the epochs' metrics in it.
        checkpoints: the folder of states in it.
        pictures: the folder of pictures in it.
        logs: the folder of other programs' logs in it.
        parameters: the folder of parameters in it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.settings_file, self.metrics = self.path / _SETTINGS, self.path / _METRICS
        self.checkpoints = self.path / _CHECKPOINTS
        self.pictures, self.logs, self.parameters = self.path / _PICTURES, self.path / _LOGS, self.path / _PARAMETERS

    def record(self) -> dict[str, Any]:
        """What is known of the run.

        Raises:
            CheckpointError: there is no run, or its record is damaged.
        """
        try:
            record = json.loads((self.path / _RECORD).read_bytes())
        except OSError:
            raise CheckpointError(f"{self.path}: no run there (no {_RECORD})") from None
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise CheckpointError(f"{self.path}: damaged: {_RECORD} is not what was written")
        return record

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replaces the record, as a whole."""
        with _told(self.path):
            _write(self.path / _RECORD, as_json(dict(record)))

    def epochs(self) -> list[dict[str, Any]]:
        """The metrics of each epoch, as far as they are whole."""
        try:
            lines = (self.path / _METRICS).read_text().splitlines(keepends=True)
            return [json.loads(line) for line in lines if line.endswith("\n")]
        except OSError as error:
            raise CheckpointError(f"{self.path}: {_METRICS} cannot be read: {error.strerror}") from None
        except ValueError:
            raise CheckpointError(f"{self.path}: damaged: {_METRICS} is not what was written") from None

    def write_epochs(self, epochs: list[dict[str, Any]]) -> None:
        """Replaces the metrics of all epochs, as a whole."""
        with _told(self.path):
            _write(self.path / _METRICS, "".join(json.dumps(finite(epoch)) + "\n" for epoch in epochs))


@contextmanager
def new_run(path: str | Path | None, name: str, settings: str, record: Mapping[str, Any]) -> Iterator[Run]:
    """The folder of a training that begins; a finished run of that name is put aside until this one is kept.

    Args:
        path: the folder; ``None`` for one in ``runs/`` that is not there yet.
        name: what it is called there, with a number behind it from the second on.
        settings: the text of the run file.
        record: what is known so far.

    Raises:
        CheckpointError: there is something else, or a run that could be gone on with; or nothing can be written there.
    """
    run = _begin(Path(path), settings, record) if path is not None else _begin_in_runs(name, settings, record)
    try:
        yield run
    finally:
        if run.parameters.exists():
            shutil.rmtree(_aside(run.path), ignore_errors=True)
        elif not any(run.checkpoints.glob("step_*")):  # it came to nothing: an old one comes back
            shutil.rmtree(run.path, ignore_errors=True)
            _recover(run.path)


def _begin_in_runs(name: str, settings: str, record: Mapping[str, Any]) -> Run:
    for number in count(1):
        path = RUNS / (name if number == 1 else f"{name}-{number}")
        if path.exists() or _aside(path).exists():
            continue
        try:
            return _begin(path, settings, record)
        except CheckpointError:
            if not path.exists():  # else another process was quicker
                raise
    raise AssertionError  # numbers do not end


def _begin(path: Path, settings: str, record: Mapping[str, Any]) -> Run:
    """The folder appears as a whole, in place of what may be replaced."""
    check_replaceable(path)
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-", suffix=".part") as scratch:
            fresh = Path(scratch) / "new"
            fresh.mkdir()
            (fresh / _SETTINGS).write_text(settings, encoding="utf-8")
            (fresh / _RECORD).write_text(as_json(dict(record)))
            (fresh / _METRICS).write_text("")
            try:
                if (path / _PARAMETERS).exists():
                    shutil.rmtree(_aside(path), ignore_errors=True)
                    path.rename(_aside(path))
                elif path.exists():
                    shutil.rmtree(path)
                fresh.rename(path)
            except BaseException:
                _recover(path)
                raise
    return Run(path)


def check_replaceable(path: str | Path) -> None:
    """Refuses a folder that :func:`new_run` would not replace.

    Raises:
        CheckpointError: there is something else, or a run that could be gone on with.

    Example:
        >>> check_replaceable("no-such-folder")
    """
    path = Path(path)
    _recover(path)
    if not path.exists():
        checkpoint.check_replaceable(path)  # can anything be written there?
        return
    present = {file.name for file in path.iterdir()} if path.is_dir() else {path.name}
    if present and _RECORD not in present:
        raise CheckpointError(f"{path}: exists and holds no run; it is not replaced")
    if others := sorted(present - _OURS):
        raise CheckpointError(f"{path}: holds {others[0]} beside a run; it is not replaced")
    if present and Run(path).record().get("status") not in _OVER and _CHECKPOINTS in present:
        raise CheckpointError(f"{path}: holds a run that is not over: --resume {path} goes on with it")


def parameters_of(path: str | Path) -> Path:
    """The folder of what a run has learned.

    Raises:
        CheckpointError: there is no run, or it has not come so far.

    Example:
        >>> parameters_of("no-such-folder")
        Traceback (most recent call last):
            ...
        fnn.errors.CheckpointError: no-such-folder: no kept parameters there
    """
    run = Run(path)
    _recover(run.path)
    if run.parameters.exists() or checkpoint_is_at(run.path):
        return run.parameters if run.parameters.exists() else run.path
    if (run.path / _RECORD).exists():
        raise CheckpointError(
            f"{path}: its training has not ended: python -m fnn train --resume {path} goes on with it"
        )
    raise CheckpointError(f"{path}: no kept parameters there")


def find_newest(folder: str | Path = RUNS) -> Path:
    """The run in ``folder`` whose parameters were kept last.

    Raises:
        CheckpointError: there is none.

    Example:
        >>> find_newest("no-such-folder")
        Traceback (most recent call last):
            ...
        fnn.errors.CheckpointError: no-such-folder: no kept parameters there
    """
    for aside in Path(folder).glob(_aside(Path("*")).name):
        _recover(aside.with_name(aside.name[1:].removesuffix(".previous")))
    found = [m for m in Path(folder).glob(f"*/{_PARAMETERS}/{_MANIFEST}") if not m.parts[-3].startswith(".")]
    if not found:
        raise CheckpointError(f"{folder}: no kept parameters there")
    return max(found, key=lambda manifest: (manifest.stat().st_mtime_ns, manifest.parts[-3])).parent.parent


def checkpoint_is_at(path: Path) -> bool:
    """Whether a folder holds kept parameters itself, such as a state or the best one."""
    return (path / _MANIFEST).exists()


def as_json(document: Mapping[str, Any]) -> str:
    """One document, NaN and infinity as null, which JSON has not.

    Example:
        >>> print(as_json({"loss": math.inf}))
        {
         "loss": null
        }
    """
    return json.dumps(finite(document), indent=1, allow_nan=False)


def finite(value: Any) -> Any:
    """Null stands for what is not finite, such as the loss of a ruined network.

    Example:
        >>> finite([1.0, math.nan])
        [1.0, None]
    """
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _aside(path: Path) -> Path:
    return path.parent / f".{path.name}.previous"


def _recover(path: Path) -> None:
    """Puts an old run back if a replacement was killed between taking it away and putting the new one there."""
    aside = _aside(path)
    with suppress(OSError):  # another process was quicker, or nothing may be written here
        if aside.is_dir() and not path.exists():
            aside.rename(path)


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.part")
    with open(scratch, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from None
