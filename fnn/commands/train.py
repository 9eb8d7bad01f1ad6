"""``fnn train``: trains, judges, keeps the run, reports."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fnn import checkpoint
from fnn.arguments import given as given_settings
from fnn.commands.job import Job, circumstances, differences, make_job
from fnn.commands.logging import open_logs
from fnn.commands.trial import check_trial, trial, where_diverged
from fnn.errors import CheckpointError, DivergedError, InputError
from fnn.loading import digest
from fnn.options import OPTIONS
from fnn.progress import Progress, print_json, print_summary
from fnn.recipes import replaced
from fnn.runfile import read_run_file, write_run_file
from fnn.runs import Run, check_replaceable, new_run
from fnn.saving import Checkpoints, load_state
from fnn.summary import Row, count_parameters, summarize
from fnn.train import Epoch, epochs, fit, start
from fnn.types import Params, State, spec

_NOT_OF_THE_NUMBERS = ("json", "plot", "log_to")  # what may change when a training is gone on with


def train(options: Namespace) -> None:
    """Trains, or goes on with a training; judges by the examples to test with; keeps the run; reports.

    Raises:
        InputError: data, model and settings do not fit, the run cannot be kept, or it is not the repetition it had to
            be.
        DivergedError: a number was no longer finite; the state from before is kept.
        KeyboardInterrupt: with the state kept, to be gone on with.
    """
    begin = time.perf_counter()
    _check_sources(options)
    given = given_settings(options)
    if options.resume is not None:
        _resume(Run(options.resume), given, options.step, begin)
        return
    origin = Run(options.from_run) if options.from_run is not None else None
    file = origin.settings_file if origin else options.run_file
    then = origin.record() if origin else {}
    given = replaced(read_run_file(file) if file is not None else {}, given)
    if options.trial is not None:
        check_trial(options.trial, given)
    if given.get("out") is not None and options.trial is None:
        check_replaceable(given["out"])  # before the work, not after it
    if given.get("plot"):
        _check_plots()
    job = make_job(given)
    if options.trial is not None:
        trial(job, options.trial)
        return
    now = circumstances(job)
    changes = differences(then, now) if origin else []
    if origin and changes:
        print(
            f"fnn train: {'; '.join(changes)}: the bits of {origin.path} are not to be expected",
            file=sys.stderr,
        )
    text = write_run_file(_to_repeat(job.settings), "All settings of this run: python -m fnn train --from RUN")
    name = f"{job.settings['data']}-{job.settings['model']}"
    with new_run(given.get("out"), name, text, _record(job, now)) as run:
        record = _carry_out(job, run, _record(job, now), begin)
    if origin is None:
        _report(run, record, job.settings["json"])
        return
    same_settings = read_run_file(origin.settings_file) == read_run_file(run.settings_file)
    expected = then.get("sha256") if same_settings else None
    repeats = {"run": str(origin.path), "differences": changes, "same": expected and expected == record["sha256"]}
    if expected is not None and expected != record["sha256"] and not changes:
        raise InputError(f"{run.path}: the parameters are not those of {origin.path}, though nothing recorded differs")
    _report(run, record | {"repeats": repeats}, job.settings["json"])


def _check_sources(options: Namespace) -> None:
    sources = {"a run file": options.run_file, "--from": options.from_run, "--resume": options.resume}
    named = [name for name, value in sources.items() if value is not None]
    if len(named) > 1:
        raise InputError(f"{named[0]} and {named[1]} both say where the settings come from; give one")
    if options.trial is not None and options.resume is not None:
        raise InputError("--trial keeps nothing, and has nothing to --resume")
    if options.step is not None and options.resume is None:
        raise InputError("--step goes with --resume")


def _check_plots() -> None:
    if find_spec("matplotlib") is None:
        raise InputError("--plot needs matplotlib: pip install 'fnn[plot]'")


def _resume(run: Run, given: dict[str, Any], step: int | None, begin: float) -> None:
    for option in OPTIONS:
        if option.name in given and option.name not in _NOT_OF_THE_NUMBERS:
            raise InputError(f"--resume goes on with the settings of {run.path}; {option.flag} cannot change them")
    record = run.record()
    as_json = given.get("json", False)
    if record.get("status") == "finished" and step is None:
        print(f"fnn train: {run.path} has ended; there is nothing to go on with", file=sys.stderr)
        _report(run, record, as_json)
        return
    failed = record.get("logs_failed", {})
    if "log_to" in given:
        log_to = given["log_to"] or []
    else:
        log_to = [name for name in record.get("log_to", record.get("logs", {})) if name not in failed]
    job = make_job(read_run_file(run.settings_file) | given | {"log_to": log_to})
    now = circumstances(job)
    if record.get("data_sha256") != now["data_sha256"]:
        raise InputError(f"{run.path}: the data are not those it was trained on so far")
    if changes := differences(record, now):
        print(f"fnn train: {'; '.join(changes)}: not the bits of an uninterrupted training", file=sys.stderr)
    try:
        failed = {name: reason for name, reason in failed.items() if name not in log_to}
        again = _record(job, now) | {"logs": record.get("logs", {}), "logs_failed": failed}
        record = _carry_out(job, run, again, begin, True if step is None else step)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace("resume=", "--step ")) from None
    _report(run, record, as_json)


def _carry_out(job: Job, run: Run, record: dict[str, Any], begin: float, resume: bool | int = False) -> dict[str, Any]:
    """The training itself; everything that it leaves in the folder is left here. Returns the record."""
    settings = job.settings
    rows = _rows(job)
    if not settings["json"]:
        print_summary(f"{settings['model']} on {job.data.name}", rows)
    history = [] if resume is False else _kept_history(run, resume)
    per_epoch = job.n_batches // settings["epochs"]
    lines = [{"epoch": i + 1, "step": (i + 1) * per_epoch, **metrics} for i, metrics in enumerate(history)]
    run.write_epochs(lines)
    arguments = job.objective, job.optimizer, job.params, job.state, job.train
    keywords: dict[str, Any] = {
        "key": job.key,
        "n_epochs": settings["epochs"],
        "batch_size": job.batch_size,
        "validate": job.validate(),
        "callbacks": job.callbacks(),
        "checkpoints": _checkpoints(job, run),
        "resume": resume,
    }
    last: Epoch | None = None
    about = job.description | {"training": record["training"]}
    try:
        with (
            open_logs(run, settings, record["logs"]) as logs,
            Progress(settings["epochs"], job.n_batches) as progress,
        ):
            record["logs"] |= logs.ids
            logs.failed |= record["logs_failed"]
            record["logs_failed"] = logs.failed  # grows where one fails
            run.write_record(record)
            for last in epochs(*arguments, **keywords, on_step=progress.step):
                line = {"epoch": last.number, "step": int(last.train_state.step), **last.metrics}
                logs.write(line)
                lines.append(line)
                progress.epoch(last.number, last.metrics)
        if last is not None:
            params, state = last.train_state.params, last.train_state.state
        else:  # all was done but for the end
            params, state, *_ = fit(*arguments, **keywords)
        if settings["keep_best"] is not None:
            like = start(job.optimizer, job.params, job.state, job.key)
            best = load_state(run.checkpoints / "best", like)
            params, state = best.params, best.state
            record |= {"keep_best": settings["keep_best"], "best_epoch": int(best.step) // per_epoch}
        test = job.test(params, state)
    except KeyboardInterrupt as interrupt:
        if last is not None:
            _keep(run, last.train_state.params, last.train_state.state, about | {"interrupted": last.number})
        if not any(run.checkpoints.glob("step_*")):
            raise type(interrupt)("interrupted before there was anything to keep") from None
        run.write_record(record | {"status": "interrupted"})
        raise type(interrupt)(f"interrupted; python -m fnn train --resume {run.path} goes on from here") from None
    except DivergedError as error:
        kept = error.train_state
        if kept is not None:
            _keep(run, kept.params, kept.state, about | {"diverged": str(error)})
            error.args = (f"{error}; the parameters from before are in {run.path}",)
        record |= {"status": "diverged", "error": str(error)}
        run.write_record(record)
        if settings["json"]:
            where = where_diverged(error)
            print_json({"command": "train", **record, **where, "epochs": run.epochs(), "out": str(run.path)})
        raise
    _keep(run, params, state, about | {"test": test})
    record |= {
        "status": "finished",
        "layers": [row._asdict() for row in rows],
        "parameters": count_parameters(params),
        "test": test,
        "sha256": digest(params),
        "seconds": round(time.perf_counter() - begin, 3),
    }
    run.write_record(record)
    if settings["plot"]:
        from fnn.plots import write_plots  # brings matplotlib with it

        write_plots(run.pictures, lines, job.model, params, state, job.data)
    return record


def _record(job: Job, now: dict[str, Any]) -> dict[str, Any]:
    named = {o.name: job.settings[o.name] for o in OPTIONS if o.section == "training"}
    training = named | {"batch_size": job.batch_size}
    return {
        "status": "training",
        "seed": job.settings["seed"],
        "log_to": job.settings["log_to"] or [],  # the services that were asked for
        "logs": {},  # by name, what each knows the run by
        "logs_failed": {},  # by name, why it is told nothing more
        **now,
        **job.description,
        "training": training,
    }


def _to_repeat(settings: dict[str, Any]) -> dict[str, Any]:
    return {option.name: settings[option.name] for option in OPTIONS if option.repeats}


def _checkpoints(job: Job, run: Run) -> Checkpoints:
    settings = job.settings
    best = settings["keep_best"]
    # The larger the better are the shares of what is right; all others are errors.
    mode = "max" if best is not None and best.endswith("accuracy") else "min"
    return Checkpoints(
        run.checkpoints,
        every=settings["checkpoint_every"],
        keep_last=settings["keep"],
        keep_best=None if best is None else (best, mode),
    )


def _kept_history(run: Run, step: int) -> list[dict[str, float]]:
    """The epochs that were over when the state that is gone on from was kept."""
    states = sorted(run.checkpoints.glob("step_*"))
    if step is not True:
        states = [state for state in states if int(state.name.removeprefix("step_")) == step]
    if not states:
        return []
    try:
        history: list[dict[str, float]] = checkpoint.describe(states[-1])["history"]
    except (CheckpointError, KeyError):  # told, with what can be done about it, when the state itself is read
        return []
    return history


def _keep(run: Run, params: Params, state: State, about: dict[str, Any]) -> None:
    checkpoint.save(run.parameters, {"params": params, "state": state}, about)


def _rows(job: Job) -> list[Row]:
    return summarize(job.model, spec(job.train.x[:1]))


def _report(run: Run, record: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json({"command": "train", **record, "epochs": run.epochs(), "out": str(run.path)})
        return
    test, n = record["test"], record["data"]["test_examples"]
    what = "images" if len(record["data"]["input_shape"]) > 1 else "rows"
    if "accuracy" in test:
        print(f"held-out accuracy {test['accuracy']:.4f}, loss {test['loss']:.4f} ({n} {what})")
    else:
        print(f"held-out mean squared error {test['loss']:.6g} ({n} {what})")
    if "best_epoch" in record:
        print(f"kept are the parameters of epoch {record['best_epoch']}, the best by {record['keep_best']}")
    if "repeats" in record and record["repeats"]["same"] is not None:
        same = "the same bits as" if record["repeats"]["same"] else "other bits than"
        print(f"{same} {record['repeats']['run']} (SHA-256 {record['sha256'][:16]}...)")
    print(f"{record['seconds']:.1f} s; parameters kept in {run.path}; next: python -m fnn predict {_word(run.path)}")


def _word(path: Path) -> str:
    return f"'{path}'" if " " in str(path) else str(path)
