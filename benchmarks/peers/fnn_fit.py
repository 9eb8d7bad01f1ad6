"""fnn, as its README has it: ``fnn.epochs`` over the arrays, and ``fnn.sweep`` where there are many networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import fnn
from benchmarks.networks import Network
from benchmarks.peers import NotExpressible, Training


def build(network: Network) -> Any:
    """The network from fnn's layers."""
    layers: list[Any] = []
    laws: dict[str, Any] = {} if network.init == "own" else {"w_init": jax.nn.initializers.he_uniform()}
    for kind, *arguments in network.layers:
        if kind == "block":
            layers += [_block(*arguments), fnn.relu]
        else:
            layers.append(
                {
                    "conv": lambda n=0: fnn.conv(n, **laws),
                    "dense": lambda n=0: fnn.dense(n, **laws),
                    "pool": fnn.average_pool,
                    "mean": fnn.global_average_pool,
                    "flatten": fnn.flatten,
                    "relu": lambda: fnn.relu,
                    "sigmoid": lambda: fnn.sigmoid,
                }[kind](*arguments)
            )
    return fnn.serial(*layers)


def _block(n_out: int, stride: int) -> Any:
    inner = fnn.serial(
        fnn.conv(n_out, stride=stride, bias=False),
        fnn.batch_norm(),
        fnn.relu,
        fnn.conv(n_out, bias=False),
        fnn.batch_norm(),
    )
    if stride == 1:
        return fnn.residual(inner)
    return fnn.residual(inner, shortcut=fnn.conv(n_out, (1, 1), stride=stride))


def prepare(network: Network, x: np.ndarray, y: np.ndarray, form: str, dtype: str) -> Training:
    """One epoch per call. Its own laws: Glorot's uniform for dense layers, He's normal for convolutions, biases 0."""
    model = build(network)
    if dtype != "float32":
        if not hasattr(fnn, "mixed_precision"):
            raise NotExpressible(dtype)
        model = fnn.mixed_precision(model, jnp.bfloat16)
    optimizer = {"adam": optax.adam, "sgd": optax.sgd}[network.optimizer](network.rate)
    objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
    if network.runs > 1:
        return _together(network, model, objective, optimizer, (x, y))
    walk: Iterator[fnn.Epoch]
    reached: tuple[Any, Any]

    def restart(seed: int) -> None:
        nonlocal walk, reached
        init_key, fit_key = jax.random.split(jax.random.key(seed))
        reached = model.init(init_key, x[:1])
        walk = fnn.epochs(
            objective, optimizer, *reached, (x, y), key=fit_key, n_epochs=10**6, batch_size=network.batch_size
        )

    def epoch() -> None:
        nonlocal reached
        train_state = next(walk).train_state
        reached = train_state.params, train_state.state

    def accuracy(images: Any, labels: Any) -> float:
        return fnn.evaluate(model, *reached, (images, labels), {"accuracy": fnn.accuracy})["accuracy"]

    restart(0)
    return Training(epoch, restart, accuracy)


def _together(network: Network, model: Any, objective: Any, optimizer: Any, data: Any) -> Training:
    """All the networks by one call of ``fnn.sweep``, which traces and compiles each time: a user waits for that too."""

    def run(key: Any) -> Any:
        init_key, fit_key = jax.random.split(key)
        params, state = model.init(init_key, data[0][:1])
        trained = fnn.fit_scan(
            objective,
            optimizer,
            params,
            state,
            data,
            key=fit_key,
            n_epochs=network.epochs,
            batch_size=network.batch_size,
        )
        return trained.params

    def epoch() -> None:
        fnn.sweep(run, seeds=network.runs)  # gives arrays of NumPy: all is computed

    return Training(epoch, examples=network.runs * network.epochs * network.n_examples)
