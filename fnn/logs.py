"""Where the numbers of a training go: a file, TensorBoard, Weights & Biases, MLflow.

Nothing in training knows of them: they are written to from a loop over :func:`fnn.epochs`. Each is a :class:`Log`.
"""

from __future__ import annotations

import importlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from fnn.errors import DataError, InputError, expect

Number: TypeAlias = float | int | str
"""What a record may hold under a name."""


class Log:
    """Takes records, until it is closed; in a ``with`` statement that happens by itself.

    Attributes:
        run_id: what the run is known by to the service that keeps it, to go on with it later; ``None`` for files.
    """

    def __init__(
        self, write: Callable[[dict[str, Number]], None], close: Callable[[bool], None], *, run_id: str | None = None
    ) -> None:
        self._write, self._close, self._closed = write, close, False
        self.run_id = run_id

    def write(self, record: Mapping[str, Number]) -> None:
        """Adds a record: numbers and texts by name. NumPy's and JAX's single numbers count as numbers.

        Raises:
            InputError: the log is closed, or a value is neither a number nor a text.
        """
        expect(not self._closed, "write", "a log that is open", "one that was closed")
        self._write({name: _plain(name, value) for name, value in record.items()})

    def close(self) -> None:
        """Ends the log; a second time does nothing."""
        self._end(completed=True)

    def _end(self, *, completed: bool) -> None:
        if not self._closed:
            self._closed = True
            self._close(completed)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(completed=error is None)


def json_lines(path: str | os.PathLike[str], *, resume_by: str | None = None) -> Log:
    """A file of JSON Lines: one object per record, each in the file when ``write`` returns, even if a kill follows.

    A file that is there is added to. If its last line was torn by a kill, that line goes. JSON has no NaN and no
    infinity: ``null`` stands for them.

    Args:
        path: the file; its folder is made if need be.
        resume_by: a name that counts up, such as ``"epoch"``: the first record that is written takes the place of all
            in the file that have its number or a later one, so that a resumed training has each epoch once.

    Raises:
        InputError: the file cannot be written; in use, the first record has no number ``resume_by``.
        DataError: the file holds something other than JSON Lines, or records without ``resume_by``.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
        >>> with json_lines(path) as log:
        ...     for number in (1, 2, 3):
        ...         log.write({"epoch": number, "loss": 1 / number})
        >>> with json_lines(path, resume_by="epoch") as log:
        ...     log.write({"epoch": 3, "loss": 0.25})
        >>> print(path.read_text(), end="")
        {"epoch": 1, "loss": 1.0}
        {"epoch": 2, "loss": 0.5}
        {"epoch": 3, "loss": 0.25}
    """
    path = Path(path)
    file: BinaryIO | None = None

    def write(record: dict[str, Number]) -> None:
        nonlocal file
        line = json.dumps({name: _finite(value) for name, value in record.items()}, allow_nan=False) + "\n"
        try:
            if file is None:
                file = _open(path, resume_by, record)
            _append(file, line.encode())
        except OSError as error:
            raise InputError(f"json_lines: {path} cannot be written: {error.strerror}") from None

    def close(completed: bool) -> None:
        if file is not None:
            file.close()

    return Log(write, close)


def tensorboard(folder: str | os.PathLike[str]) -> Log:
    """Event files that TensorBoard shows: numbers as curves over ``"step"`` (else ``"epoch"``), texts as texts.

    What an interrupted training wrote from the first step of this log on, TensorBoard no longer shows.

    Args:
        folder: where the files go; ``tensorboard --logdir`` wants it, or the folder around several of them.

    Raises:
        InputError: tensorboardX is not installed; in use, a record has neither ``"step"`` nor ``"epoch"``.
    """
    writer_class = _package("tensorboardX", "tensorboard").SummaryWriter
    writer: Any = None

    def write(record: dict[str, Number]) -> None:
        nonlocal writer
        axis, step = _step("tensorboard", record)
        if writer is None:
            writer = writer_class(str(folder), purge_step=step)
        for name, value in record.items():
            if isinstance(value, str):
                writer.add_text(name, value, step)
            elif name != axis:
                writer.add_scalar(name, value, step)
        writer.flush()

    def close(completed: bool) -> None:
        if writer is not None:
            writer.close()

    return Log(write, close)


