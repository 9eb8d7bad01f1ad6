"""How long do many trainings of a small network take: as one program, and one after the other?

    python -m benchmarks.many_at_once [--runs 64] [--examples 1000] [--epochs 10] [--json]

784-30-10, sigmoid, batches of 10, a seed of its own for each run; the digits that come with fnn, enlarged to 28 x 28.
(On labels drawn at random a perturbation of 1e-7 grows to 0.4 in 1000 updates: nothing can be compared there.)
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

import fnn


def measure(runs: int, examples: int, epochs: int) -> dict[str, Any]:
    """Wall-clock seconds of three ways to the same parameters, compilation included, and how far apart they end."""
    digits = fnn.load_digits().train
    images = np.kron(digits.x[:examples, ..., 0], np.ones((1, 3, 3), np.float32))
    data = np.pad(images, ((0, 0), (2, 2), (2, 2))).reshape(-1, 784), digits.y[:examples]
    model = fnn.mlp([30], 10, activation=fnn.sigmoid)
    objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
    optimizer = optax.sgd(0.5)

    def train(method: Callable[..., Any], key: Any) -> Any:
        init_key, fit_key = jax.random.split(key)
        params, state = model.init(init_key, data[0])
        return method(objective, optimizer, params, state, data, key=fit_key, n_epochs=epochs, batch_size=10).params

    def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
        began = time.perf_counter()
        done = jax.block_until_ready(work())
        return time.perf_counter() - began, done

    keys = [jax.random.key(seed) for seed in range(runs)]
    train(fnn.fit_scan, keys[0])  # what JAX does once in a process is not counted
    alone = jax.jit(lambda key: train(fnn.fit_scan, key))
    swept, many = seconds(lambda: fnn.sweep(lambda key: train(fnn.fit_scan, key), seeds=runs).results)
    scanned, ones = seconds(lambda: [alone(key) for key in keys])
    fitted, fits = seconds(lambda: [train(fnn.fit, key) for key in keys])
    return {
        "runs": runs,
        "updates_each": epochs * -(-examples // 10),
        "sweep_seconds": swept,
        "fit_scan_one_after_the_other_seconds": scanned,
        "fit_one_after_the_other_seconds": fitted,
        "largest_difference_to_fit_scan": _furthest(many, ones),
        "largest_difference_to_fit": _furthest(many, fits),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


def _furthest(many: Any, ones: list[Any]) -> float:
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *ones)
    return max(float(np.abs(a - b).max()) for a, b in zip(*map(jax.tree.leaves, (many, stacked)), strict=True))


def main() -> None:
    """Measure and print."""
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parse.add_argument("--runs", type=int, default=64)
    parse.add_argument("--examples", type=int, default=1000)
    parse.add_argument("--epochs", type=int, default=10)
    parse.add_argument("--json", action="store_true")
    options = parse.parse_args()
    result = measure(options.runs, options.examples, options.epochs)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        for name, value in result.items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
