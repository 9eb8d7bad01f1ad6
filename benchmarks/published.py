"""Tables of M. Nielsen, "Neural Networks and Deep Learning" (2015), trained again: mean and spread over many seeds.

    python -m benchmarks.published --data-dir DIR [--only NAME,...] [--seeds 10] [--epochs N] [--json]

The book trains each network once, on the first 50,000 images of MNIST, and gives the highest accuracy that it had on
the 10,000 test images after any epoch. Both are repeated here: "best" is the highest of a seed, "last" that at its end.
Choosing the best epoch by the test images flatters; the book does so, and the column is there to be compared with it.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import fnn

_TRAINED_ON = 50_000
_normal = jax.nn.initializers.normal


def _scaled(key: Any, shape: Any, dtype: Any = jnp.float32) -> Any:
    """Standard deviation 1 / sqrt(inputs): chapter 3."""
    return jax.random.normal(key, shape, dtype) / jnp.sqrt(jnp.asarray(shape[0], dtype))


class Row(NamedTuple):
    """One line of the book.

    Attributes:
        chapter: of the book.
        figure: its accuracies in percent, lowest and highest where it gives several.
        hidden: width of the hidden layer.
        loss: per example, of what the output layer gives.
        output: applied to the output layer before the loss.
        w_init: draws the weights; biases are drawn from N(0, 1).
        eta: the learning rate.
        decay: the book's lambda, of which lambda / n is the coefficient of the weights in the gradient.
        epochs: passes over the 50,000 images, in batches of 10.
    """

    chapter: int
    figure: tuple[float, float]
    hidden: int
    loss: Callable[..., Any]
    output: Callable[[Any], Any] | None
    w_init: Callable[..., Any]
    eta: float
    decay: float
    epochs: int


ROWS = {
    "quadratic-30": Row(1, (95.42, 95.42), 30, fnn.half_squared_error, fnn.sigmoid, _normal(1.0), 3.0, 0.0, 30),
    "quadratic-100": Row(1, (96.59, 96.59), 100, fnn.half_squared_error, fnn.sigmoid, _normal(1.0), 3.0, 0.0, 30),
    "entropy-100": Row(3, (97.92, 97.92), 100, fnn.sigmoid_binary_cross_entropy, None, _scaled, 0.5, 5.0, 60),
    "entropy-100-slow": Row(3, (98.04, 98.04), 100, fnn.sigmoid_binary_cross_entropy, None, _scaled, 0.1, 5.0, 60),
}


def repeat(row: Row, train: Any, test: Any, seeds: int, epochs: int) -> dict[str, Any]:
    """Trains the network of a line from each seed, all as one program; accuracies in percent."""
    layers = [fnn.dense(row.hidden, w_init=row.w_init, b_init=_normal(1.0)), fnn.sigmoid]
    layers += [fnn.dense(10, w_init=row.w_init, b_init=_normal(1.0)), *([row.output] if row.output else [])]
    model = fnn.serial(*layers)
    objective = fnn.supervised(model, row.loss)
    is_weight = fnn.path_mask("*/w")
    optimizer = optax.chain(optax.add_decayed_weights(row.decay / len(train[0]), mask=is_weight), optax.sgd(row.eta))

    def run(key: Any) -> Any:
        init_key, fit_key = jax.random.split(key)
        params, state = model.init(init_key, train[0])

        def epoch(params: Any, number: Any) -> Any:
            # Plain gradient descent carries nothing but the parameters from epoch to epoch.
            key = jax.random.fold_in(fit_key, number)
            trained = fnn.fit_scan(objective, optimizer, params, state, train, key=key, n_epochs=1, batch_size=10)
            outputs, _ = model.apply(trained.params, state, test[0])
            return trained.params, 100 * jnp.mean(outputs.argmax(-1) == test[1], dtype=jnp.float32)

        _, accuracies = jax.lax.scan(epoch, params, jnp.arange(epochs))
        return {"best": accuracies.max(), "last": accuracies[-1]}

    began = time.perf_counter()
    results = fnn.sweep(run, seeds=seeds).results
    seconds = time.perf_counter() - began
    summary = {
        name: {
            "mean": statistics.fmean(map(float, values)),
            "std": statistics.stdev(map(float, values)) if seeds > 1 else None,
            "lowest": float(values.min()),
            "highest": float(values.max()),
        }
        for name, values in results.items()
    }
    return {"chapter": row.chapter, "book": row.figure, "seeds": seeds, "epochs": epochs, **summary, "seconds": seconds}


def main() -> None:
    """Train and print."""
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parse.add_argument("--data-dir", help="folder with the four IDX files of MNIST; downloaded without it")
    parse.add_argument("--only", help=f"some of {','.join(ROWS)}")
    parse.add_argument("--seeds", type=int, default=10)
    parse.add_argument("--epochs", type=int, help="fewer than the book's, for a trial")
    parse.add_argument("--json", action="store_true")
    options = parse.parse_args()
    mnist = fnn.load_mnist(options.data_dir)
    flat = [(split.x.reshape(len(split.x), -1), split.y) for split in (mnist.train, mnist.test)]
    x, y = (part[:_TRAINED_ON] for part in flat[0])
    results = {}
    for name in options.only.split(",") if options.only else ROWS:
        row = ROWS[name]
        targets = np.eye(10, dtype=np.float32)[y]
        results[name] = repeat(row, (x, targets), flat[1], options.seeds, options.epochs or row.epochs)
        if not options.json:
            best, last, book = (
                results[name]["best"],
                results[name]["last"],
                "-".join(map(str, dict.fromkeys(row.figure))),
            )
            told = f"best {best['mean']:.2f} +- {best['std'] or 0:.2f} ({best['lowest']:.2f} to {best['highest']:.2f})"
            print(f"{name}: book {book}; {told}; last {last['mean']:.2f}; {results[name]['seconds']:.0f} s", flush=True)
        else:
            print(f"{name}: {results[name]['seconds']:.0f} s", file=sys.stderr)
    if options.json:
        machine = {"device": jax.devices()[0].device_kind, "processor": platform.processor(), "jax": jax.__version__}
        print(json.dumps({"machine": machine, "results": results}, indent=1))


if __name__ == "__main__":
    main()
