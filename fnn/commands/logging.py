"""Where a run's numbers go besides its own file: the services that ``--log-to`` names, opened together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from fnn import logs
from fnn.runs import Run


@contextmanager
def open_logs(run: Run, settings: Mapping[str, Any], ids: Mapping[str, str | None]) -> Iterator[dict[str, logs.Log]]:
    """``metrics.jsonl`` of the run, and what ``--log-to`` names, by name; closed in the end.

    Args:
        run: whose they are; TensorBoard's and Weights & Biases' files go into its folder ``logs``.
        settings: of the training, which the services are told.
        ids: of logs that were begun before the training was interrupted: these are gone on with.

    Raises:
        InputError: a package is missing, or a service refuses.
    """
    with ExitStack() as stack:
        opened = {"metrics": stack.enter_context(logs.json_lines(run.metrics))}
        for name in settings["log_to"] or ids:
            opened[name] = stack.enter_context(_open(name, run, settings, ids.get(name)))
        yield opened


def _open(name: str, run: Run, settings: Mapping[str, Any], run_id: str | None) -> logs.Log:
    if name == "tensorboard":
        return logs.tensorboard(run.logs / "tensorboard")
    if name == "wandb":
        run.logs.mkdir(exist_ok=True)
        known = {} if run_id is None else {"id": run_id, "resume": "allow"}
        return logs.wandb(project="fnn", name=run.path.name, dir=str(run.logs), config=dict(settings), **known)
    return logs.mlflow(name=run.path.name, run_id=run_id)
