"""A data set of images or feature vectors, checked once when it is made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from fnn.data.batching import check_finite
from fnn.errors import DataError
from fnn.types import Batch


class Dataset(NamedTuple):
    """Examples to learn from and others, held out, to judge by.

    Attributes:
        name: what a person calls it.
        train: ``Batch(x, y)``: inputs float32 of shape (n, ...), images with a channel axis last; classes int32 from 0,
            or for regression numbers, float32 (n, 1).
        test: the same, held out.
        n_classes: how many classes there are; 0 for regression.
        scale: the inputs are the numbers of the source divided by this.
        task: what is asked, a name of :func:`fnn.for_task`: ``"single-label"`` or ``"regression"``.
        class_names: what the classes are called, in the order of their numbers; empty if nobody said.
        feature_names: what the numbers of an input are called, for tables; else empty.
    """

    name: str
    train: Batch
    test: Batch
    n_classes: int
    scale: float
    task: str = "single-label"
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()


def make_dataset(
    name: str,
    train: tuple[Num[np.ndarray, "n ..."], Int[np.ndarray, " n"]],
    test: tuple[Num[np.ndarray, "m ..."], Int[np.ndarray, " m"]],
    *,
    scale: float | None = None,
    n_classes: int | None = None,
) -> Dataset:
    """Checks and scales raw images (or feature vectors) and labels.

    Args:
        name: what a person calls it; errors begin with it.
        train: images of shape (n, height, width), (n, height, width, channels) or (n, features), and labels (n,).
        test: the same, held out.
        scale: what inputs are divided by; ``None``: 255 for bytes, else the largest magnitude in ``train``.
        n_classes: classes are 0 to ``n_classes - 1``; ``None``: as many as the training labels show.

    Raises:
        DataError: numbers of images and labels differ, there are none, a class is out of range, training and test
            images differ in shape, or an image holds a NaN or an infinity.

    Example:
        >>> images, labels = np.zeros((4, 2, 2), np.uint8), np.array([0, 1, 1, 0])
        >>> make_dataset("tiny", (images, labels), (images, labels)).train.x.shape
        (4, 2, 2, 1)
    """
    for part, (images, labels) in (("training", train), ("test", test)):
        _check_pair(f"{name}, {part} data", images, labels)
    if train[0].shape[1:] != test[0].shape[1:]:
        raise DataError(
            f"{name}: expected test images of shape {train[0].shape[1:]} as in training, got {test[0].shape[1:]}"
        )
    classes = n_classes if n_classes is not None else int(train[1].max()) + 1
    for part, (_, labels) in (("training", train), ("test", test)):
        _check_range(f"{name}, {part} data", labels, classes)
    divisor = scale if scale is not None else _scale_of(train[0])
    return Dataset(
        name,
        _batch(f"{name}, training data", train, divisor),
        _batch(f"{name}, test data", test, divisor),
        classes,
        divisor,
    )


def to_inputs(images: Num[np.ndarray, "n ..."], scale: float) -> Float[np.ndarray, "n ..."]:
    """Raw images as inputs: float32, divided by ``scale``, with a channel axis if they are (n, height, width).

    Example:
        >>> to_inputs(np.full((1, 2, 2), 255, np.uint8), 255.0)[0, 0, 0]
        array([1.], dtype=float32)
    """
    with np.errstate(over="ignore"):  # what does not fit float32 becomes infinite, and is refused as such
        if images.dtype == np.float64:
            images = images / scale
            scale = 1.0
        x = images.astype(np.float32)
        x /= np.float32(scale)
    return x[..., None] if x.ndim == 3 else x


def _scale_of(images: Num[np.ndarray, "n ..."]) -> float:
    if images.dtype == np.uint8:
        return 255.0
    largest = float(np.abs(images.astype(np.float64)).max(initial=0.0))
    return largest if largest > 0 else 1.0


def _batch(where: str, pair: tuple[np.ndarray, np.ndarray], scale: float) -> Batch:
    images, labels = pair
    batch = Batch(to_inputs(images, scale), labels.astype(np.int32))
    check_finite(batch, where)
    return batch


def _check_pair(where: str, images: np.ndarray, labels: np.ndarray) -> None:
    if images.ndim < 2:
        raise DataError(f"{where}: expected images of shape (n, ...), got shape {images.shape}")
    if labels.ndim != 1:
        raise DataError(f"{where}: expected one label per image, got labels of shape {labels.shape}")
    if len(images) != len(labels):
        raise DataError(
            f"{where}: expected as many labels as images, got {len(images)} images and {len(labels)} labels"
        )
    if not images.size:
        raise DataError(f"{where}: expected at least one image, got shape {images.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{where}: expected integer labels, got {labels.dtype}")
    check_finite(Batch(images), where)


def _check_range(where: str, labels: np.ndarray, n_classes: int) -> None:
    outside = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if outside.size:
        place = int(outside[0])
        raise DataError(
            f"{where}: expected classes from 0 to {n_classes - 1}, got {labels[place]} (label number {place})"
        )
