"""Where a run's numbers go besides its own file: the services that ``--log-to`` names, opened together."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any

from fnn import logs
from fnn.errors import InputError
from fnn.runs import Run


class Logs:
    """What is told of each epoch: ``metrics.jsonl`` and the services. A service that fails is dropped, with a warning.

    Attributes:
        ids: what the run is known by to each service that was opened.
        failed: why services were dropped, by name.
    """

    def __init__(self, metrics: logs.Log) -> None:
        self._metrics = metrics
        self._services: dict[str, logs.Log] = {}
        self.ids: dict[str, str | None] = {}
        self.failed: dict[str, str] = {}

    def add(self, name: str, service: logs.Log) -> None:
        """A service that is told, too."""
        self._services[name], self.ids[name] = service, service.run_id

    def write(self, record: Mapping[str, logs.Number]) -> None:
        """Tells all of them.

        Raises:
            InputError: ``metrics.jsonl`` cannot be written.
        """
        self._metrics.write(record)
        for name, service in list(self._services.items()):
            try:
                service.write(record)
            except Exception as error:  # of whatever kind: the training is worth more than what is told of it
                self._drop(name, error)
                with suppress(Exception):  # one warning is enough
                    service.__exit__(type(error), error, error.__traceback__)

    def close(
        self, name: str, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes a service, if it has not been dropped."""
        if name not in self._services:
            return
        try:
            self._services[name].__exit__(kind, error, trace)
        except Exception as failure:  # as above; and what ended the training goes before what ends its log
            self._drop(name, failure)

    def _drop(self, name: str, error: Exception) -> None:
        del self._services[name]
        self.failed[name] = _reason(error)
        print(f"fnn train: warning: {name} failed and is told nothing more: {self.failed[name]}", file=sys.stderr)


@contextmanager
def open_logs(run: Run, settings: Mapping[str, Any], ids: Mapping[str, str | None]) -> Iterator[Logs]:
    """``metrics.jsonl`` of the run, and what ``--log-to`` names; closed in the end.

    Args:
        run: whose they are; TensorBoard's and Weights & Biases' files go into its folder ``logs``.
        settings: of the training, which the services are told.
        ids: of logs that were begun before the training was interrupted: these are gone on with.

    Raises:
        InputError: a package is missing, or a service refuses.
    """
    with ExitStack() as stack:
        opened = Logs(stack.enter_context(logs.json_lines(run.metrics)))
        for name in dict.fromkeys(settings["log_to"] or ()):
            opened.add(name, _open(name, run, settings, ids.get(name)))
            stack.push(partial(opened.close, name))
        yield opened


def _open(name: str, run: Run, settings: Mapping[str, Any], run_id: str | None) -> logs.Log:
    try:
        if name == "tensorboard":
            return logs.tensorboard(run.logs / "tensorboard")
        if name == "wandb":
            run.logs.mkdir(exist_ok=True)
            known = {} if run_id is None else {"id": run_id, "resume": "allow"}
            return logs.wandb(project="fnn", name=run.path.name, dir=str(run.logs), config=dict(settings), **known)
        return logs.mlflow(name=run.path.name, run_id=run_id)
    except InputError:
        raise
    except Exception as error:  # each service has errors of its own
        raise InputError(
            f"--log-to {name}: the service refuses: {_reason(error)}; --log-to none goes without"
        ) from None


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
