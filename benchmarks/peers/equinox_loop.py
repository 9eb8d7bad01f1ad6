"""Equinox, ``vmap`` over examples.

Stock is the loop of its CNN tutorial: ``eqx.filter_jit`` around value, gradient, update. Tuned goes a step further than
its documentation advises against the overhead of that: ``jax.jit``, given and giving the arrays of the model alone.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax

from benchmarks.networks import Network
from benchmarks.peers import NotExpressible, Training
from benchmarks.peers.loops import epochs, optimizer


def build(network: Network) -> Any:
    """The network, of one example with channels first."""
    shape, layers = list(network.shape), []
    keys = iter(jax.random.split(jax.random.key(0), len(network.layers)))
    for kind, *arguments in network.layers:
        key = next(keys)
        if kind == "conv":
            layers.append(eqx.nn.Conv2d(shape[2], arguments[0], 3, padding=1, key=key))
            shape[2] = arguments[0]
        elif kind == "dense":
            layers.append(eqx.nn.Linear(shape[0], arguments[0], key=key))
            shape = [arguments[0]]
        elif kind == "pool":
            layers.append(eqx.nn.AvgPool2d(2, 2))
            shape = [shape[0] // 2, shape[1] // 2, shape[2]]
        elif kind == "flatten":
            layers.append(eqx.nn.Lambda(jax.numpy.ravel))
            shape = [int(np.prod(shape))]
        elif kind in ("relu", "sigmoid"):
            layers.append(eqx.nn.Lambda(getattr(jax.nn, kind)))
        else:
            raise NotExpressible(kind)
    return eqx.nn.Sequential(layers)


def prepare(network: Network, x: np.ndarray, y: np.ndarray, form: str, dtype: str) -> Training:
    """One epoch per call; with the initialisation of its own."""
    if dtype != "float32" or network.init != "own":
        raise NotExpressible(f"{dtype}, initialisation: {network.init}")
    transform, model = optimizer(network), build(network)
    held = [model, transform.init(eqx.filter(model, eqx.is_inexact_array))]
    if x.ndim == 4:
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def train_step(model: Any, opt_state: Any, images: Any, labels: Any) -> Any:
        def loss_of(model: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(images), labels).mean()

        loss, grads = eqx.filter_value_and_grad(loss_of)(model)
        updates, opt_state = transform.update(grads, opt_state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), opt_state, loss

    filtered_step = eqx.filter_jit(train_step)
    leaves, tree = jax.tree.flatten(held)
    arrays = [leaf for leaf in leaves if eqx.is_array(leaf)]

    @jax.jit
    def step_of_arrays(arrays: list[Any], images: Any, labels: Any) -> Any:
        given = iter(arrays)
        whole = jax.tree.unflatten(tree, [next(given) if eqx.is_array(leaf) else leaf for leaf in leaves])
        *after, loss = train_step(*whole, images, labels)
        return [leaf for leaf in jax.tree.leaves(after) if eqx.is_array(leaf)], loss

    def stock(images: Any, labels: Any) -> None:
        held[0], held[1], _ = filtered_step(*held, images, labels)

    def tuned(images: Any, labels: Any) -> None:
        nonlocal arrays
        arrays, _ = step_of_arrays(arrays, images, labels)

    if form == "stock":
        return Training(epochs(network, x, y, stock, lambda: eqx.filter(held[0], eqx.is_inexact_array)))
    return Training(epochs(network, x, y, tuned, lambda: arrays))
