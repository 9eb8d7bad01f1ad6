"""From the options of the command line to data, model and optimizer, by way of plain data that JSON can hold."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import optax

from fnn import activations
from fnn.data import Dataset, load_digits, load_idx, load_mnist
from fnn.data.batching import effective_size
from fnn.errors import CheckpointError, InputError
from fnn.models import cnn, linear, mlp
from fnn.options import ACTIVATIONS
from fnn.types import Model

_PARTS = ("train_images", "train_labels", "test_images", "test_labels")


class Recipe(NamedTuple):
    """What is trained and how, as plain data.

    Attributes:
        model: name and arguments of the model.
        training: epochs, batch_size (``None`` for all), learning_rate, schedule, optimizer, seed.
    """

    model: dict[str, Any]
    training: dict[str, Any]

    def n_steps(self, n_examples: int) -> int:
        """How many updates the training takes."""
        steps_per_epoch = -(-n_examples // effective_size(self.training["batch_size"], n_examples))
        return int(self.training["epochs"] * steps_per_epoch)


# Small images learn in seconds with a small network; the others get what MNIST needs.
_SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"epochs": 40, "batch_size": 32, "learning_rate": 2e-3, "hidden": [128, 128], "drop_rate": 0.2},
    "cnn": {
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "hidden": [128],
        "channels": [32, 64],
        "drop_rate": 0.3,
    },
    "linear": {"epochs": 40, "batch_size": 32, "learning_rate": 5e-3},
}
_LARGE: dict[str, dict[str, Any]] = {
    "mlp": {"epochs": 10, "batch_size": 128, "learning_rate": 1e-3, "hidden": [512, 512], "drop_rate": 0.2},
    "cnn": {
        "epochs": 5,
        "batch_size": 128,
        "learning_rate": 2e-3,
        "hidden": [256],
        "channels": [32, 64],
        "drop_rate": 0.2,
    },
    "linear": {"epochs": 10, "batch_size": 128, "learning_rate": 1e-3},
}
_TAKES = {"mlp": {"hidden", "activation", "drop_rate"}, "cnn": {"hidden", "channels", "activation", "drop_rate"}}


def choose(options: Namespace, data: Dataset) -> Recipe:
    """The options, and for what was left open the defaults for this data and model.

    Raises:
        InputError: an option that the model does not have.
    """
    name = options.model
    defaults = {"activation": "relu", **(_SMALL if data.name == "digits" else _LARGE)[name]}
    given = {option: getattr(options, option) for option in ("hidden", "channels", "activation", "drop_rate")}
    for option, value in given.items():
        if value is not None and option not in _TAKES.get(name, ()):
            raise InputError(f"--model {name} has no --{option.replace('_', '-')}")
    chosen = defaults | {option: value for option, value in given.items() if value is not None}
    model = {"name": name, "n_out": data.n_classes}
    model |= {option: chosen[option] for option in sorted(_TAKES.get(name, ()))}
    if name == "cnn" and len(model["hidden"]) != 1:
        raise InputError(f"--model cnn has one hidden dense layer, got --hidden {','.join(map(str, model['hidden']))}")
    training = {
        "epochs": options.epochs or defaults["epochs"],
        "batch_size": options.batch_size if options.batch_size is not None else defaults["batch_size"],
        "learning_rate": options.learning_rate or defaults["learning_rate"],
        "schedule": options.schedule,
        "optimizer": options.optimizer,
        "seed": options.seed,
    }
    if training["batch_size"] == "full":
        training["batch_size"] = None
    return Recipe(model, training)


def build(description: Mapping[str, Any]) -> Model:
    """The model that a recipe describes.

    Raises:
        CheckpointError: there is no such model or activation.
        KeyError: an argument is missing.

    Example:
        >>> build({"name": "linear", "n_out": 10}).name
        'linear'
    """
    name, n_out = description["name"], description["n_out"]
    if name == "linear":
        return linear(n_out)
    activation = _activation(description["activation"])
    if name == "mlp":
        return mlp(description["hidden"], n_out, activation=activation, drop_rate=description["drop_rate"])
    if name == "cnn":
        return cnn(
            n_out,
            n_channels=description["channels"],
            n_hidden=description["hidden"][0],
            activation=activation,
            drop_rate=description["drop_rate"],
        )
    raise CheckpointError(f"expected a model of the name mlp, cnn or linear, got {name!r}")


def optimizer(training: Mapping[str, Any], n_steps: int) -> optax.GradientTransformation:
    """The Optax optimizer that a recipe names, its learning rate constant or falling to 0 along a cosine.

    Example:
        >>> recipe = {"optimizer": "sgd", "learning_rate": 0.1, "schedule": "constant"}
        >>> optimizer(recipe, 100).init({}) is not None
        True
    """
    rate: Any = training["learning_rate"]
    if training["schedule"] == "cosine":
        rate = optax.cosine_decay_schedule(rate, n_steps)
    if training["optimizer"] in ("momentum", "nesterov"):
        return optax.sgd(rate, momentum=0.9, nesterov=training["optimizer"] == "nesterov")
    make: Callable[[Any], optax.GradientTransformation] = getattr(optax, training["optimizer"])
    return make(rate)


def load_data(
    name: str | None, data_dir: str | None, files: Mapping[str, str], *, n_classes: int | None = None
) -> Dataset:
    """The data set of that name.

    Args:
        name: digits, mnist or idx.
        data_dir: the folder of an mnist or idx data set.
        files: single files of an idx data set, by part.
        n_classes: of an idx data set, where it does not go by the training labels.

    Raises:
        InputError: there is none of that name, or the other arguments do not belong to it.
        DataError: it is missing or damaged.

    Example:
        >>> load_data("digits", None, {}).n_classes
        10
    """
    if files and name != "idx":
        raise InputError(f"single IDX files go with --data idx, got --data {name}")
    if name == "digits":
        if data_dir is not None:
            raise InputError("--data-dir goes with --data mnist or idx; digits come with scikit-learn")
        return load_digits()
    if name == "mnist":
        return load_mnist(data_dir)
    if name == "idx":
        return load_idx(
            data_dir,
            train_images=files.get("train_images"),
            train_labels=files.get("train_labels"),
            test_images=files.get("test_images"),
            test_labels=files.get("test_labels"),
            n_classes=n_classes,
        )
    raise InputError(f"expected data of the name digits, mnist or idx, got {name!r}")


def idx_files(options: Namespace) -> dict[str, str]:
    """The single IDX files that the options name, by part."""
    return {part: getattr(options, part) for part in _PARTS if getattr(options, part) is not None}


def describe_data(data: Dataset) -> dict[str, Any]:
    """What a kept model must know again of its data.

    Example:
        >>> describe_data(load_digits())["input_shape"]
        [8, 8, 1]
    """
    return {
        "name": data.name,
        "train_examples": len(data.train.x),
        "test_examples": len(data.test.x),
        "input_shape": list(data.train.x.shape[1:]),
        "n_classes": data.n_classes,
        "scale": data.scale,
    }


def describe_source(options: Namespace) -> dict[str, Any]:
    """Where the data came from, so that ``evaluate`` finds it again."""
    return {"data": options.data, "data_dir": options.data_dir, "files": idx_files(options)}


def _activation(name: str) -> Callable[[Any], Any]:
    if name not in ACTIVATIONS:
        raise CheckpointError(f"expected an activation among {', '.join(ACTIVATIONS)}, got {name!r}")
    function: Callable[[Any], Any] = getattr(activations, name)
    return function
