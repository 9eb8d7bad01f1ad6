"""Tables of M. Nielsen, "Neural Networks and Deep Learning" (2015), trained again: mean and spread over many seeds.

    python -m benchmarks.published --data-dir DIR [--only NAME,...] [--seeds 10] [--epochs N] [--json]

The book trains each network once, on the first 50,000 images of MNIST. In chapters 1 and 3 it gives the highest
accuracy that it had on the 10,000 test images after any epoch, which flatters; in chapter 6 that after the epoch which
was best on the 10,000 images left over. "best" is chosen as the chapter does, "last" is that after the last epoch.
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


def _by_outputs(axis: int, pooled: int = 1) -> Callable[..., Any]:
    """Standard deviation 1 / sqrt(outputs), as chapter 6's program has it: of a convolution, maps * window / pool."""

    def draw(key: Any, shape: Any, dtype: Any = jnp.float32) -> Any:
        n_out = shape[-1] * int(np.prod(shape[:axis])) / pooled
        return jax.random.normal(key, shape, dtype) / jnp.sqrt(jnp.asarray(n_out, dtype))

    return draw


class Row(NamedTuple):
    """One line of the book.

    Attributes:
        chapter: of the book.
        figure: its accuracy in percent.
        layers: makes the network's layers.
        loss: per example, of what the last layer gives.
        eta: the learning rate.
        decay: the coefficient of the weights in the gradient.
        epochs: passes over the 50,000 images, in batches of 10.
        validated: whether the book chooses the epoch by 10,000 other images, and not by the test images.
    """

    chapter: int
    figure: float
    layers: Callable[[], list[Any]]
    loss: Callable[..., Any]
    eta: float
    decay: float
    epochs: int
    validated: bool = False


def _two_layers(hidden: int, w_init: Callable[..., Any], output: Callable[[Any], Any] | None = None) -> list[Any]:
    """Chapters 1 and 3: biases are drawn from N(0, 1)."""
    dense = [fnn.dense(n, w_init=w_init, b_init=_normal(1.0)) for n in (hidden, 10)]
    return [fnn.flatten(), dense[0], fnn.sigmoid, dense[1], *([output] if output else [])]


def _convolutional(maps: tuple[int, ...], activation: Callable[[Any], Any]) -> list[Any]:
    """Chapter 6: windows 5 x 5, pooled by maxima of 2 x 2, 100 hidden, softmax from zeros."""
    layers: list[Any] = []
    for n_maps in maps:
        # The book pools first and applies the activation to the pooled sums; these rise with their argument.
        conv = fnn.conv(n_maps, (5, 5), padding="valid", w_init=_by_outputs(2, 4), b_init=_normal(1.0))
        layers += [conv, fnn.max_pool(), activation]
    zeros = jax.nn.initializers.zeros
    hidden = fnn.dense(100, w_init=_by_outputs(0), b_init=_normal(1.0))
    return [*layers, fnn.flatten(), hidden, activation, fnn.dense(10, w_init=zeros)]


_half, _binary = fnn.half_squared_error, fnn.sigmoid_binary_cross_entropy
_softmax = fnn.softmax_cross_entropy
ROWS = {
    "quadratic-30": Row(1, 95.42, lambda: _two_layers(30, _normal(1.0), fnn.sigmoid), _half, 3.0, 0.0, 30),
    "quadratic-100": Row(1, 96.59, lambda: _two_layers(100, _normal(1.0), fnn.sigmoid), _half, 3.0, 0.0, 30),
    "entropy-100": Row(3, 97.92, lambda: _two_layers(100, _scaled), _binary, 0.5, 5.0 / _TRAINED_ON, 60),
    "entropy-100-slow": Row(3, 98.04, lambda: _two_layers(100, _scaled), _binary, 0.1, 5.0 / _TRAINED_ON, 60),
    "softmax-100": Row(6, 97.80, lambda: _convolutional((), fnn.sigmoid), _softmax, 0.1, 0.0, 60, True),
    "conv": Row(6, 98.78, lambda: _convolutional((20,), fnn.sigmoid), _softmax, 0.1, 0.0, 60, True),
    "conv-conv": Row(6, 99.06, lambda: _convolutional((20, 40), fnn.sigmoid), _softmax, 0.1, 0.0, 60, True),
    # Its program divides lambda = 0.1 by the number of batches.
    "conv-conv-relu": Row(6, 99.23, lambda: _convolutional((20, 40), fnn.relu), _softmax, 0.03, 0.1 / 5_000, 60, True),
}


