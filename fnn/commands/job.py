"""A training, ready to begin: everything that its settings name, made."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import jax
import optax

from fnn import __version__, recipes
from fnn.callbacks import Callback, early_stopping, reduce_on_plateau
from fnn.compilation import use_cache
from fnn.data import Dataset, split
from fnn.errors import InputError
from fnn.evaluation import evaluate
from fnn.loading import Prepared, describe_data, describe_source, digest, load_data, prepare
from fnn.mixed import mixed_precision
from fnn.options import OPTIONS
from fnn.tasks import Task, for_task
from fnn.types import Batch, KeyArray, Model, Objective, Params, State, spec

_PACKAGES = ("jax", "jaxlib", "optax", "flax", "orbax-checkpoint", "numpy")


class Job(NamedTuple):
    """A training that has not begun.

    Attributes:
        settings: all of them, by name.
        prepared: the data.
        train: the examples to learn from.
        held_out: those to judge each epoch by, if there are any.
        model: the network.
        task: its loss and metrics.
        objective: what is minimised.
        optimizer: what minimises it.
        params: where it starts.
        state: the model's state there.
        key: decides order, dropout, augmentation.
        n_batches: how many there will be.
        description: of model and data, as plain data: what ``evaluate`` and ``predict`` have to know.
    """

    settings: dict[str, Any]
    prepared: Prepared
    train: Batch
    held_out: Batch | None
    model: Model
    task: Task
    objective: Objective
    optimizer: optax.GradientTransformation
    params: Params
    state: State
    key: KeyArray
    n_batches: int
    description: dict[str, Any]

    @property
    def data(self) -> Dataset:
        """The data set."""
        return self.prepared.data

    @property
    def batch_size(self) -> int | None:
        """``None`` for all."""
        return None if self.settings["batch_size"] == "full" else int(self.settings["batch_size"])

    def scores(self) -> dict[str, Any]:
        """The loss and the metrics of the task, by name."""
        return {"loss": self.task.loss, **self.task.metrics}

    def validate(self) -> Callable[[Params, State], dict[str, float]] | None:
        """What judges each epoch, if examples are held out for it."""
        if self.held_out is None:
            return None

        def judge(params: Params, state: State) -> dict[str, float]:
            means = evaluate(self.model, params, state, self.held_out, self.scores())
            return {f"validation_{name}": value for name, value in means.items()}

        return judge

    def callbacks(self) -> list[Callback]:
        """What looks at each epoch: its loss, where possible on examples that are held out."""
        settings, watched = self.settings, "loss" if self.held_out is None else "validation_loss"
        chosen = []
        if settings["schedule"] == "plateau":
            patience, factor = settings["plateau_patience"], settings["plateau_factor"]
            chosen.append(reduce_on_plateau(watched, patience=patience, factor=factor))
        if settings["patience"] is not None:
            chosen.append(early_stopping(watched, patience=settings["patience"]))
        return chosen

    def test(self, params: Params, state: State) -> dict[str, float]:
        """How good parameters are on the examples of the test, in the units of the source."""
        return judge_test(self.model, params, state, self.prepared, self.task)


def judge_test(model: Model, params: Params, state: State, prepared: Prepared, task: Task) -> dict[str, float]:
    """Means over the examples to test with, regression in the units of the source."""
    test = prepared.data.test
    if prepared.targets is not None:
        units = prepared.targets
        test = test._replace(y=(test.y * units.spread + units.mean).astype(test.y.dtype))
    judged = recipes.in_units(model, prepared.targets)
    return evaluate(judged, params, state, test, {"loss": task.loss, **task.metrics})


def make_job(given: Mapping[str, Any]) -> Job:
    """Loads the data and makes all else.

    Args:
        given: settings by name; those that are missing get their defaults.

    Raises:
        InputError: data, model and settings do not fit each other.
    """
    use_cache()
    named = {option.name: option.default for option in OPTIONS} | dict(given)
    prepared = prepare(load_data(named), named)
    data = prepared.data
    settings = recipes.resolve(given, data)
    task = for_task(data.task)
    described = describe_data(prepared)
    model_description = recipes.describe_model(settings, described["n_out"])
    model = recipes.build(model_description)
    root = jax.random.key(settings["seed"])
    init_key, key = jax.random.split(root)
    train, held_out = data.train, None
    if settings["validation"]:
        train, held_out = split(
            data.train, settings["validation"], jax.random.fold_in(root, 1), stratify=data.task == "single-label"
        )
    x = spec(train.x[:1])
    params, state = model.init(init_key, x)
    best, measured = settings["keep_best"], ["loss", *task.metrics]
    measured += [f"validation_{name}" for name in measured] if held_out is not None else []
    if best is not None and best not in measured:
        raise InputError(f"--keep-best: expected one of {', '.join(measured)}, got {best}")
    n_batches = recipes.n_steps(settings, len(train.x))
    return Job(
        settings,
        prepared,
        train,
        held_out,
        model,
        task,
        recipes.objective(mixed_precision(model, settings["precision"]), task, settings),
        recipes.optimizer(settings, n_batches),
        params,
        state,
        key,
        n_batches,
        {"fnn": __version__, "model": model_description, "data": described | {"source": describe_source(settings)}},
    )


def circumstances(job: Job) -> dict[str, Any]:
    """What, besides the settings, decides the bits: versions, machine, data."""
    return {"versions": versions(), "data_sha256": digest((job.data.train, job.data.test))}


def versions() -> dict[str, str]:
    """What is installed, and what it runs on."""
    installed = {}
    for package in _PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = "unknown"
    device = jax.devices()[0]
    return {
        "fnn": __version__,
        **installed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": f"{len(jax.devices())} x {device.device_kind}",
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was, in words."""
    old, new = then.get("versions", {}), now["versions"]
    found = [f"{name} {old.get(name)} then, {value} now" for name, value in new.items() if old.get(name) != value]
    return found + (["other data"] if then.get("data_sha256") != now["data_sha256"] else [])
