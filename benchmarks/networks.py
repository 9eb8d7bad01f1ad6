"""The networks that are timed, as plain data that every system builds its own model from."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Network:
    """What is trained.

    Attributes:
        name: what the tables call it.
        shape: of one example; images have their channels last.
        layers: ``("conv", n)`` is 3 x 3 with zeros around, ``("pool",)`` the average of 2 x 2, ``("block", n, stride)``
            a residual block of two convolutions with batch normalisation, ``("mean",)`` the average over all places.
        optimizer: ``"adam"`` or ``"sgd"``.
        rate: its learning rate.
        batch_size: examples per update.
        n_examples: of an epoch: enough for a second or so.
        init: the law of the first weights: ``"own"``, what the system draws if it is not told, or ``"he"``, uniform
            within sqrt(6 / inputs) and biases 0.
        runs: how many such networks are to be trained, each from a seed of its own.
        epochs: of each, where that matters: in one of several ``runs``.
    """

    name: str
    shape: tuple[int, ...]
    layers: tuple[tuple[Any, ...], ...]
    optimizer: str
    rate: float
    batch_size: int
    n_examples: int
    init: str = "own"
    runs: int = 1
    epochs: int = 1

    def flops(self) -> int:
        """Multiplications and additions of one training step per example, in products and convolutions.

        Forward once, backward twice; the first layer needs no gradient with respect to its input.
        """
        shape, total, is_first = list(self.shape), 0, True

        def add(forward: int) -> None:
            nonlocal total, is_first
            total += forward * (2 if is_first else 3)
            is_first = False

        for kind, *arguments in self.layers:
            if kind == "conv":
                add(2 * 9 * shape[0] * shape[1] * shape[2] * arguments[0])
                shape[2] = arguments[0]
            elif kind == "block":
                n_out, stride = arguments
                before, places = shape[2], (shape[0] // stride) * (shape[1] // stride)
                add(2 * 9 * places * before * n_out)
                add(2 * 9 * places * n_out * n_out)
                if (before, stride) != (n_out, 1):
                    add(2 * places * before * n_out)
                shape = [shape[0] // stride, shape[1] // stride, n_out]
            elif kind == "pool":
                shape = [shape[0] // 2, shape[1] // 2, shape[2]]
            elif kind == "mean":
                shape = [shape[2]]
            elif kind == "flatten":
                shape = [int(np.prod(shape))]
            elif kind == "dense":
                add(2 * shape[0] * arguments[0])
                shape = [arguments[0]]
        return total


_CNN = (("conv", 32), ("relu",), ("pool",), ("conv", 64), ("relu",), ("pool",), ("flatten",), ("dense", 256), ("relu",))
_SMALL = (("dense", 30), ("sigmoid",), ("dense", 10))
_BLOCKS = (("block", 16, 1), ("block", 16, 1), ("block", 32, 2), ("block", 32, 1), ("block", 64, 2), ("block", 64, 1))
NETWORKS = {
    network.name: network
    for network in (
        Network("cnn", (28, 28, 1), (*_CNN, ("dense", 10)), "adam", 1e-3, 128, 6_400),
        Network(
            "mlp",
            (784,),
            (("dense", 512), ("relu",), ("dense", 512), ("relu",), ("dense", 10)),
            "adam",
            1e-3,
            128,
            25_600,
        ),
        Network("small-sgd", (784,), _SMALL, "sgd", 0.5, 10, 20_000),
        Network("small-adam", (784,), _SMALL, "adam", 1e-3, 10, 20_000),
        Network(
            "resnet",
            (32, 32, 3),
            (("conv", 16), ("relu",), *_BLOCKS, ("mean",), ("dense", 10)),
            "adam",
            1e-3,
            128,
            1_280,
        ),
        # 2000 updates each.
        Network("sweep", (784,), _SMALL, "sgd", 0.5, 10, 2_000, runs=64, epochs=10),
    )
}


def examples(network: Network, data_dir: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Inputs float32 and labels int32: MNIST if its folder is given and the shape is its own, else random."""
    count = network.n_examples
    if data_dir is not None and int(np.prod(network.shape)) == 784:
        x, y = mnist(network, data_dir, "train")
        return x[:count], y[:count]
    rng = np.random.default_rng(0)
    return rng.random((count, *network.shape), np.float32), rng.integers(0, 10, count).astype(np.int32)


def mnist(network: Network, data_dir: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """All of ``"train"`` or ``"t10k"``, in the shape that the network takes."""
    images, labels = (_read(Path(data_dir), f"{part}-{kind}*") for kind in ("images-idx3", "labels-idx1"))
    return images.reshape(len(labels), *network.shape).astype(np.float32) / 255, labels.astype(np.int32)


def _read(folder: Path, pattern: str) -> np.ndarray:
    """The bytes after the header of an IDX file, gzipped or not; a peer's environment need not have fnn."""
    path = next(folder.glob(pattern))
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
