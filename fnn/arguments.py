"""The command line, made from the table of options. Imports no JAX."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from fnn.options import DATA_OPTIONS, OPTIONS, POSITIVE, TRIALS, Kind, Option, nearest, one_of

COMMANDS = ("train", "evaluate", "predict", "export")
_TITLES = {
    "data": "data",
    "model": "model",
    "training": "training (defaults depend on data and model)",
    "checkpoints": "checkpoints",
    "output": "output",
}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, or ``SystemExit`` after ``--help`` or after one line about what is wrong.

    Settings that were not given are not in the namespace, so that those of a run file, or defaults, can stand in.

    Example:
        >>> options = parse(["train", "--epochs", "3"])
        >>> options.epochs, "seed" in options
        (3, False)
    """
    parser, subparsers = _parsers()
    first = next((word for word in arguments if not word.startswith("-")), None)
    if first is not None and first not in COMMANDS:
        parser.error(f"unknown command {first!r}{nearest(first, COMMANDS)}")
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        here = subparsers[options.command]
        word = unknown[0].partition("=")[0]
        if not word.startswith("-"):
            here.error(f"unexpected argument {word!r}")
        here.error(f"unknown option {word}{nearest(word, here.option_names())}")
    return options


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of a training that the command line gives, by name.

    Example:
        >>> given(parse(["train", "--epochs", "3"]))
        {'epochs': 3}
    """
    values = vars(options)
    return {option.name: values[option.name] for option in OPTIONS if option.name in values}


def given_data(options: argparse.Namespace) -> bool:
    """Whether the command line says anything about the data set.

    Example:
        >>> given_data(parse(["evaluate", "--data", "mnist"])), given_data(parse(["evaluate"]))
        (True, False)
    """
    return any(option.name in vars(options) for option in DATA_OPTIONS)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists the options\n")

    def option_names(self) -> list[str]:
        return [name for action in self._actions for name in action.option_strings]


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    parser = _Parser(prog="fnn", description="Train small and medium neural networks.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar=" | ".join(COMMANDS))
    train = commands.add_parser(
        "train",
        help="train a network and keep the run",
        description="Train a network. Without options: a small one on the digits that come with scikit-learn. "
        "Every option is also a key of the run file; what stands here goes before what stands there.",
        usage="fnn train [FILE.toml | --from RUN] [options] | fnn train --resume RUN",
        allow_abbrev=False,
    )
    begin = train.add_argument_group("where the settings come from")
    begin.add_argument("run_file", nargs="?", metavar="FILE.toml", help="a run file, such as the run.toml of a run")
    begin.add_argument("--resume", metavar="RUN", help="go on with a run that was interrupted or killed")
    begin.add_argument("--step", type=_reader(POSITIVE), metavar="N", help="resume from the state after step N")
    begin.add_argument("--from", dest="from_run", metavar="RUN", help="repeat a run; told if it is not the same bits")
    begin.add_argument(
        "--trial",
        type=_reader(one_of(TRIALS)),
        metavar="|".join(TRIALS),
        help="a short training that keeps nothing, in place of the long one: which learning rate is good; can one "
        "batch be learned by heart; do two batches, validation and the rest run through",
    )
    for option in OPTIONS:
        _add(train, option)

    evaluate = commands.add_parser(
        "evaluate",
        help="judge a trained network by held-out examples",
        description="Judge a trained network by the held-out examples of its data set, or of another.",
        allow_abbrev=False,
    )
    predict = commands.add_parser(
        "predict",
        help="predict with a trained network",
        description="Predict for the examples of a file, or for held-out ones.",
        allow_abbrev=False,
    )
    export = commands.add_parser(
        "export",
        help="write a trained network as one file for other programs",
        description="Write a trained network as one file: .stablehlo, a program that JAX runs without fnn, "
        "or .safetensors, its parameters.",
        allow_abbrev=False,
    )
    for command in (evaluate, predict, export):
        command.add_argument("run", nargs="?", metavar="RUN", help="folder of a run; default: the newest in runs/")
        command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    export.add_argument("--file", metavar="FILE", help="where to; default: RUN.stablehlo, in this folder")
    for command in (evaluate, predict):
        for option in DATA_OPTIONS:
            _add(command, option, told="what RUN was trained on")
    predict.add_argument(
        "--input",
        "--images",
        metavar="FILE",
        help="a .csv, .npz or image file, a folder of images, or an IDX file, gzipped or not",
    )
    predict.add_argument(
        "--count", type=_reader(POSITIVE), metavar="N", help="the first N; default: all of FILE, or 10"
    )
    return parser, {"train": train, "evaluate": evaluate, "predict": predict, "export": export}


def _add(parser: argparse.ArgumentParser, option: Option, told: str = "") -> None:
    title = _TITLES[option.section]
    group = next((g for g in parser._action_groups if g.title == title), None) or parser.add_argument_group(title)
    default = "" if option.default in (None, []) or option.default is False else f"{option.default}"
    told = (told if option.name == "data" else "") if told else default
    text = option.help if not told or "default" in option.help else f"{option.help}; default: {told}"
    names = [option.flag, *([option.also] if option.also else [])]
    if not option.metavar:
        group.add_argument(
            *names, dest=option.name, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
        )
        return
    group.add_argument(
        *names,
        dest=option.name,
        type=_reader(option.kind, may_be_none=option.default is None),
        default=argparse.SUPPRESS,
        metavar=option.metavar,
        help=text.replace("%", "%%"),
    )


def _reader(kind: Kind, *, may_be_none: bool = False) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if may_be_none and text == "none":  # takes back what a run file says
            return None
        try:
            return kind.check(kind.read(text))
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
