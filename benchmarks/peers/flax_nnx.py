"""Flax NNX.

Stock is the loop of its MNIST tutorial: ``nnx.jit`` around value, gradient, update and metrics. Tuned is what its guide
to performance advises: a functional loop, ``jax.jit`` around a model split into graph and state; the loss alone.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from benchmarks.networks import Network
from benchmarks.peers import NotExpressible, Training
from benchmarks.peers.loops import epochs, optimizer


class _Net(nnx.Module):
    def __init__(self, network: Network, rngs: nnx.Rngs) -> None:
        shape, self.kinds, layers = list(network.shape), [], []
        for kind, *arguments in network.layers:
            self.kinds.append(kind)
            if kind == "conv":
                layers.append(nnx.Conv(shape[2], arguments[0], (3, 3), rngs=rngs))
                shape[2] = arguments[0]
            elif kind == "dense":
                layers.append(nnx.Linear(shape[0], arguments[0], rngs=rngs))
                shape = [arguments[0]]
            elif kind == "pool":
                shape = [shape[0] // 2, shape[1] // 2, shape[2]]
            elif kind == "flatten":
                shape = [int(np.prod(shape))]
            elif kind in ("block", "mean"):
                raise NotExpressible(kind)
        self.layers = nnx.List(layers)

    def __call__(self, x: Any) -> Any:
        learned = iter(self.layers)
        for kind in self.kinds:
            if kind == "pool":
                x = nnx.avg_pool(x, (2, 2), (2, 2))
            elif kind == "flatten":
                x = x.reshape(len(x), -1)
            elif kind in ("relu", "sigmoid"):
                x = getattr(nnx, kind)(x)
            else:
                x = next(learned)(x)
        return x


def prepare(network: Network, x: np.ndarray, y: np.ndarray, form: str, dtype: str) -> Training:
    """One epoch per call; with the initialisation of its own."""
    if dtype != "float32" or network.init != "own":
        raise NotExpressible(f"{dtype}, initialisation: {network.init}")
    model = _Net(network, nnx.Rngs(0))
    state = nnx.Optimizer(model, optimizer(network), wrt=nnx.Param)
    metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))

    def loss_of(model: Any, images: Any, labels: Any) -> Any:
        logits = model(images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits

    @nnx.jit
    def train_step(model: Any, state: Any, metrics: Any, images: Any, labels: Any) -> None:
        (loss, logits), grads = nnx.value_and_grad(loss_of, has_aux=True)(model, images, labels)
        metrics.update(loss=loss, logits=logits, labels=labels)
        state.update(model, grads)

    graph, leaves = nnx.split((model, state))

    @jax.jit
    def functional_step(leaves: Any, images: Any, labels: Any) -> Any:
        model, state = nnx.merge(graph, leaves)
        (loss, _), grads = nnx.value_and_grad(loss_of, has_aux=True)(model, images, labels)
        state.update(model, grads)
        return loss, nnx.state((model, state))

    def stock(images: Any, labels: Any) -> None:
        train_step(model, state, metrics, images, labels)

    def tuned(images: Any, labels: Any) -> None:
        nonlocal leaves
        _, leaves = functional_step(leaves, images, labels)

    if form == "stock":
        return Training(epochs(network, x, y, stock, lambda: jax.tree.leaves(nnx.state(model))))
    return Training(epochs(network, x, y, tuned, lambda: leaves))