def repeat(row: Row, train: Any, validation: Any, test: Any, seeds: int, epochs: int) -> dict[str, Any]:
    """Trains the network of a line from each seed, two at a time as one program; accuracies in percent."""
    model = fnn.serial(*row.layers())
    objective = fnn.supervised(model, row.loss)
    optimizer = optax.chain(optax.add_decayed_weights(row.decay, mask=fnn.path_mask("*/w")), optax.sgd(row.eta))

    def count_right(params: Any, state: Any, images: Any, labels: Any) -> Any:
        def right(part: Any) -> Any:
            return (model.apply(params, state, part[0])[0].argmax(-1) == part[1]).sum()

        # In parts: the maps of all the images at once would not fit.
        parts = images.reshape(-1, 1_000, *images.shape[1:]), labels.reshape(-1, 1_000)
        return jnp.sum(jax.lax.map(right, parts))

    def run(key: Any) -> Any:
        init_key, fit_key = jax.random.split(key)
        params, state = model.init(init_key, train[0])

        def epoch(params: Any, number: Any) -> Any:
            # Plain gradient descent carries nothing but the parameters from epoch to epoch.
            key = jax.random.fold_in(fit_key, number)
            trained = fnn.fit_scan(objective, optimizer, params, state, train, key=key, n_epochs=1, batch_size=10)
            tested = count_right(trained.params, state, *test)
            judged = count_right(trained.params, state, *validation) if row.validated else tested
            return trained.params, (judged, tested)

        _, (judged, tested) = jax.lax.scan(epoch, params, jnp.arange(epochs))
        return {"best": tested[jnp.argmax(judged)], "last": tested[-1]}

    began = time.perf_counter()
    parts = []
    for first in range(0, seeds, 2):
        parts.append(fnn.sweep(run, seeds=range(first, min(first + 2, seeds))).results)
        told = ", ".join(f"{100 * right / len(test[0]):.2f}" for right in parts[-1]["best"])
        print(f"  seeds from {first}: {told} %; {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    results = {name: 100 * np.concatenate([part[name] for part in parts]) / len(test[0]) for name in parts[0]}
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
    x, y = (part[:_TRAINED_ON] for part in mnist.train[:2])
    validation = tuple(part[_TRAINED_ON:] for part in mnist.train[:2])
    results = {}
    for name in options.only.split(",") if options.only else ROWS:
        row = ROWS[name]
        targets = np.eye(10, dtype=np.float32)[y]
        results[name] = repeat(
            row, (x, targets), validation, mnist.test[:2], options.seeds, options.epochs or row.epochs
        )
        if not options.json:
            best, last = results[name]["best"], results[name]["last"]
            told = f"best {best['mean']:.2f} +- {best['std'] or 0:.2f} ({best['lowest']:.2f} to {best['highest']:.2f})"
            print(
                f"{name}: book {row.figure}; {told}; last {last['mean']:.2f}; {results[name]['seconds']:.0f} s",
                flush=True,
            )
        else:
            print(f"{name}: {results[name]['seconds']:.0f} s", file=sys.stderr)
    if options.json:
        machine = {"device": jax.devices()[0].device_kind, "processor": platform.processor(), "jax": jax.__version__}
        print(json.dumps({"machine": machine, "results": results}, indent=1))


if __name__ == "__main__":
    main()