def wandb(**options: Any) -> Log:
    """A run of Weights & Biases, with the numbers over ``"step"`` (else ``"epoch"``).

    Args:
        **options: those of ``wandb.init``: ``project``, ``name``, ``config``, ``mode="offline"``; ``id`` and
            ``resume="allow"`` for a training that was interrupted.

    Raises:
        InputError: wandb is not installed; in use, a record has neither ``"step"`` nor ``"epoch"``.
    """
    run = _package("wandb", "wandb").init(**options)

    def write(record: dict[str, Number]) -> None:
        run.log(record, step=_step("wandb", record)[1])

    return Log(write, lambda completed: run.finish(exit_code=0 if completed else 1), run_id=run.id)


def mlflow(
    tracking_uri: str | None = None, *, experiment: str = "fnn", name: str | None = None, run_id: str | None = None
) -> Log:
    """A run of MLflow: numbers as metrics over ``"step"`` (else ``"epoch"``), texts as tags.

    Args:
        tracking_uri: the server or store, such as ``"sqlite:///mlflow.db"``; ``None`` for what MLflow is set to.
        experiment: which experiment the run belongs to; it is made if it is not there.
        name: what the run is called; ``None`` lets MLflow choose.
        run_id: a run to go on with, in place of a new one.

    Raises:
        InputError: mlflow is not installed; in use, a record has neither ``"step"`` nor ``"epoch"``.
    """
    client = _package("mlflow", "mlflow").MlflowClient(tracking_uri=tracking_uri)
    if run_id is None:
        found = client.get_experiment_by_name(experiment)
        experiment_id = found.experiment_id if found is not None else client.create_experiment(experiment)
        run_id = client.create_run(experiment_id, run_name=name).info.run_id
    else:
        client.update_run(run_id, status="RUNNING")

    def write(record: dict[str, Number]) -> None:
        axis, step = _step("mlflow", record)
        for label, value in record.items():
            if isinstance(value, str):
                client.set_tag(run_id, label, value)
            elif label != axis:
                client.log_metric(run_id, label, value, step=step)

    return Log(
        write, lambda completed: client.set_terminated(run_id, "FINISHED" if completed else "FAILED"), run_id=run_id
    )


def _open(path: Path, resume_by: str | None, first: Mapping[str, Number]) -> BinaryIO:
    """The file, without what ``first`` takes the place of, ready for it."""
    number = None if resume_by is None else _number(str(path), resume_by, first, InputError)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+b", buffering=0)  # noqa: SIM115 (it is closed with the log)
    try:
        file.seek(0)
        before = file.read()
        kept = _kept(str(path), before, resume_by, number)
        file.truncate(len(kept))
        if kept and not kept.endswith(b"\n"):  # whole, but for its end
            file.write(b"\n")
    except BaseException:
        file.close()
        raise
    return file


def _append(file: BinaryIO, line: bytes) -> None:
    """The whole line or nothing of it: a full disk may take a part of it without a word."""
    end, rest = file.seek(0, os.SEEK_END), line
    try:
        while rest:  # unbuffered: what write returns is in the file
            rest = rest[file.write(rest) :]
    except OSError:
        file.truncate(end)
        raise


def _kept(path: str, before: bytes, resume_by: str | None, number: float | None) -> bytes:
    """The lines that stay: up to ``number``, and not the torn one at the end."""
    end = 0
    for i, line in enumerate(before.splitlines(keepends=True)):
        record = _parsed(line)
        if record is None and not line.endswith(b"\n"):
            break
        if record is None:
            raise DataError(f"json_lines: {path}: expected a JSON object in line {i + 1}, got something else")
        if resume_by is not None and number is not None and _number(path, resume_by, record, DataError) >= number:
            break
        end += len(line)
    return before[:end]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _number(path: str, name: str, record: Mapping[str, Any], error: type[InputError]) -> float:
    value = record.get(name)
    if not isinstance(value, int | float):
        raise error(f"json_lines: {path}: expected a number {name!r} in each record, got {value!r}")
    return value


def _step(where: str, record: Mapping[str, Number]) -> tuple[str, int]:
    """The name and the value of what the numbers are drawn over."""
    for name in ("step", "epoch"):
        value = record.get(name)
        if isinstance(value, int):
            return name, value
    raise InputError(f'{where}: expected an integer "step" or "epoch" in each record, got {sorted(record)}')


def _plain(name: str, value: Any) -> Number:
    if hasattr(value, "shape") and value.shape == ():
        value = np.asarray(value).item()
    expect(isinstance(value, int | float | str), "write", f"a number or a text as {name!r}", type(value).__name__)
    plain: Number = value
    return plain


def _finite(value: Number) -> Number | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _package(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise InputError(
            f"{extra}: expected the package {name}, which is missing: pip install 'fnn[{extra}]'"
        ) from None
