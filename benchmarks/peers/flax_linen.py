"""Flax Linen, with its ``TrainState``.

Stock is the loop of its MNIST example: the images on the device, where each batch picks its rows; a compiled function
for gradient, loss and accuracy, another for the update; losses and accuracies collected until the epoch ends. Tuned is
what a user who measures would do: one compiled step that gives the loss alone, over rows that NumPy picks.
"""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

from benchmarks.networks import Network
from benchmarks.peers import NotExpressible, Training
from benchmarks.peers.loops import epochs, optimizer


class _Net(nn.Module):
    layers: tuple[tuple[Any, ...], ...]
    laws: dict[str, Any]  # arguments of the layers that draw weights

    @nn.compact
    def __call__(self, x: Any) -> Any:
        for kind, *arguments in self.layers:
            if kind == "conv":
                x = nn.Conv(arguments[0], (3, 3), **self.laws)(x)
            elif kind == "block":
                n_out, stride = arguments
                inner = nn.Conv(n_out, (3, 3), (stride, stride), use_bias=False)(x)
                inner = nn.relu(nn.BatchNorm(use_running_average=False)(inner))
                inner = nn.BatchNorm(use_running_average=False)(nn.Conv(n_out, (3, 3), use_bias=False)(inner))
                if inner.shape != x.shape:
                    x = nn.Conv(n_out, (1, 1), (stride, stride))(x)
                x = nn.relu(x + inner)
            elif kind == "pool":
                x = nn.avg_pool(x, (2, 2), (2, 2))
            elif kind == "mean":
                x = x.mean((1, 2))
            elif kind == "flatten":
                x = x.reshape(len(x), -1)
            elif kind == "dense":
                x = nn.Dense(arguments[0], **self.laws)(x)
            else:
                x = getattr(nn, kind)(x)
        return x


def prepare(network: Network, x: np.ndarray, y: np.ndarray, form: str, dtype: str) -> Training:
    """One epoch per call. Its own law: LeCun's normal one, truncated, and biases of zero."""
    if dtype != "float32":
        raise NotExpressible(dtype)
    model = _Net(network.layers, {} if network.init == "own" else {"kernel_init": nn.initializers.he_uniform()})
    transform, init = optimizer(network), jax.jit(model.init)
    held: list[Any] = []

    def restart(seed: int) -> None:
        variables = init(jax.random.key(seed), x[:1])
        others = {name: part for name, part in variables.items() if name != "params"}
        held[:] = [TrainState.create(apply_fn=model.apply, params=variables["params"], tx=transform), others]

    def loss_of(params: Any, others: Any, images: Any, labels: Any) -> Any:
        logits, updated = model.apply({"params": params, **others}, images, mutable=list(others))
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), (logits, updated)

    @jax.jit
    def apply_model(state: Any, others: Any, images: Any, labels: Any) -> Any:
        (loss, (logits, updated)), grads = jax.value_and_grad(loss_of, has_aux=True)(
            state.params, others, images, labels
        )
        return grads, updated, loss, (logits.argmax(-1) == labels).mean()

    @jax.jit
    def update_model(state: Any, grads: Any) -> Any:
        return state.apply_gradients(grads=grads)

    @jax.jit
    def train_step(state: Any, others: Any, images: Any, labels: Any) -> Any:
        (loss, (_, updated)), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params, others, images, labels)
        return state.apply_gradients(grads=grads), updated, loss

    def step(images: Any, labels: Any) -> None:
        held[0], held[1], _ = train_step(*held, images, labels)

    on_device = jnp.asarray(x) if form == "stock" else x
    keys = map(jax.random.key, itertools.count())

    def stock_epoch() -> None:
        n_steps = len(x) // network.batch_size
        order = jax.random.permutation(next(keys), len(x))[: n_steps * network.batch_size]
        losses, accuracies = [], []
        for rows in order.reshape(n_steps, network.batch_size):
            grads, held[1], loss, share = apply_model(*held, on_device[rows, ...], y[rows, ...])
            held[0] = update_model(held[0], grads)
            losses.append(loss)
            accuracies.append(share)
        np.mean(losses), np.mean(accuracies)
        jax.block_until_ready(held[0].params)

    @jax.jit
    def hits(params: Any, images: Any, labels: Any) -> Any:
        return (model.apply({"params": params}, images).argmax(-1) == labels).sum()

    def accuracy(images: Any, labels: Any) -> float:
        if any(layer[0] == "block" for layer in network.layers):
            raise NotExpressible("batch normalisation without means of its own")
        right = 0
        for begin in range(0, len(images), 500):
            part = slice(begin, begin + 500)
            right += int(hits(held[0].params, images[part], labels[part]))
        return right / len(images)

    restart(0)
    tuned_epoch = epochs(network, x, y, step, lambda: held[0].params)
    return Training(stock_epoch if form == "stock" else tuned_epoch, restart, accuracy)
