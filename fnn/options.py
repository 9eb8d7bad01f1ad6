"""The options of a training, once: the command line and the run file are both made from this table. Imports no JAX."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

IDX_DATA = ("mnist", "fashion-mnist", "kmnist")
DATA = ("digits", *IDX_DATA, "idx", "cifar10", "csv", "npz", "folder")
TASKS = ("single-label", "regression")
MODELS = ("mlp", "cnn", "linear")
ACTIVATIONS = ("relu", "leaky_relu", "elu", "softplus", "sigmoid", "tanh")
OPTIMIZERS = ("adam", "adamw", "sgd", "momentum", "nesterov", "rmsprop", "adagrad", "lion")
SCHEDULES = ("cosine", "constant", "linear", "one-cycle", "plateau")
TRIALS = ("learning-rate", "one-batch", "fast")
LOGS = ("tensorboard", "wandb", "mlflow")
PRECISIONS = ("float32", "bfloat16")
PARTS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class Kind:
    """What the values of an option are.

    Attributes:
        read: a word of the command line as a value; what it cannot read it leaves as it is.
        check: the value, if it is one; else raises ``ValueError`` with what was expected and what came.
    """

    read: Callable[[str], Any]
    check: Callable[[Any], Any]


@dataclass(frozen=True)
class Option:
    """One setting: ``--batch-size 32`` on the command line, ``batch_size = 32`` under ``[training]`` in a run file.

    Attributes:
        section: of the run file.
        name: of the setting, in the program and, but for ``key``, in the run file.
        kind: what its values are.
        help: one line.
        metavar: what stands for a value in the help; ``""``: a switch.
        default: ``None``: it depends on data and model, or nothing is done.
        key: in the run file, where ``name`` would say twice what the section says.
        also: another spelling on the command line.
        repeats: whether a repetition of the training needs it.
    """

    section: str
    name: str
    kind: Kind
    help: str
    metavar: str = ""
    default: Any = None
    key: str = ""
    also: str = ""
    repeats: bool = True

    @property
    def flag(self) -> str:
        """What it is called on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def key_name(self) -> str:
        """What it is called in a run file."""
        return self.key or self.name


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at the known name that is most like ``word``, or nothing.

    Example:
        >>> nearest("trian", ["train", "evaluate"])
        '; did you mean train?'
    """
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def one_of(known: Sequence[str]) -> Kind:
    """One of some names.

    Example:
        >>> one_of(("mlp", "cnn")).check("cmn")
        Traceback (most recent call last):
            ...
        ValueError: unknown 'cmn'; did you mean cnn?
    """

    def check(value: Any) -> Any:
        if value not in known:
            hint = nearest(value, known) if isinstance(value, str) else ""
            raise ValueError(f"unknown {value!r}{hint or ', one of ' + '|'.join(known)}")
        return value

    return Kind(str, check)


def list_of(kind: Kind, what: str) -> Kind:
    """Some values of a kind, with commas between them on the command line, an array in a run file."""

    def check(value: Any) -> Any:
        if not isinstance(value, list) or not value:
            raise ValueError(f"expected a list of {what}, got {value!r}")
        return [kind.check(one) for one in value]

    return Kind(lambda text: [kind.read(part) for part in text.split(",")], check)


def _kind(read: Callable[[str], Any], holds: Callable[[Any], bool], wanted: str) -> Kind:
    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"expected {wanted}, got {value!r}")
        return value

    return Kind(read, check)


def _whole_number(low: int, high: int | None = None) -> Kind:
    wanted = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    return _kind(
        _read_whole, lambda value: type(value) is int and low <= value and (high is None or value <= high), wanted
    )


def _read_whole(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        return text


def _real(holds: Callable[[float], bool], wanted: str) -> Kind:
    def read(text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return text

    kind = _kind(read, lambda value: type(value) in (int, float) and holds(value), wanted)
    return Kind(read, lambda value: float(kind.check(value)))


def _is_text(value: Any) -> bool:
    # A name of other bytes than UTF-8 could not be written into a run file.
    return isinstance(value, str) and value != "" and not any("\ud800" <= letter <= "\udfff" for letter in value)


POSITIVE = _whole_number(1, 2**31 - 1)
_SEED = _whole_number(0, 2**32 - 1)
_TEXT = _kind(str, _is_text, "text in UTF-8")
_SWITCH = _kind(str, lambda value: type(value) is bool, "true or false")
# Within the normal numbers of float32, in which it is used.
_RATE = _real(lambda x: 2.0**-126 <= x < 2.0**128, "a positive number from 1.2e-38 to 3.4e38")
_DECAY = _real(lambda x: x == 0 or 2.0**-126 <= x < 2.0**128, "0 or a positive number from 1.2e-38 to 3.4e38")
_FRACTION = _real(lambda x: 0 <= x < 1, "a number from 0 to below 1")
_SHARE = _real(lambda x: 0 < x < 1, "a number between 0 and 1")
_BATCH_SIZE = _kind(
    _read_whole,
    lambda value: value == "full" or (type(value) is int and value >= 1),
    'an integer of at least 1, or "full"',
)
_SIZES = list_of(POSITIVE, "integers")


def _is_augmentation(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    name, colon, amount = value.partition(":")
    if name == "flip":
        return not colon
    return name in ("shift", "rotate", "cutout") and (not colon or (amount.isdecimal() and 1 <= int(amount) < 180))


_ONE_AUGMENT = _kind(str, _is_augmentation, "flip, shift:PIXELS, rotate:DEGREES or cutout:PIXELS")
_AUGMENT = Kind(
    lambda text: [] if text == "none" else text.split(","),
    # An empty list, too: some data are augmented unless it is said that they shall not be.
    lambda value: value if value == [] else list_of(_ONE_AUGMENT, "augmentations").check(value),
)


def _list(names: Iterable[str]) -> str:
    return "|".join(names)


DATA_OPTIONS = (
    Option("data", "data", one_of(DATA), "what to learn", _list(DATA), "digits", key="name"),
    Option(
        "data",
        "data_path",
        _TEXT,
        "file or folder of the data; mnist and the like, cifar10: downloaded without it",
        "PATH",
        key="path",
        also="--data-dir",
    ),
    *(Option("data", part, _TEXT, "one IDX file, with --data idx", "FILE") for part in PARTS),
    Option("data", "target", _TEXT, "csv: the column to predict; default: the last", "COLUMN"),
    Option("data", "features", list_of(_TEXT, "names"), "csv: the columns to predict from; default: all others", "A,B"),
    Option("data", "task", one_of(TASKS), "csv, npz: predict a class or a number", _list(TASKS)),
    Option("data", "test_path", _TEXT, "csv: a second file, to test with", "FILE"),
    Option("data", "held_out", _SHARE, "csv, npz, folder: share held out to test with; default: 0.2", "P"),
    Option("data", "image_size", _SIZES, "folder: height and width that images are brought to", "H,W"),
    Option("data", "standardize", _SWITCH, "csv, npz: features of mean 0 and deviation 1; default: csv"),
)
OPTIONS = (
    *DATA_OPTIONS,
    Option("data", "validation", _FRACTION, "share of the training data to judge each epoch by", "P", 0.0),
    Option("model", "model", one_of(MODELS), "the kind of network", _list(MODELS), "mlp", key="name"),
    Option("model", "hidden", _SIZES, "widths of the hidden dense layers", "N,N"),
    Option("model", "channels", _SIZES, "channels of the stages of a cnn", "N,N"),
    Option("model", "activation", one_of(ACTIVATIONS), f"{_list(ACTIVATIONS)}; default: relu", "NAME"),
    Option("model", "batch_norm", _SWITCH, "batch normalisation before each activation"),
    Option("model", "drop_rate", _FRACTION, "dropout, 0 for none", "P"),
    Option("training", "epochs", POSITIVE, "passes over the training data", "N"),
    Option("training", "batch_size", _BATCH_SIZE, 'examples per update; 1: online; "full": all', "N"),
    Option("training", "optimizer", one_of(OPTIMIZERS), f"{_list(OPTIMIZERS)}; default: adam", "NAME", "adam"),
    Option("training", "learning_rate", _RATE, "of the first update; one-cycle: the highest", "X"),
    Option(
        "training",
        "schedule",
        one_of(SCHEDULES),
        "how the learning rate goes on; plateau: lower where the loss stays; the others but constant: to 0",
        _list(SCHEDULES),
    ),
    Option("training", "plateau_patience", POSITIVE, "plateau: after N epochs without improvement; default: 3", "N"),
    Option("training", "plateau_factor", _SHARE, "plateau: the rate is multiplied by P; default: 0.5", "P"),
    Option(
        "training", "warmup", _whole_number(0, 2**31 - 1), "updates in which the learning rate rises from 0", "N", 0
    ),
    Option(
        "training",
        "weight_decay",
        _DECAY,
        "of weights, not biases; adamw, lion: beside the gradient, others: within it",
        "X",
    ),
    Option("training", "clip", _RATE, "greatest norm of the gradient", "X"),
    Option("training", "accumulate", POSITIVE, "batches whose gradients make one update", "N", 1),
    Option(
        "training",
        "augment",
        _AUGMENT,
        "images changed at random: flip, shift:PIXELS, rotate:DEGREES, cutout:PIXELS; none; default: by the data",
        "A,B",
        [],
    ),
    Option("training", "label_smoothing", _FRACTION, "share of each target spread over all classes", "P"),
    Option("training", "patience", POSITIVE, "ends after N epochs without improvement", "N"),
    Option(
        "training",
        "precision",
        one_of(PRECISIONS),
        "of what training computes; parameters are float32",
        _list(PRECISIONS),
        "float32",
    ),
    Option("training", "seed", _SEED, "decides every random choice", "N", 0),
    Option(
        "checkpoints",
        "checkpoint_every",
        POSITIVE,
        "batches between two states; default: one per epoch",
        "N",
        key="every",
    ),
    Option("checkpoints", "keep", POSITIVE, "how many of the newest states are kept", "N", 2),
    Option(
        "checkpoints",
        "keep_best",
        _TEXT,
        "in the end the parameters of the epoch that is best by this, such as validation_loss",
        "METRIC",
    ),
    Option("output", "out", _TEXT, "folder of the run; default: a new one, runs/DATA-MODEL", "DIR", repeats=False),
    Option(
        "output", "log_to", list_of(one_of(LOGS), "logs"), f"beside metrics.jsonl: {_list(LOGS)}", "A,B", repeats=False
    ),
    Option("output", "plot", _SWITCH, "pictures into the run's folder", default=False, repeats=False),
    Option("output", "json", _SWITCH, "one JSON document on stdout", default=False, repeats=False),
)
SECTIONS = tuple(dict.fromkeys(option.section for option in OPTIONS))
