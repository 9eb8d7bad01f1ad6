"""The epoch of the tutorials of JAX's libraries: shuffled NumPy batches into a compiled step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

from benchmarks.networks import Network


def optimizer(network: Network) -> optax.GradientTransformation:
    """As the network says."""
    return {"adam": optax.adam, "sgd": optax.sgd}[network.optimizer](network.rate)


def epochs(
    network: Network, x: np.ndarray, y: np.ndarray, step: Callable[[Any, Any], None], reached: Callable[[], Any]
) -> Callable[[], None]:
    """One epoch per call; ``step`` keeps its own state, and ``reached`` gives what to wait for in the end."""
    rng = np.random.default_rng(0)

    def epoch() -> None:
        order = rng.permutation(len(x))
        for begin in range(0, len(x) - network.batch_size + 1, network.batch_size):
            rows = order[begin : begin + network.batch_size]
            step(x[rows], y[rows])
        jax.block_until_ready(reached())

    return epoch
