"""How long a proof takes, tracing included: the four networks that the project sets itself as a measure.

    python -m benchmarks.proof_speed            a table (markdown) on stdout
    python -m benchmarks.proof_speed --json     one JSON document

Each time is that of one call of ``verify.prove_gradient`` in a process that has proved something else before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from verify.gradients.prove import prove_gradient

GENERATOR = np.random.default_rng(0)
LAYOUT = ("NHWC", "HWIO", "NHWC")


def weights(*shape: int) -> jax.Array:
    """Small random numbers."""
    return jnp.asarray(0.3 * GENERATOR.standard_normal(shape), jnp.float32)


def cross_entropy(logits: jax.Array, labels: list[int]) -> jax.Array:
    """The mean over a batch."""
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(labels)), jnp.array(labels)])


def sigmoid_network(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """784-30-10 with cross-entropy, a batch of four."""
    hidden = jax.nn.sigmoid(x @ params["w1"] + params["b1"])
    return cross_entropy(hidden @ params["w2"] + params["b2"], [3, 1, 0, 7])


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Stride 1, same size."""
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


def pool(x: jax.Array) -> jax.Array:
    """The largest of each 2x2 window."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def cnn(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Two convolutions with relu and max-pooling on 12x12 images, batch 2, cross-entropy."""
    y = pool(jax.nn.relu(conv(x, params["k1"]) + params["b1"]))
    y = pool(jax.nn.relu(conv(y, params["k2"]) + params["b2"]))
    return cross_entropy(y.reshape(2, -1) @ params["w"], [3, 1])


def attention(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Causal self-attention over six positions."""
    q, k, v = x @ params["q"], x @ params["k"], x @ params["v"]
    scores = jnp.where(jnp.tril(jnp.ones((6, 6), bool)), q @ k.T / jnp.sqrt(8.0), -jnp.inf)
    return jax.nn.softmax(scores) @ v @ params["o"]


def batch_norm(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """Over batch and space."""
    return (x - x.mean((0, 1, 2))) / jnp.sqrt(x.var((0, 1, 2)) + 1e-5) * scale + shift


def residual_block(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Two convolutions with batch norm, a shortcut, relu."""
    y = jax.nn.relu(batch_norm(conv(x, params["k1"]), params["g1"], params["b1"]))
    return jax.nn.relu(x + batch_norm(conv(y, params["k2"]), params["g2"], params["b2"]))


def cases() -> list[tuple[str, float, Callable[..., Any], dict[str, jax.Array], jax.Array]]:
    """Name, the limit in seconds, function, parameters, input."""
    w = weights
    return [
        (
            "784-30-10 sigmoid network, cross-entropy, batch 4",
            1.0,
            sigmoid_network,
            {"w1": w(784, 30), "b1": w(30), "w2": w(30, 10), "b2": w(10)},
            w(4, 784),
        ),
        (
            "CNN on 12x12, batch 2, relu, max-pooling, cross-entropy",
            3.0,
            cnn,
            {"k1": w(3, 3, 1, 8), "b1": w(8), "k2": w(3, 3, 8, 16), "b2": w(16), "w": w(144, 10)},
            w(2, 12, 12, 1),
        ),
        (
            "causal attention over 6 positions, width 8",
            1.0,
            attention,
            {name: w(8, 8) for name in "qkvo"},
            w(6, 8),
        ),
        (
            "ResNet block with batch norm, 2x8x8x8",
            5.0,
            residual_block,
            {"k1": w(3, 3, 8, 8), "g1": w(8), "b1": w(8), "k2": w(3, 3, 8, 8), "g2": w(8), "b2": w(8)},
            w(2, 8, 8, 8),
        ),
    ]


def measure() -> dict[str, Any]:
    """Parameters and inputs are both differentiated with respect to."""
    prove_gradient(jnp.sin, jnp.ones(2))  # what is imported and compiled once
    rows = []
    for name, limit, f, params, x in cases():
        start = time.perf_counter()
        proof = prove_gradient(f, params, x, argnums=(0, 1))
        seconds = round(time.perf_counter() - start, 3)
        rows.append({"name": name, "verdict": proof.verdict, "seconds": seconds, "limit": limit, "error": proof.error})
    versions = {"jax": jax.__version__, "python": platform.python_version(), "cpus": os.cpu_count()}
    return {"versions": versions, "rows": rows}


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(description="How long proofs of gradients take.")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    result = measure()
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print("| gradient of | verdict | seconds | limit |\n|---|---|---|---|")
    for row in result["rows"]:
        print(f"| {row['name']} | {row['verdict']} | {row['seconds']} | {row['limit']} |")


if __name__ == "__main__":
    main()
