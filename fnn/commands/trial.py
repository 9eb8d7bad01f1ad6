"""``fnn train --trial``: a short training that answers a question before the long one, and keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fnn import recipes
from fnn.commands.job import Job
from fnn.errors import DivergedError, InputError
from fnn.evaluation import evaluate
from fnn.progress import print_json, print_table
from fnn.trials import LearningRates, fast_dev_run, find_learning_rate, overfit_one_batch

_ROWS = 12  # of the table of learning rates
_STEPS = 200  # in which a batch has to be learned by heart


def check_trial(kind: str, given: Mapping[str, Any]) -> None:
    """Refuses what a trial would not do.

    Raises:
        InputError: a service is to be told, or a picture asked for that there is none of.

    Example:
        >>> check_trial("learning-rate", {"plot": True})
    """
    if given.get("log_to"):
        raise InputError(f"--trial {kind} tells no service anything, got --log-to {','.join(given['log_to'])}")
    if given.get("plot") and kind != "learning-rate":
        raise InputError(f"--plot goes with a training or with --trial learning-rate, got --trial {kind}")


def where_diverged(error: DivergedError) -> dict[str, Any]:
    """Where a training left the finite numbers, as plain data."""
    return {"step": error.step, "epoch": error.epoch, "batch": error.batch, "layer": error.layer}


def trial(job: Job, kind: str) -> None:
    """Carries out one of ``fnn.options.TRIALS`` and reports.

    Raises:
        InputError: the loss never falls, or a picture cannot be written.
        DivergedError: a number was no longer finite.
    """
    try:
        report = {"learning-rate": _learning_rate, "one-batch": _one_batch, "fast": _fast}[kind](job)
    except DivergedError as error:
        if job.settings["json"]:
            about = {"status": "diverged", "error": str(error), **where_diverged(error)}
            print_json({"command": "train", "trial": kind, **about})
        raise
    if job.settings["json"]:
        print_json({"command": "train", "trial": kind, **report})


def _learning_rate(job: Job) -> dict[str, Any]:
    settings = job.settings | {"accumulate": 1}  # each batch has its own rate
    found = find_learning_rate(
        job.objective,
        recipes.make_optimizer(settings),
        job.params,
        job.state,
        tuple(job.train),
        key=job.key,
        batch_size=job.batch_size,
    )
    picture = _picture(job, found) if settings["plot"] else None
    if not settings["json"]:
        shown = np.unique(np.linspace(0, len(found.rates) - 1, _ROWS).round().astype(int))
        rows = [[f"{found.rates[i]:.3g}", f"{found.losses[i]:.4f}"] for i in shown]
        print_table("loss, smoothed, while the learning rate rises", ["learning rate", "loss"], rows)
        print(f"it falls most steeply at --learning-rate {found.suggestion:.3g}")
        if picture is not None:
            print(f"picture in {picture}")
    return {
        "learning_rate": found.suggestion,
        "learning_rates": found.rates.tolist(),
        "losses": found.losses.tolist(),
        "picture": None if picture is None else str(picture),
    }


def _picture(job: Job, found: LearningRates) -> Path:
    from fnn.plots import learning_rate_curve, save  # brings matplotlib with it

    path = Path(job.settings["out"] or ".") / "learning_rate_curve.png"
    return save(learning_rate_curve(found.rates, found.losses, found.suggestion), path)


def _one_batch(job: Job) -> dict[str, Any]:
    settings = job.settings
    optimizer = recipes.make_optimizer(settings | {"accumulate": 1})(settings["learning_rate"])
    size = len(job.train.x) if job.batch_size is None else job.batch_size
    fitted = overfit_one_batch(
        job.objective,
        optimizer,
        job.params,
        job.state,
        tuple(job.train),
        key=job.key,
        n_steps=_STEPS,
        batch_size=size,
    )
    batch = tuple(part[:size] for part in job.train if part is not None)
    before, after = (evaluate(job.model, *at, batch, job.scores()) for at in ((job.params, job.state), fitted[:2]))
    if not settings["json"]:
        rows = [[name, f"{before[name]:.4f}", f"{after[name]:.4f}"] for name in after]
        title = f"the first {len(batch[0])} examples, {_STEPS} updates at {settings['learning_rate']:g}"
        print_table(title, ["", "before", "after"], rows)
    return {"examples": len(batch[0]), "updates": _STEPS, "before": before, "after": after}


def _fast(job: Job) -> dict[str, Any]:
    size = len(job.train.x) if job.batch_size is None else job.batch_size
    fitted = fast_dev_run(
        job.objective,
        job.optimizer,
        job.params,
        job.state,
        tuple(job.train),
        key=job.key,
        batch_size=size,
        validate=job.validate(),
        callbacks=job.callbacks(),
    )
    test = job.test(fitted.params, fitted.state)
    n_batches = int(fitted.train_state.step)
    if not job.settings["json"]:
        said = ", ".join(f"{name} {value:.4f}" for name, value in fitted.history[0].items())
        batches = "one batch" if n_batches == 1 else f"{n_batches} batches"
        parts = f"{batches} and test" if job.held_out is None else f"{batches}, validation and test"
        print(f"{parts} run through: {said}")
    return {"batches": n_batches, "metrics": fitted.history[0], "test": test}
