"""Does what ``fnn.fit`` costs grow as it should: in proportion to data and steps, and to FLOPs as layers get wider?

    python -m benchmarks.growth [--only data,steps,width] [--rounds 7] [--quick] [--json] [--out FILE]

784-512-512-10, Adam, batches of 128, random examples of MNIST's shape; only the width is another where that grows.
Each size is trained once, so that all is compiled, and then once a round, all sizes in turns, every other round from
the largest down. A time is the median over the rounds of a whole call of ``fit``; the time per unit (example, step,
FLOP) is told as a ratio to that of the smallest size. For widths the number of epochs falls as the FLOPs of one rise:
what a call of ``fit`` costs besides would else make the narrow networks look slow.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax
from rich.console import Console
from rich.table import Table

import fnn
from benchmarks.networks import NETWORKS, Network, examples
from benchmarks.peers.fnn_fit import build
from benchmarks.telling import progress
from benchmarks.timing import machine

_MLP = NETWORKS["mlp"]
_TENTH = 0.1


class Size(NamedTuple):
    """One training that is timed.

    Attributes:
        size: what doubles: examples, epochs, or the width of the two hidden layers.
        units: how much that is of what the time is divided by: examples, steps, or FLOPs, of the whole training.
        network: what is trained, with ``n_examples``.
        epochs: how often it sees them.
    """

    size: int
    units: int
    network: Network
    epochs: int


class Growing(NamedTuple):
    """A question.

    Attributes:
        size: what grows, in the table.
        unit: of which the cost is told.
        sizes: from small to large.
    """

    size: str
    unit: str
    sizes: list[Size]


def data(smallest: int, count: int) -> Growing:
    """More examples, one epoch of them.

    Example:
        >>> [(size.size, size.epochs) for size in data(1280, 3).sizes]
        [(1280, 1), (2560, 1), (5120, 1)]
    """
    sizes = [smallest * 2**i for i in range(count)]
    return Growing("examples", "example", [Size(n, n, replace(_MLP, n_examples=n), 1) for n in sizes])


def steps(n_examples: int, count: int) -> Growing:
    """The same examples, more epochs.

    Example:
        >>> [(size.size, size.units) for size in steps(1280, 3).sizes]
        [(1, 10), (2, 20), (4, 40)]
    """
    network, of_epoch = replace(_MLP, n_examples=n_examples), math.ceil(n_examples / _MLP.batch_size)
    return Growing("epochs", "step", [Size(2**i, 2**i * of_epoch, network, 2**i) for i in range(count)])


def width(n_examples: int, widest: int, count: int) -> Growing:
    """Wider layers; about the FLOPs of one epoch of the widest for each.

    Example:
        >>> [(size.size, size.epochs) for size in width(1280, 2048, 4).sizes]
        [(256, 26), (512, 10), (1024, 3), (2048, 1)]
    """
    networks = {}
    for n in (widest // 2**i for i in reversed(range(count))):
        layers = tuple(("dense", n) if layer == ("dense", 512) else layer for layer in _MLP.layers)
        networks[n] = replace(_MLP, name=f"mlp-{n}", layers=layers, n_examples=n_examples)
    most = networks[widest].flops()
    sizes = []
    for n, network in networks.items():
        epochs = round(most / network.flops())
        sizes.append(Size(n, network.flops() * n_examples * epochs, network, epochs))
    return Growing("width", "FLOP", sizes)


def trainer(size: Size) -> Callable[[], float]:
    """A function that trains, waits for the end, and gives the seconds; each call is the same training.

    Example:
        >>> train = trainer(data(128, 1).sizes[0])
        >>> train() > train() > 0  # the first compiles
        True
    """
    network, held, key = size.network, examples(size.network, None), jax.random.key(1)
    model, objective, adam = _parts(replace(network, n_examples=0))
    params, state = model.init(jax.random.key(0), held[0][:1])

    def train() -> float:
        began = time.perf_counter()
        fitted = fnn.fit(
            objective, adam, params, state, held, key=key, n_epochs=size.epochs, batch_size=network.batch_size
        )
        jax.block_until_ready(fitted.params)  # type: ignore[no-untyped-call]
        return time.perf_counter() - began

    return train


@cache
def _parts(network: Network) -> tuple[Any, Any, Any]:
    # The same for the same layers, so that one program serves several sizes.
    model = build(network)
    return model, fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels), optax.adam(network.rate)


def summarize(growing: Growing, seconds: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Medians, costs per unit, and whether the cost stays within a tenth of that of the smallest size.

    Args:
        growing: the question.
        seconds: those of each round, for each size.

    Example:
        >>> told = summarize(data(1280, 2), [[1.0, 1.0, 4.0], [2.1, 1.9, 2.1]])
        >>> [round(row["ratio"], 3) for row in told["rows"]], told["grows_within_10_percent"], told["is_linear"]
        ([1.0, 1.05], True, True)
        >>> told = summarize(data(1280, 2), [[1.0], [1.5]])  # less than proportional
        >>> round(told["highest_ratio"], 3), told["grows_within_10_percent"], told["is_linear"]
        (1.0, True, False)
    """
    medians = [statistics.median(times) for times in seconds]
    costs = [median / size.units for median, size in zip(medians, growing.sizes, strict=True)]
    rows = [
        {
            growing.size: size.size,
            "units": size.units,
            "epochs": size.epochs,
            "seconds": median,
            "lowest": min(times),
            "highest": max(times),
            "rounds": len(times),
            f"seconds_per_{growing.unit.lower()}": cost,
            "ratio": cost / costs[0],
        }
        for size, median, times, cost in zip(growing.sizes, medians, seconds, costs, strict=True)
    ]
    ratios = [cost / costs[0] for cost in costs]
    return {
        "unit": growing.unit.lower(),
        "rows": rows,
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
        "grows_within_10_percent": max(ratios) <= 1 + _TENTH,  # no faster than in proportion
        "is_linear": max(ratios) <= 1 + _TENTH and min(ratios) >= 1 - _TENTH,
    }


