"""The options of the command line: their names, their ranges, their help. Imports no JAX."""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

DATA = ("digits", "mnist", "idx")
MODELS = ("mlp", "cnn", "linear")
ACTIVATIONS = ("relu", "leaky_relu", "elu", "softplus", "sigmoid", "tanh")
OPTIMIZERS = ("adam", "adamw", "sgd", "momentum", "nesterov", "rmsprop", "adagrad", "lion")
SCHEDULES = ("cosine", "constant")
COMMANDS = ("train", "evaluate", "predict")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, or ``SystemExit`` after ``--help`` or after one line about what is wrong.

    Example:
        >>> parse(["train", "--epochs", "3"]).epochs
        3
    """
    parser, subparsers = _parsers()
    first = next((word for word in arguments if not word.startswith("-")), None)
    if first is not None and first not in COMMANDS:
        parser.error(f"unknown command {first!r}{_nearest(first, COMMANDS)}")
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        here = subparsers[options.command]
        word = unknown[0].partition("=")[0]
        if not word.startswith("-"):
            here.error(f"unexpected argument {word!r}")
        here.error(f"unknown option {word}{_nearest(word, here.option_names())}")
    return options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists the options\n")

    def option_names(self) -> list[str]:
        return [name for action in self._actions for name in action.option_strings]


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    parser = _Parser(prog="fnn", description="Train small and medium neural networks.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="train | evaluate | predict")
    train = commands.add_parser(
        "train",
        help="train a network and keep its parameters",
        description="Train a network. Without options: a small one on the digits that come with scikit-learn.",
        allow_abbrev=False,
    )
    _add_data(train, "digits")
    model = train.add_argument_group("model")
    model.add_argument("--model", type=_one_of(MODELS), default="mlp", metavar=_list(MODELS), help="default: mlp")
    model.add_argument("--hidden", type=_sizes, metavar="N,N", help="widths of the hidden dense layers")
    model.add_argument("--channels", type=_sizes, metavar="N,N", help="channels of the stages of a cnn")
    model.add_argument("--activation", type=_one_of(ACTIVATIONS), metavar="NAME", help=f"{_list(ACTIVATIONS)}: relu")
    model.add_argument("--drop-rate", type=_fraction, metavar="P", help="dropout, 0 for none")
    training = train.add_argument_group("training (defaults depend on data and model)")
    training.add_argument("--epochs", type=_positive, metavar="N", help="passes over the training images")
    training.add_argument(
        "--batch-size", type=_batch_size, metavar="N", help='images per update; 1: online; "full": all'
    )
    training.add_argument("--learning-rate", type=_rate, metavar="X", help="of the first update")
    training.add_argument(
        "--schedule", type=_one_of(SCHEDULES), default="cosine", metavar=_list(SCHEDULES), help="default: cosine, to 0"
    )
    training.add_argument(
        "--optimizer", type=_one_of(OPTIMIZERS), default="adam", metavar="NAME", help=f"{_list(OPTIMIZERS)}: adam"
    )
    training.add_argument("--seed", type=_seed, default=0, metavar="N", help="decides every random choice; default: 0")
    output = train.add_argument_group("output")
    output.add_argument("--out", metavar="DIR", help="where to keep the parameters; default: runs/DATA-MODEL")
    output.add_argument("--json", action="store_true", help="one JSON document on stdout")

    evaluate = commands.add_parser(
        "evaluate",
        help="judge kept parameters by held-out images",
        description="Judge kept parameters by the held-out images of their data set, or of another.",
        allow_abbrev=False,
    )
    predict = commands.add_parser(
        "predict",
        help="classify images with kept parameters",
        description="Classify images: those of an IDX file, or held-out ones.",
        allow_abbrev=False,
    )
    for command in (evaluate, predict):
        command.add_argument("run", nargs="?", metavar="RUN", help="folder of a training; default: the newest in runs/")
        command.add_argument("--json", action="store_true", help="one JSON document on stdout")
        _add_data(command, None)
    predict.add_argument("--images", metavar="FILE", help="an IDX file of images, gzipped or not")
    predict.add_argument("--count", type=_positive, metavar="N", help="the first N; default: all of FILE, else 10")
    return parser, {"train": train, "evaluate": evaluate, "predict": predict}


def _add_data(parser: argparse.ArgumentParser, default: str | None) -> None:
    group = parser.add_argument_group("data")
    told = f"default: {default}" if default else "default: what RUN was trained on"
    group.add_argument("--data", type=_one_of(DATA), default=default, metavar=_list(DATA), help=told)
    group.add_argument("--data-dir", metavar="DIR", help="folder with the four IDX files; mnist: downloaded without it")
    for part in ("train-images", "train-labels", "test-images", "test-labels"):
        group.add_argument(f"--{part}", metavar="FILE", help="one IDX file, with --data idx")


def _list(names: Iterable[str]) -> str:
    return "|".join(names)


def _nearest(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"unknown {text!r}{_nearest(text, known) or f', one of {_list(known)}'}")
        return text

    return check


def _number(text: str, kind: type[int] | type[float], holds: Callable[[float], bool], wanted: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not holds(value):
        raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")
    return value


def _positive(text: str) -> int:
    return int(_number(text, int, lambda n: 1 <= n < 2**31, "an integer from 1 to 2147483647"))


def _seed(text: str) -> int:
    return int(_number(text, int, lambda n: 0 <= n < 2**32, "an integer from 0 to 4294967295"))


def _rate(text: str) -> float:
    # Within the normal numbers of float32, in which it is used.
    return _number(text, float, lambda x: 2.0**-126 <= x < 2.0**128, "a positive number from 1.2e-38 to 3.4e38")


def _fraction(text: str) -> float:
    return _number(text, float, lambda x: 0 <= x < 1, "a number from 0 to below 1")


def _batch_size(text: str) -> int | str:
    return text if text == "full" else int(_number(text, int, lambda n: n >= 1, 'an integer of at least 1, or "full"'))


def _sizes(text: str) -> list[int]:
    return [_positive(part) for part in text.split(",")]
