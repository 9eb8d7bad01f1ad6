"""From settings to model, objective and optimizer, by way of plain data that JSON and TOML can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fnn import activations
from fnn.data import Dataset, Standard, augmented, compose, cutout, random_flip, random_rotation, random_shift
from fnn.data.augmentation import Augment
from fnn.data.batching import effective_size
from fnn.errors import CheckpointError, InputError
from fnn.losses import softmax_cross_entropy
from fnn.models import cnn, linear, mlp
from fnn.objectives import supervised
from fnn.options import ACTIVATIONS, OPTIONS
from fnn.tasks import Task
from fnn.types import ExampleLoss, Model, Objective

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
        "epochs": 10,
        "batch_size": 128,
        "learning_rate": 1e-2,
        "schedule": "one-cycle",
        "hidden": [256],
        "channels": [32, 64],
        "batch_norm": True,
        "drop_rate": 0.3,
    },
    "linear": {"epochs": 10, "batch_size": 128, "learning_rate": 1e-3},
}
# Few numbers each, and often few rows.
_TABLE: dict[str, dict[str, Any]] = {
    "mlp": {"epochs": 60, "batch_size": 32, "learning_rate": 5e-3, "hidden": [64, 64], "drop_rate": 0.0},
    "linear": {"epochs": 60, "batch_size": 32, "learning_rate": 1e-2},
}
# What may be done to images without making them something else.
_AUGMENT = {"mnist": ["shift:2"], "kmnist": ["shift:2"], "fashion-mnist": ["flip"], "cifar10": ["flip", "shift:4"]}
_ALWAYS = {"activation": "relu", "schedule": "cosine", "batch_norm": False}
_OF_MODEL = ("hidden", "channels", "activation", "batch_norm", "drop_rate")
_TAKES = {"mlp": ("hidden", "activation", "batch_norm", "drop_rate"), "cnn": _OF_MODEL, "linear": ()}
_PLATEAU = ("plateau_patience", "plateau_factor")
_OF_SCHEDULE = (*_PLATEAU, "warmup")
_SCHEDULE_TAKES = {"plateau": _PLATEAU, "one-cycle": ()}  # the others: a warm-up
_DECOUPLED = ("adamw", "lion")


def replaced(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an earlier training, or of a run file, with others in their place.

    What was set for a schedule that is replaced, or for the default one, falls away where the new one has no such
    setting.

    Example:
        >>> replaced({"schedule": "plateau", "plateau_patience": 2, "epochs": 3}, {"schedule": "cosine"})
        {'schedule': 'cosine', 'epochs': 3}
    """
    whole, old, new = {**before, **given}, before.get("schedule"), given.get("schedule")
    if "schedule" not in given or old == new:
        return whole
    takes = _SCHEDULE_TAKES.get(new or "", ("warmup",))
    return {k: v for k, v in whole.items() if k in given or k in takes or k not in _OF_SCHEDULE}


def resolve(given: Mapping[str, Any], data: Dataset) -> dict[str, Any]:
    """All settings: those given, and for what was left open the defaults for this data and model.

    Raises:
        InputError: a setting that the model or the task does not have.

    Example:
        >>> from fnn.data import load_digits
        >>> resolve({"model": "linear"}, load_digits())["epochs"]
        40
    """
    given = {name: value for name, value in given.items() if value is not None}
    settings: dict[str, Any] = {option.name: option.default for option in OPTIONS}
    name = given.get("model", settings["model"])
    for option in OPTIONS:
        if option.name in _OF_MODEL and option.name in given and option.name not in _TAKES[name]:
            raise InputError(f"--model {name} has no {option.flag}")
    if (given.get("augment") or name == "cnn") and data.train.x.ndim != 4:
        wanted = "--model cnn" if name == "cnn" else "--augment"
        raise InputError(f"{wanted} needs images, got inputs of shape {data.train.x.shape[1:]}")
    defaults = _ALWAYS | _defaults(name, data)
    settings |= {key: value for key, value in defaults.items() if key not in _OF_MODEL or key in _TAKES[name]}
    settings |= given
    if given.get("warmup") and "schedule" not in given and settings["schedule"] == "one-cycle":
        settings["schedule"] = "cosine"
    if name == "cnn" and len(settings["hidden"]) != 1:
        hidden = ",".join(map(str, settings["hidden"]))
        raise InputError(f"--model cnn has one hidden dense layer, got --hidden {hidden}")
    if settings["schedule"] in ("one-cycle", "plateau") and settings["warmup"]:
        raise InputError(f"--schedule {settings['schedule']} sets the rate by itself and has no --warmup")
    if settings["schedule"] == "plateau":
        settings |= {"plateau_patience": 3, "plateau_factor": 0.5} | {k: v for k, v in given.items() if k in _PLATEAU}
    elif foreign := [o.flag for o in OPTIONS if o.name in _PLATEAU and o.name in given]:
        raise InputError(f"{foreign[0]} goes with --schedule plateau, got --schedule {settings['schedule']}")
    if settings["label_smoothing"] and data.task != "single-label":
        raise InputError("--label-smoothing goes with classes, got a regression")
    return settings


