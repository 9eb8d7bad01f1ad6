"""scikit-learn's MLPClassifier: ``partial_fit`` is one pass over the examples in batches."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.networks import Network
from benchmarks.peers import NotExpressible, Training


def prepare(network: Network, x: np.ndarray, y: np.ndarray, form: str, dtype: str) -> Training:
    """One epoch per call; with the initialisation of its own."""
    kinds = [layer[0] for layer in network.layers]
    if dtype != "float32" or network.init != "own" or not {*kinds} <= {"dense", "relu", "sigmoid"}:
        raise NotExpressible(network.name)
    model = MLPClassifier(
        tuple(layer[1] for layer in network.layers if layer[0] == "dense")[:-1],
        activation="relu" if "relu" in kinds else "logistic",
        solver=network.optimizer,
        alpha=0.0,
        batch_size=network.batch_size,
        learning_rate_init=network.rate,
        momentum=0.0,
        random_state=0,
    )
    return Training(lambda: (model.partial_fit(x, y, classes=np.arange(10)), None)[1])