def measure(growing: Growing, rounds: int) -> dict[str, Any]:
    """Trains every size once for nothing, then once a round."""
    trainers = [trainer(size) for size in growing.sizes]
    seconds: list[list[float]] = [[] for _ in trainers]
    turns = [range(len(trainers)) if turn % 2 else range(len(trainers) - 1, -1, -1) for turn in range(rounds)]
    with progress(f"more {growing.size}", (rounds + 1) * len(trainers)) as step:
        for train in trainers:
            train()  # compiles
            step("")
        for turn in turns:
            for place in turn:
                seconds[place].append(trainers[place]())
                step("")
    return summarize(growing, seconds)


def questions(is_quick: bool) -> dict[str, Growing]:
    """What grows, and how far, by the name that ``--only`` takes.

    Example:
        >>> {name: [size.size for size in growing.sizes] for name, growing in questions(False).items()}["data"]
        [25600, 51200, 102400, 204800]
    """
    if is_quick:
        return {"data": data(1_280, 4), "steps": steps(1_280, 4), "width": width(640, 512, 4)}
    # Of the smallest training the fixed costs of a call, some 25 ms, are to be a small part.
    return {"data": data(25_600, 4), "steps": steps(25_600, 5), "width": width(6_400, 2048, 4)}


def main() -> None:
    """Measure and print."""
    parse = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parse.add_argument("--only", help="some of data,steps,width")
    parse.add_argument("--rounds", type=int, help="how often each size is timed; default 7, with --quick 3")
    parse.add_argument("--quick", action="store_true", help="small sizes, few rounds: a look, no measurement")
    parse.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parse.add_argument("--out", metavar="FILE", type=Path, help="also write that document to a file")
    options = parse.parse_args()
    asked = questions(options.quick)
    names = options.only.split(",") if options.only else list(asked)
    if unknown := [name for name in names if name not in asked]:
        parse.error(f"--only: unknown {unknown[0]!r}, one of {','.join(sorted(asked))}")
    rounds = (3 if options.quick else 7) if options.rounds is None else options.rounds
    if rounds < 1:
        parse.error(f"--rounds: expected at least 1, got {rounds}")
    document: dict[str, Any] = {"quick": options.quick, "machine": machine()}
    document |= {name: measure(asked[name], rounds) for name in names}
    document["machine"]["load_afterwards"] = os.getloadavg()[0]
    text = json.dumps(document, indent=1)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    if options.json:
        print(text)
    else:
        _print(names, asked, document)


def _print(names: Sequence[str], asked: dict[str, Growing], document: dict[str, Any]) -> None:
    console = Console(width=110)
    for name in names:
        growing, told = asked[name], document[name]
        table = Table(
            growing.size,
            "FLOPs" if name == "width" else f"{growing.unit}s",
            "seconds",
            "lowest",
            f"ns per {growing.unit}",
            "ratio",
            box=None,
        )
        for row in told["rows"]:
            cost = 1e9 * row[f"seconds_per_{told['unit']}"]
            numbers = [f"{row['seconds']:.3f}", f"{row['lowest']:.3f}", f"{cost:,.4g}", f"{row['ratio']:.3f}"]
            table.add_row(f"{row[growing.size]:,}", f"{row['units']:,}", *numbers)
        console.print(table)
        lowest, highest = told["lowest_ratio"], told["highest_ratio"]
        how = "within 10 %" if told["is_linear"] else "no dearer" if told["grows_within_10_percent"] else "dearer"
        console.print(f"time per {growing.unit}, with more {name}: {how} ({lowest:.2f} to {highest:.2f})\n")


if __name__ == "__main__":
    main()
