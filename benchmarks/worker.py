"""One system training one network in a process of its own, when it is told to.

    python -m benchmarks.worker '{"module": ..., "network": ..., "form": ..., "dtype": ..., "data_dir": ...}'

``"n_examples"`` and ``"init"`` stand for those of the network. It trains for one epoch, so that all is compiled, and
answers with a line of JSON. Each line of stdin is then answered with another:

    SECONDS         trains whole epochs until they are over: examples, seconds, and the largest amount of memory so far
    epoch           trains for one: seconds
    restart SEED    initialises again: seconds
    accuracy        on the test images of MNIST: accuracy

Between lines it waits.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

Answer = dict[str, Any]


def main() -> None:
    """Prepare, say so, and train on demand."""
    from benchmarks.networks import NETWORKS, examples, mnist
    from benchmarks.peers import NotExpressible, Training

    order = json.loads(sys.argv[1])
    chosen = {name: order[name] for name in ("n_examples", "init") if name in order}
    network = replace(NETWORKS[order["network"]], **chosen)
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a system prints is no answer

    def answer(document: Answer) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    @cache
    def held_out() -> tuple[Any, Any]:
        return mnist(network, order["data_dir"], "t10k")

    try:
        peer = importlib.import_module(f"benchmarks.peers.{order['module']}")
        data = examples(network, order["data_dir"])
        began = time.perf_counter()
        training: Training = peer.prepare(network, *data, order["form"], order["dtype"])
        training.epoch()  # compiles
        seconds = time.perf_counter() - began
        answer({"ready": True, "seconds": seconds, "runs_at_once": 1 if training.examples is None else network.runs})
        for line in sys.stdin:
            command, *arguments = line.split()
            if command == "epoch":
                answer({"seconds": _seconds(training.epoch)})
            elif command == "restart":
                answer({"seconds": _seconds(_can(training.restart), int(arguments[0]))})
            elif command == "accuracy":
                answer({"accuracy": _can(training.accuracy)(*held_out())})
            else:
                answer(_window(training.epoch, training.examples or network.n_examples, float(command)))
    except (ImportError, NotExpressible) as error:
        answer({"absent": f"{type(error).__name__}: {error}"})


def _can(ability: Callable[..., Any] | None) -> Callable[..., Any]:
    from benchmarks.peers import NotExpressible

    if ability is None:
        raise NotExpressible("starting again, or the accuracy")
    return ability


def _seconds(work: Callable[..., None], *arguments: Any) -> float:
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def _window(epoch: Callable[[], None], n_examples: int, limit: float) -> Answer:
    trained, began = 0, time.perf_counter()
    while time.perf_counter() - began < limit:
        epoch()
        trained += n_examples
    return {"examples": trained, "seconds": time.perf_counter() - began, "peak_bytes": _peak_bytes()}


def _peak_bytes() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    main()