def _defaults(model: str, data: Dataset) -> dict[str, Any]:
    if data.train.x.ndim == 2:
        return _TABLE[model]
    if data.name == "digits":
        return _SMALL[model]
    return _LARGE[model] | ({"augment": _AUGMENT.get(data.name, [])} if model == "cnn" else {})


def describe_model(settings: Mapping[str, Any], n_out: int) -> dict[str, Any]:
    """Name and arguments of the model that settings ask for.

    Example:
        >>> describe_model({"model": "linear"}, 10)
        {'name': 'linear', 'n_out': 10}
    """
    name = settings["model"]
    return {"name": name, "n_out": n_out} | {option: settings[option] for option in _TAKES[name]}


def build(description: Mapping[str, Any]) -> Model:
    """The model that a description names.

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
        return mlp(
            description["hidden"],
            n_out,
            activation=activation,
            drop_rate=description["drop_rate"],
            normalize=description["batch_norm"],
        )
    if name == "cnn":
        return cnn(
            n_out,
            n_channels=description["channels"],
            n_hidden=description["hidden"][0],
            activation=activation,
            drop_rate=description["drop_rate"],
            normalize=description["batch_norm"],
        )
    raise CheckpointError(f"expected a model of the name mlp, cnn or linear, got {name!r}")


def in_units(model: Model, targets: Standard | None) -> Model:
    """A model that was trained on standardized targets, giving its outputs in the units of the source.

    Example:
        >>> import numpy as np
        >>> from fnn import dense
        >>> model = in_units(dense(1, bias=False), Standard(np.array([2.0]), np.array([10.0])))
        >>> model.apply({"w": jnp.ones((1, 1))}, {}, jnp.array([[3.0]]))[0].tolist()
        [[32.0]]
    """
    if targets is None:
        return model
    mean, spread = jnp.asarray(targets.mean, jnp.float32), jnp.asarray(targets.spread, jnp.float32)

    def apply(params: Any, state: Any, x: Any, **keywords: Any) -> tuple[Any, Any]:
        outputs, state = model.apply(params, state, x, **keywords)
        return outputs * spread[None] + mean[None], state

    return Model(model.init, apply, model.name)


def objective(model: Model, task: Task, settings: Mapping[str, Any]) -> Objective:
    """What training minimises: the loss of the task, labels smoothed and images augmented if the settings say so."""
    loss = task.loss
    if settings["label_smoothing"]:
        loss = _smoothed(settings["label_smoothing"])
    whole = supervised(model, loss, task.metrics)
    augments = [_augment(word) for word in settings["augment"]]
    return augmented(whole, compose(*augments)) if augments else whole


def n_steps(settings: Mapping[str, Any], n_examples: int) -> int:
    """How many batches the training takes."""
    size = None if settings["batch_size"] == "full" else settings["batch_size"]
    return int(settings["epochs"] * -(-n_examples // effective_size(size, n_examples)))


def learning_rates(settings: Mapping[str, Any], n_batches: int) -> optax.Schedule | float:
    """The learning rate, by the number of updates so far, or constant.

    Raises:
        InputError: the warm-up is longer than the training.

    Example:
        >>> learning_rates({"learning_rate": 0.1, "schedule": "constant", "warmup": 0, "accumulate": 1}, 100)
        0.1
    """
    peak, name, warmup = float(settings["learning_rate"]), settings["schedule"], settings["warmup"]
    total = max(1, n_batches // settings["accumulate"])
    if warmup >= total and warmup:
        raise InputError(f"--warmup: expected less than the {total} updates of the training, got {warmup}")
    if name == "one-cycle":
        # From a twenty-fifth of the highest rate in three tenths of the time, and down to a 10,000th of that.
        rise = max(1, round(0.3 * total))
        return optax.warmup_cosine_decay_schedule(peak / 25, peak, rise, max(total, rise + 1), peak / 25e4)
    rest = total - warmup
    after: Any = peak
    if name == "cosine":
        after = optax.cosine_decay_schedule(peak, rest)
    elif name == "linear":
        after = optax.linear_schedule(peak, 0.0, rest)
    if not warmup:
        return after
    rising = optax.linear_schedule(peak / (warmup + 1), peak, warmup)
    return optax.join_schedules([rising, after if callable(after) else optax.constant_schedule(peak)], [warmup])


def optimizer(settings: Mapping[str, Any], n_batches: int) -> optax.GradientTransformation:
    """The Optax chain that the settings name: gradients accumulated, clipped, decayed, scaled.

    With the schedule ``"plateau"`` its state has the learning rate in it, as :func:`fnn.reduce_on_plateau` needs it.

    Example:
        >>> from fnn.data import load_digits
        >>> optimizer(resolve({"optimizer": "sgd", "clip": 1.0}, load_digits()), 100).init({"w": jnp.ones(2)}) is None
        False
    """
    rate = learning_rates(settings, n_batches)
    make = make_optimizer(settings)
    return optax.inject_hyperparams(make)(learning_rate=rate) if settings["schedule"] == "plateau" else make(rate)


def make_optimizer(settings: Mapping[str, Any]) -> Callable[[Any], optax.GradientTransformation]:
    """From a learning rate, a number or a schedule, to the Optax chain.

    Example:
        >>> from fnn.data import load_digits
        >>> make_optimizer(resolve({"optimizer": "sgd"}, load_digits()))(0.1).init({"w": jnp.ones(2)}) is None
        False
    """
    name, decay = settings["optimizer"], settings["weight_decay"]

    def make(learning_rate: Any) -> optax.GradientTransformation:
        return _chain(settings, name, decay, learning_rate)

    return make


def _chain(settings: Mapping[str, Any], name: str, decay: float | None, rate: Any) -> optax.GradientTransformation:
    chain: list[optax.GradientTransformation] = []
    if settings["clip"] is not None:
        chain.append(optax.clip_by_global_norm(settings["clip"]))
    if decay and name not in _DECOUPLED:
        chain.append(optax.add_decayed_weights(decay, mask=_weights))
    if name in ("momentum", "nesterov"):
        chain.append(optax.sgd(rate, momentum=0.9, nesterov=name == "nesterov"))
    elif name in _DECOUPLED:
        make: Callable[..., optax.GradientTransformation] = getattr(optax, name)
        chain.append(make(rate, mask=_weights) if decay is None else make(rate, weight_decay=decay, mask=_weights))
    else:
        chain.append(getattr(optax, name)(rate))
    whole = chain[0] if len(chain) == 1 else optax.chain(*chain)
    if settings["accumulate"] > 1:
        return optax.MultiSteps(whole, settings["accumulate"]).gradient_transformation()
    return whole


def _weights(params: Any) -> Any:
    """Which parameters decay: matrices and kernels, no biases, no scales of a normalisation."""
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) >= 2, params)


def _smoothed(share: float) -> ExampleLoss:
    def loss(outputs: Any, targets: Any, /) -> Any:
        n_classes = outputs.shape[-1]
        one_hot = jax.nn.one_hot(targets, n_classes, dtype=outputs.dtype)
        return softmax_cross_entropy(outputs, (1 - share) * one_hot + share / n_classes)

    return loss


def _augment(word: str) -> Augment:
    name, _, amount = word.partition(":")
    if name == "flip":
        return random_flip()
    if name == "rotate":
        return random_rotation(float(amount or 10))
    return random_shift(int(amount or 2)) if name == "shift" else cutout(int(amount or 8))


def _activation(name: str) -> Callable[[Any], Any]:
    if name not in ACTIVATIONS:
        raise CheckpointError(f"expected an activation among {', '.join(ACTIVATIONS)}, got {name!r}")
    function: Callable[[Any], Any] = getattr(activations, name)
    return function
