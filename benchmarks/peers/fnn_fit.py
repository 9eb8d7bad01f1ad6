"""fnn, as its README has it: ``fnn.epochs`` over the arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import fnn
from benchmarks.networks import Network
from benchmarks.peers import NotExpressible


def build(network: Network) -> Any:
    """The network from fnn's layers."""
    layers: list[Any] = []
    for kind, *arguments in network.layers:
        if kind == "block":
            layers += [_block(*arguments), fnn.relu]
        else:
            layers.append(
                {
                    "conv": lambda n=0: fnn.conv(n),
                    "dense": lambda n=0: fnn.dense(n),
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


def prepare(network: Network, x: np.ndarray, y: np.ndarray, form: str, dtype: str) -> Callable[[], None]:
    """One epoch per call."""
    model = build(network)
    if dtype != "float32":
        if not hasattr(fnn, "mixed_precision"):
            raise NotExpressible(dtype)
        model = fnn.mixed_precision(model, jnp.bfloat16)
    params, state = jax.jit(lambda key: model.init(key, x[:1]))(jax.random.key(0))
    optimizer = {"adam": optax.adam, "sgd": optax.sgd}[network.optimizer](network.rate)
    objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
    epochs = fnn.epochs(
        objective,
        optimizer,
        params,
        state,
        (x, y),
        key=jax.random.key(1),
        n_epochs=10**6,
        batch_size=network.batch_size,
    )
    return lambda: (next(epochs), None)[1]
