"""One system training one network in a process of its own, when it is told to.

    python -m benchmarks.worker '{"module": ..., "network": ..., "form": ..., "dtype": ..., "data_dir": ...}'

Reads the seconds of a window from each line of stdin, trains whole epochs until they are over, and answers with a line
of JSON: examples, seconds, and the largest amount of memory it has needed so far. Between windows it waits for a line.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any


def main() -> None:
    """Prepare, say so, and train on demand."""
    from benchmarks.networks import NETWORKS, examples
    from benchmarks.peers import NotExpressible

    order = json.loads(sys.argv[1])
    network = NETWORKS[order["network"]]
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a system prints is no answer

    def answer(document: dict[str, Any]) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    try:
        peer = importlib.import_module(f"benchmarks.peers.{order['module']}")
        epoch = peer.prepare(network, *examples(network, order["data_dir"]), order["form"], order["dtype"])
        epoch()  # compiles
    except (ImportError, NotExpressible) as error:
        answer({"absent": f"{type(error).__name__}: {error}"})
        return
    answer({"ready": True})
    for line in sys.stdin:
        limit, n_examples, begin = float(line), 0, time.perf_counter()
        while time.perf_counter() - begin < limit:
            epoch()
            n_examples += network.n_examples
        seconds = time.perf_counter() - begin
        answer({"examples": n_examples, "seconds": seconds, "peak_bytes": _peak_bytes()})


def _peak_bytes() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    main()
