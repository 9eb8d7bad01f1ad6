"""MNIST: 60,000 handwritten digits to learn from and 10,000 to test with, 28 x 28 pixels."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from jaxtyping import Num

from fnn.data.dataset import Dataset, make_dataset
from fnn.data.idx import parse_idx, read_bytes
from fnn.data.idx_folder import FILES, find
from fnn.errors import DataError

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

_MAX_DOWNLOAD = 64 * 2**20  # the largest of the files takes 10 MB
_TIMEOUT_S = 30


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
    if data_dir is not None:
        files = {part: find(data_dir, part) for part in FILES}
    else:
        files = {part: _cached(part) for part in FILES}
    arrays = {part: _checked(path, part) for part, path in files.items()}
    train = arrays["train_images"], arrays["train_labels"]
    return make_dataset("mnist", train, (arrays["test_images"], arrays["test_labels"]), n_classes=10)


def cache_dir() -> Path:
    """Where downloaded files are kept.

    Example:
        >>> cache_dir().parts[-2:]
        ('fnn', 'mnist')
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fnn" / "mnist"


def _checked(path: Path, part: str) -> Num[np.ndarray, "*shape"]:
    data = read_bytes(path)
    # First what the format says: "truncated" tells more than a digest that differs.
    array = parse_idx(data, str(path))
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256[part]:
        raise DataError(f"{path}: not the original: expected SHA-256 {SHA256[part]} uncompressed, got {digest}")
    return array


def _cached(part: str) -> Path:
    target = cache_dir() / (FILES[part] + ".gz")
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        # Checked before it gets its name, so that an interrupted or wrong download never stays in the cache.
        fresh = Path(folder) / target.name
        fresh.write_bytes(_download(target.name))
        _checked(fresh, part)
        fresh.replace(target)
    return target


def _download(file_name: str) -> bytes:
    problems = []
    for mirror in MIRRORS:
        try:
            with urllib.request.urlopen(mirror + file_name, timeout=_TIMEOUT_S) as response:
                data: bytes = response.read(_MAX_DOWNLOAD + 1)
        except (urllib.error.URLError, OSError) as error:
            problems.append(f"{mirror}: {getattr(error, 'reason', error)}")
            continue
        if len(data) <= _MAX_DOWNLOAD:
            return data
        problems.append(f"{mirror}: more than {_MAX_DOWNLOAD} bytes")
    raise DataError(f"mnist: {file_name} could not be downloaded, name a folder that has it; " + "; ".join(problems))
