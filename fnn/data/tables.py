"""Tables as data sets: the numbers of each row are an input, one column is what to predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from fnn.data.batching import check_finite
from fnn.data.dataset import Dataset, make_dataset
from fnn.data.splitting import split
from fnn.errors import DataError, InputError
from fnn.types import Batch

TASKS = ("single-label", "regression")
"""What a table's target column may be asked for, as :func:`fnn.for_task` names it."""


class Standard(NamedTuple):
    """What each feature is shifted and divided by.

    Attributes:
        mean: the mean of each feature, of the shape of one input.
        spread: its standard deviation; 1 for a feature that is everywhere the same.
    """

    mean: Float[np.ndarray, "*features"]
    spread: Float[np.ndarray, "*features"]

    def apply(self, x: Float[np.ndarray, "n *features"]) -> Float[np.ndarray, "n *features"]:
        """Inputs, shifted and divided, as float32.

        Example:
            >>> Standard(np.array([2.0]), np.array([0.5])).apply(np.array([[3.0]])).tolist()
            [[2.0]]
        """
        standard: np.ndarray = ((x - self.mean) / self.spread).astype(np.float32)
        return standard


def standardize(data: Dataset) -> tuple[Dataset, Standard]:
    """Features of mean 0 and standard deviation 1, by the training part alone.

    Networks learn badly from columns of very different size, such as a year beside a share.

    Returns:
        The data set, and what it was changed by: apply the same to inputs of later.

    Example:
        >>> x, y = np.array([[1.0, 2000.0], [3.0, 2010.0]]), np.array([0, 1])
        >>> data, standard = standardize(make_dataset("two", (x, y), (x, y), scale=1.0))
        >>> data.train.x.tolist(), standard.mean.tolist()
        ([[-1.0, -1.0], [1.0, 1.0]], [2.0, 2005.0])
    """
    x = data.train.x.astype(np.float64)
    spread = x.std(axis=0)
    # A constant feature has a spread of 0, or of what rounding left of it.
    constant = x.max(axis=0) == x.min(axis=0)
    standard = Standard(x.mean(axis=0), np.where(constant, 1.0, spread))
    parts = [part._replace(x=standard.apply(part.x)) for part in (data.train, data.test)]
    return data._replace(train=parts[0], test=parts[1]), standard


def make_table(
    name: str,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray] | None,
    *,
    task: str,
    held_out: float,
    seed: int,
    class_names: Sequence[str] = (),
    feature_names: Sequence[str] = (),
    scale: float | None = 1.0,
) -> Dataset:
    """Checks inputs and targets and, if there is no test part, holds one out.

    Args:
        name: what errors begin with.
        train: inputs (n, ...), and classes (n,) or for regression numbers (n,) or (n, k).
        test: the same, held out; ``None``: drawn from ``train``, for classes of each alike.
        task: one of :data:`TASKS`.
        held_out: the share that is drawn.
        seed: what the draw is made from.
        class_names: what the classes are called.
        feature_names: what the features are called.
        scale: as for :func:`make_dataset`.

    Raises:
        InputError: there is no such task, or ``held_out`` is out of range.
        DataError: inputs and targets do not fit each other, or are not finite.

    Example:
        >>> x, y = np.zeros((10, 2)), np.arange(10.0)
        >>> data = make_table("ten", (x, y), None, task="regression", held_out=0.2, seed=0)
        >>> data.train.y.shape, data.test.y.shape, data.n_classes
        ((8, 1), (2, 1), 0)
    """
    check_task(name, task)
    _check_counts(name, train)
    classes = task == "single-label"
    if classes:
        _check_classes(name, train[1])
    if test is None:
        if len(train[1]) < 2:
            raise DataError(f"{name}: expected at least two examples, to learn from and to test with, got one")
        parts = split(train, held_out, jax.random.key(seed), stratify=classes)
        train, test = ((part.x, part.y) for part in parts)
    if classes:
        n_classes = len(class_names) or max(int(train[1].max()), int(test[1].max())) + 1
        data = make_dataset(name, train, test, scale=scale, n_classes=n_classes)
    else:
        # The checks are those of inputs; the classes that they ask for stand in for the numbers.
        stand_ins = [(x, np.zeros(len(x), np.int32)) for x, _ in (train, test)]
        inputs = make_dataset(name, *stand_ins, scale=scale, n_classes=1)
        data = inputs._replace(
            train=inputs.train._replace(y=_numbers(f"{name}, training data", train[1])),
            test=inputs.test._replace(y=_numbers(f"{name}, test data", test[1])),
            n_classes=0,
        )
    return data._replace(task=task, class_names=tuple(class_names), feature_names=tuple(feature_names))


def check_task(where: str, task: str) -> None:
    """Refuses a task that is none of a table's.

    Example:
        >>> check_task("load_csv", "ranking")
        Traceback (most recent call last):
            ...
        fnn.errors.InputError: load_csv: expected task 'single-label' or 'regression', got 'ranking'
    """
    if task not in TASKS:
        raise InputError(f"{where}: expected task 'single-label' or 'regression', got {task!r}")


def _check_counts(name: str, pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    if not x.shape[:1] or x.shape[:1] != y.shape[:1]:
        raise DataError(f"{name}: expected as many inputs as targets, got shapes {x.shape} and {y.shape}")
    if not x.size:
        raise DataError(f"{name}: expected at least one example, got inputs of shape {x.shape}")
    check_finite(Batch(x, y), name)


def _check_classes(name: str, labels: np.ndarray) -> None:
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{name}: expected one integer per example as class, got {labels.dtype} of {labels.shape}")
    present = np.unique(labels)
    if len(present) < 2:
        raise DataError(f"{name}: expected at least two classes, got only {present[0]}")
    # Prices and years are whole numbers too: a network with an output for each is not what anyone wants.
    if present[-1] >= len(labels):
        raise DataError(
            f"{name}: expected fewer classes than examples, got class {present[-1]} among {len(labels)} examples; "
            "to predict a number, set the task to regression"
        )


def _numbers(where: str, y: np.ndarray) -> Any:
    if y.ndim not in (1, 2) or not np.issubdtype(y.dtype, np.number):
        raise DataError(f"{where}: expected numbers of shape (n,) or (n, k) as targets, got {y.dtype} of {y.shape}")
    with np.errstate(over="ignore"):  # what does not fit float32 becomes infinite, and is refused as such
        numbers = y.astype(np.float32).reshape(len(y), -1)
    check_finite(Batch(None, numbers), where)
    return numbers
