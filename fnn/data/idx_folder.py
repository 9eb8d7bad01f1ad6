"""A data set in four IDX files, under the names that MNIST, Fashion-MNIST and KMNIST share."""

from __future__ import annotations

from pathlib import Path

from fnn.data.dataset import Dataset, make_dataset
from fnn.data.idx import read_idx
from fnn.errors import DataError

FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
"""The customary file names; in a folder each may have ``.gz`` behind it."""


def load_idx(
    folder: str | Path | None = None,
    *,
    train_images: str | Path | None = None,
    train_labels: str | Path | None = None,
    test_images: str | Path | None = None,
    test_labels: str | Path | None = None,
    n_classes: int | None = None,
    name: str = "idx",
) -> Dataset:
    """A data set from IDX files: from a folder with the customary names, or each file named.

    Args:
        folder: where the files with the names of :data:`FILES` are, gzipped or not.
        train_images: an IDX file of images or feature vectors; goes before the one in ``folder``.
        train_labels: an IDX file of classes, integers from 0.
        test_images: as ``train_images``, held out.
        test_labels: as ``train_labels``, held out.
        n_classes: how many classes there are; ``None``: as many as the training labels show.
        name: what a person calls the data set.

    Raises:
        DataError: a file is not named or not found, is damaged, or the files do not fit each other.

    Example:
        >>> load_idx("no-such-folder")
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: no-such-folder: no file train-images-idx3-ubyte, with or without .gz
    """
    given = {
        "train_images": train_images,
        "train_labels": train_labels,
        "test_images": test_images,
        "test_labels": test_labels,
    }
    arrays = {part: read_idx(path if path is not None else find(folder, part)) for part, path in given.items()}
    train = arrays["train_images"], arrays["train_labels"]
    return make_dataset(name, train, (arrays["test_images"], arrays["test_labels"]), n_classes=n_classes)


def find(folder: str | Path | None, part: str) -> Path:
    """The file for one part of the data set, such as ``"train_images"``, gzipped or not.

    Raises:
        DataError: there is none.

    Example:
        >>> find(None, "test_labels")
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: idx: expected a folder or a file for the test labels, got neither
    """
    if folder is None:
        raise DataError(f"idx: expected a folder or a file for the {part.replace('_', ' ')}, got neither")
    plain = Path(folder) / FILES[part]
    for path in (plain, plain.with_name(plain.name + ".gz")):
        if path.is_file():
            return path
    raise DataError(f"{folder}: no file {FILES[part]}, with or without .gz")
