"""A trained network, found again by its run."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from fnn import checkpoint, recipes
from fnn.data import Dataset, Standard
from fnn.errors import CheckpointError, DataError, InputError
from fnn.loading import Prepared, load_data, standard_of
from fnn.options import DATA_OPTIONS, PARTS
from fnn.runs import find_newest, parameters_of
from fnn.tasks import Task, for_task
from fnn.types import Model, Params, State, spec

_OF_THE_SOURCE = ("target", "features", "task", "image_size")


class Trained(NamedTuple):
    """A trained network.

    Attributes:
        run: its folder.
        model: the network.
        params: its parameters.
        state: its state.
        task: what it was trained for.
        data: what is known of the data it was trained on, as plain data.
        inputs: what inputs have to be shifted and divided by, if by anything.
        targets: the same of the targets.
    """

    run: Path
    model: Model
    params: Params
    state: State
    task: Task
    data: dict[str, Any]
    inputs: Standard | None
    targets: Standard | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        return tuple(self.data["input_shape"])


def load_trained(options: Namespace) -> Trained:
    """The network of the run that is named, or of the newest.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    run = Path(options.run) if options.run else find_newest()
    parameters = parameters_of(run)
    about = checkpoint.describe(parameters)
    try:
        data = about["data"]
        model = recipes.build(about["model"])
        x = spec(np.broadcast_to(np.float32(0), (1, *data["input_shape"])))
        like = jax.eval_shape(lambda: dict(zip(("params", "state"), model.init(jax.random.key(0), x), strict=True)))
        if not 0 < float(data["scale"]) < math.inf or not isinstance(data["n_classes"], int):
            raise ValueError("scale or n_classes")
        if not all(isinstance(data[name], list) for name in ("class_names", "feature_names")):
            raise ValueError("class_names or feature_names")
        dict(data["source"])
        inputs, targets = standard_of(data["inputs"]), standard_of(data["targets"])
        task = for_task(data["task"])
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{run}: was not kept by train: its description lacks or garbles {error}") from None
    tree = checkpoint.load(parameters, like)
    return Trained(run, model, tree["params"], tree["state"], task, data, inputs, targets)


def data_for(trained: Trained, options: Namespace) -> Prepared:
    """The data set that the network was trained on, or the one that the options name, as the network has to see it.

    Raises:
        InputError: it is missing, or does not fit the network.
    """
    known = trained.data
    named = {o.name: getattr(options, o.name) for o in DATA_OPTIONS if getattr(options, o.name, None) is not None}
    source = dict(known["source"])
    if "data" in named or "data_path" in named or any(part in named for part in PARTS):
        same = named.get("data", source["data"]) == source["data"]
        kept = {key: value for key, value in source.items() if same and key in ("data", *_OF_THE_SOURCE)}
        named = kept | named
        if "data_path" not in named and named["data"] in ("csv", "npz", "folder"):
            named["data_path"] = source.get("data_path")
    else:
        named = source | named
    data = load_data(named, n_classes=known["n_classes"])
    if data.test.x.shape[1:] != trained.shape:
        raise InputError(
            f"{trained.run}: expected {inputs_text(trained.shape)}, {data.name} has {data.test.x.shape[1:]}"
        )
    if data.task != known["task"]:
        raise InputError(f"{trained.run}: was trained for {known['task']}, {data.name} asks for {data.task}")
    data = _same_classes(trained, data)
    scale = float(known["scale"])
    if data.scale != scale:  # the network has learned from numbers divided by its own
        data = data._replace(test=data.test._replace(x=data.test.x * np.float32(data.scale / scale)), scale=scale)
    if trained.inputs is not None:
        data = data._replace(test=data.test._replace(x=trained.inputs.apply(data.test.x)))
    if trained.targets is not None:
        data = data._replace(test=data.test._replace(y=trained.targets.apply(data.test.y)))
    return Prepared(data, trained.inputs, trained.targets)


def inputs_text(shape: tuple[int, ...]) -> str:
    """What a network takes, in words."""
    return f"images of shape {shape}" if len(shape) > 1 else f"rows of {shape[0]} numbers"


def _same_classes(trained: Trained, data: Dataset) -> Dataset:
    """Classes under the numbers that the network knows them by."""
    names = trained.data["class_names"]
    if names and data.class_names and list(data.class_names) != names:
        strange = [name for name in data.class_names if name not in names]
        if strange:
            raise DataError(f"{trained.run}: knows the classes {', '.join(names)}; {data.name} has {strange[0]!r}")
        numbers = np.array([names.index(name) for name in data.class_names], np.int32)
        return data._replace(test=data.test._replace(y=numbers[data.test.y]), n_classes=len(names))
    if data.n_classes != trained.data["n_classes"]:
        raise InputError(
            f"{trained.run}: expected {trained.data['n_classes']} classes, {data.name} has {data.n_classes}"
        )
    return data
