"""MNIST: 60,000 handwritten digits to learn from and 10,000 to test with, 28 x 28 pixels."""

from __future__ import annotations

from pathlib import Path

from fnn.data.dataset import Dataset
from fnn.data.originals import Original, load_original

SHA256 = {
    "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""Digests of the uncompressed files: gzip may wrap the same bytes in many ways."""

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
"""Where the files are fetched from, tried in this order."""


def load_mnist(data_dir: str | Path | None = None) -> Dataset:
    """MNIST from a folder, or downloaded once to a cache folder; always checked by SHA-256.

    Args:
        data_dir: a folder with the four files, gzipped or not. ``None``: the folder ``fnn/mnist`` of the user's cache
            (``$XDG_CACHE_HOME``, else ``~/.cache``), filled from the first of :data:`MIRRORS` that answers.

    Raises:
        DataError: a file is missing or is not the original, or no mirror answers.

    Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".

    Example:
        >>> load_mnist("no-such-folder")
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: no-such-folder: no file train-images-idx3-ubyte, with or without .gz
    """
    return load_original(Original("mnist", MIRRORS, SHA256, class_names=tuple("0123456789")), data_dir)
