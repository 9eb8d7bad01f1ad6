"""Does fnn learn as well as its peers, epoch for epoch, and how long does each need for an accuracy?

    python -m benchmarks.to_accuracy --data-dir DIR [--target 0.99] [--seeds 5] [--epochs N] [--networks mlp,cnn]
        [--systems fnn,pytorch,flax-linen] [--init he|own] [--dtype float32|bfloat16] [--python torch=PATH] [--json]
        [--out FILE]

The same network, Adam with the same rate, batches of 128 of the same images in an order that each system shuffles for
itself; 96 of MNIST's 60,000 are left out, as systems differ in what they do with a smaller last batch. First weights
are uniform within sqrt(6 / inputs) (He) and biases 0 in each system, or with ``--init own`` what each draws if it is
not told: fnn Glorot's uniform law in dense layers and He's normal one in convolutions, Flax LeCun's normal one, all of
these with biases 0; PyTorch uniform within 1 / sqrt(inputs), biases as well.

Each system is one process; the seeds go round in turns. The times are of training alone, accuracies are looked at
between epochs, so a target is met at the end of an epoch. What compiling and initialising take is measured once, in a
process with an empty cache.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.networks import NETWORKS, mnist
from benchmarks.peers import SYSTEMS, System
from benchmarks.telling import progress
from benchmarks.timing import TIMEOUT, Worker, end_in_order, machine

EPOCHS = {"mlp": 5, "cnn": 3}
"""What is trained if ``--epochs`` does not say."""

_STOCK = {system.name: system for system in SYSTEMS if system.form == "stock"}
_ABLE = ("fnn", "pytorch", "pytorch-compiled", "flax-linen")  # those that can start again and be tested


def train(worker: Worker, seed: int, epochs: int) -> dict[str, Any]:
    """One training: seconds of each epoch and the accuracy after it; ``{"failed": why}`` if it came to no end."""
    told: dict[str, Any] = {"seed": seed, "seconds": [], "accuracies": []}
    if trouble := _trouble(worker.ask(f"restart {seed}")):
        return trouble
    for _ in range(epochs):
        for command, kept, name in (("epoch", "seconds", "seconds"), ("accuracy", "accuracies", "accuracy")):
            answer = worker.ask(command)
            if trouble := _trouble(answer):
                return trouble
            told[kept].append(answer[name])
    return told


def _trouble(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("absent", "failed") if name in answer}


def summarize(trainings: Sequence[Mapping[str, Any]], first_seconds: float, target: float) -> dict[str, Any]:
    """What the seeds of one system come to.

    Args:
        trainings: what :func:`train` gave for each seed.
        first_seconds: of the very first preparation and epoch of the process, compiling included.
        target: the accuracy to be met.

    Example:
        >>> trainings = [
        ...     {"seed": 0, "seconds": [2.0, 2.0], "accuracies": [0.8, 0.95]},
        ...     {"seed": 1, "seconds": [2.0, 2.0], "accuracies": [0.7, 0.85]},
        ... ]
        >>> told = summarize(trainings, 5.0, 0.9)
        >>> round(told["accuracy_mean"], 3), round(told["accuracy_std"], 4)
        (0.9, 0.0707)
        >>> told["seeds_that_met_target"], told["seconds_to_target"], told["seconds_to_target_with_compilation"]
        (1, 4.0, 7.0)
    """
    last = [training["accuracies"][-1] for training in trainings]
    of_epoch = statistics.median(value for training in trainings for value in training["seconds"])
    preparing = max(0.0, first_seconds - of_epoch)
    met = []
    for training in trainings:
        spent = 0.0
        for seconds, accuracy in zip(training["seconds"], training["accuracies"], strict=True):
            spent += seconds
            if accuracy >= target:
                met.append(spent)
                break
    to_target = statistics.median(met) if met else None  # of the seeds that met it
    return {
        "accuracy_mean": statistics.fmean(last),
        "accuracy_std": statistics.stdev(last) if len(last) > 1 else None,
        "accuracy_lowest": min(last),
        "accuracy_highest": max(last),
        "epoch_seconds": of_epoch,
        "compile_and_init_seconds": preparing,
        "seeds_that_met_target": len(met),
        "seconds_to_target": to_target,
        "seconds_to_target_with_compilation": None if to_target is None else to_target + preparing,
        "trainings": list(trainings),
    }


def difference(own: Mapping[str, Any], peer: Mapping[str, Any], seeds: int) -> dict[str, float | None]:
    """Mean accuracy of fnn less that of a peer, and its standard error: seeds mean nothing from system to system.

    Example:
        >>> difference({"accuracy_mean": 0.9, "accuracy_std": 0.03}, {"accuracy_mean": 0.8, "accuracy_std": 0.04}, 4)
        {'difference': 0.1, 'standard_error': 0.025}
    """
    gap = round(own["accuracy_mean"] - peer["accuracy_mean"], 12)
    spreads = own["accuracy_std"], peer["accuracy_std"]
    if None in spreads:
        return {"difference": gap, "standard_error": None}
    return {"difference": gap, "standard_error": round(math.hypot(*spreads) / math.sqrt(seeds), 12)}


def measure(
    network: str,
    systems: Sequence[System],
    *,
    data_dir: str,
    init: str,
    dtype: str,
    seeds: int,
    epochs: int,
    target: float,
    interpreters: Mapping[str, str],
    timeout: float,
) -> list[dict[str, Any]]:
    """A row for each system on one network."""
    batch = NETWORKS[network].batch_size
    n_examples = len(mnist(NETWORKS[network], data_dir, "train")[1]) // batch * batch
    order = {"network": network, "dtype": dtype, "data_dir": data_dir, "n_examples": n_examples, "init": init}
    rows = [
        {"network": network, "system": system.name, "dtype": dtype, "init": init, "examples": n_examples}
        for system in systems
    ]
    workers: dict[int, Worker] = {}
    trainings: dict[int, list[dict[str, Any]]] = {}
    with progress(network, len(systems) * (seeds + 1)) as step, tempfile.TemporaryDirectory() as folder:
        try:
            for place, system in enumerate(systems):
                python = interpreters.get(system.package, sys.executable)
                # One at a time, and with nothing compiled before.
                empty = {"XDG_CACHE_HOME": folder}
                workers[place] = Worker(system, order, python, timeout=timeout, environment=empty)
                rows[place] |= workers[place].trouble
                trainings[place] = []
                step(
                    f"{system.name} is ready"
                    if not _trouble(rows[place])
                    else f"{system.name}: {_trouble(rows[place])}"
                )
            for seed in range(seeds):
                for place, worker in workers.items():
                    if not _trouble(rows[place]):
                        told = train(worker, seed, epochs)
                        rows[place] |= _trouble(told)
                        trainings[place].append(told)
                        step(f"seed {seed}: {systems[place].name} {told.get('accuracies', told)}")
                    else:
                        step("")
        finally:
            for worker in workers.values():
                worker.close()
    for place, row in enumerate(rows):
        if not _trouble(row):
            row |= {"epochs": epochs, "target": target}
            row |= summarize(trainings[place], workers[place].ready["seconds"], target)
    return rows


def main() -> None:
    """Measure and print."""
    parse = argparse.ArgumentParser(
        prog="python -m benchmarks.to_accuracy", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parse.add_argument("--data-dir", required=True, help="folder with the four IDX files of MNIST")
    parse.add_argument("--target", type=float, default=0.99, help="share of the test images; default 0.99")
    parse.add_argument("--seeds", type=int, default=5)
    parse.add_argument(
        "--epochs", type=int, help="default " + ", ".join(f"{n} for {name}" for name, n in EPOCHS.items())
    )
    parse.add_argument("--networks", default=",".join(EPOCHS), help=f"some of {','.join(EPOCHS)}")
    parse.add_argument("--systems", default="fnn,pytorch,flax-linen", help=f"some of {','.join(_ABLE)}")
    parse.add_argument(
        "--init", choices=["he", "own"], default="he", help="the same law for all, or that of each system"
    )
    parse.add_argument(
        "--dtype",
        choices=["float32", "bfloat16"],
        default="float32",
        help="what layers compute in, by each system's own option; default float32",
    )
    parse.add_argument("--python", action="append", default=[], metavar="PACKAGE=PATH", help="as for benchmarks")
    parse.add_argument("--timeout", type=float, default=TIMEOUT, metavar="SECONDS", help="as for benchmarks")
    parse.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parse.add_argument("--out", metavar="FILE", type=Path, help="also write that document to a file")
    options = parse.parse_args()
    networks, systems = options.networks.split(","), options.systems.split(",")
    for what, given, known in (("--networks", networks, EPOCHS), ("--systems", systems, _ABLE)):
        if unknown := [name for name in given if name not in known]:
            parse.error(f"{what}: unknown {unknown[0]!r}, one of {','.join(sorted(known))}")
    if wrong := [entry for entry in options.python if "=" not in entry]:
        parse.error(f"--python: expected PACKAGE=PATH, got {wrong[0]!r}")
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        if not list(Path(options.data_dir).glob(f"{part}*")):
            parse.error(f"--data-dir: expected a folder with {part}-ubyte, got {options.data_dir!r}")
    for name, value in (("--seeds", options.seeds), ("--epochs", options.epochs)):
        if value is not None and value < 1:
            parse.error(f"{name}: expected at least 1, got {value}")
    if not options.timeout > 0:
        parse.error(f"--timeout: expected more than 0 seconds, got {options.timeout:g}")
    end_in_order()
    document: dict[str, Any] = {"machine": machine(), "init": options.init, "results": [], "differences": []}
    for network in networks:
        rows = measure(
            network,
            [_STOCK[name] for name in systems],
            data_dir=options.data_dir,
            init=options.init,
            dtype=options.dtype,
            seeds=options.seeds,
            epochs=options.epochs or EPOCHS[network],
            target=options.target,
            interpreters=dict(entry.split("=", 1) for entry in options.python),
            timeout=options.timeout,
        )
        document["results"] += rows
        done = {row["system"]: row for row in rows if "accuracy_mean" in row}
        document["differences"] += [
            {"network": network, "dtype": options.dtype, "peer": name, **difference(done["fnn"], row, options.seeds)}
            for name, row in done.items()
            if name != "fnn" and "fnn" in done
        ]
    document["machine"]["load_afterwards"] = os.getloadavg()[0]
    text = json.dumps(document, indent=1)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    if options.json:
        print(text)
    else:
        _print(document, options.seeds)
    if failed := [row for row in document["results"] if row["system"] == "fnn" and _trouble(row)]:
        sys.exit(f"python -m benchmarks.to_accuracy: fnn failed on {failed[0]['network']}: {_trouble(failed[0])}")


def _print(document: Mapping[str, Any], seeds: int) -> None:
    console = Console(width=110)
    table = Table("network", "dtype", "system", "epochs", "accuracy %", "std", "s/epoch", "compile s", "met", box=None)
    table.add_column("s to target")
    table.add_column("with compile")
    for row in document["results"]:
        if "accuracy_mean" not in row:
            table.add_row(
                row["network"], row["dtype"], row["system"], "-", (row.get("absent") or row.get("failed", ""))[:40]
            )
            continue
        std, until = row["accuracy_std"], row["seconds_to_target"]
        table.add_row(
            row["network"],
            row["dtype"],
            row["system"],
            str(row["epochs"]),
            f"{100 * row['accuracy_mean']:.2f}",
            "" if std is None else f"{100 * std:.2f}",
            f"{row['epoch_seconds']:.2f}",
            f"{row['compile_and_init_seconds']:.2f}",
            f"{row['seeds_that_met_target']} of {seeds}",
            "-" if until is None else f"{until:.1f}",
            "-" if until is None else f"{row['seconds_to_target_with_compilation']:.1f}",
        )
    console.print(table)
    for gap in document["differences"]:
        error = gap["standard_error"]
        how = "" if error is None else f" +- {100 * error:.2f}"
        console.print(f"{gap['network']}: fnn - {gap['peer']} = {100 * gap['difference']:+.2f}{how} points of accuracy")


if __name__ == "__main__":
    main()
