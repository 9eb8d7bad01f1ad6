"""Keras 3 on its JAX backend: ``model.fit``; tuned, callbacks every ten steps."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from benchmarks.networks import Network
from benchmarks.peers import NotExpressible, Training


def prepare(network: Network, x: np.ndarray, y: np.ndarray, form: str, dtype: str) -> Training:
    """One epoch per call; with the initialisation of its own."""
    if dtype != "float32" or network.init != "own":
        raise NotExpressible(f"{dtype}, initialisation: {network.init}")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(network.shape)])
    for kind, *arguments in network.layers:
        if kind in ("block", "mean"):
            raise NotExpressible(kind)
        model.add(
            {
                "conv": lambda n=0: layers.Conv2D(n, 3, padding="same"),
                "dense": lambda n=0: layers.Dense(n),
                "pool": lambda: layers.AveragePooling2D(2),
                "flatten": layers.Flatten,
                "relu": lambda: layers.Activation("relu"),
                "sigmoid": lambda: layers.Activation("sigmoid"),
            }[kind](*arguments)
        )
    optimizer = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[network.optimizer](network.rate)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, steps_per_execution=1 if form == "stock" else 10)
    return Training(lambda: (model.fit(x, y, batch_size=network.batch_size, epochs=1, verbose=0), None)[1])
