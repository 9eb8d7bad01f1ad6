"""What can go wrong through no fault of the code: each kind has its class, and its text is one line for a person."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


class InputError(ValueError):
    """An argument or an array is not what a function needs; the text says where, what was expected, what came."""


class DataError(InputError):
    """A data file or a data set is unusable: missing, damaged, inconsistent, not finite."""


class CheckpointError(InputError):
    """Kept parameters are missing, damaged, or belong to another model."""


class DivergedError(ArithmeticError):
    """Training left the finite numbers.

    Attributes:
        step: the first step, counted from 1, whose loss, gradient or update was not finite.
        epoch: the epoch it belongs to, from 1.
        batch: its number within the epoch, from 1.
        rows: which examples it saw: their numbers in the data, an integer array.
        layer: where the first number that was not finite came from, such as ``"02_dense"``; ``None`` if unknown.
        train_state: everything as it was before that step, a :class:`fnn.TrainState`; ``None`` if it is lost.
    """

    def __init__(
        self,
        message: str,
        step: int,
        *,
        epoch: int | None = None,
        batch: int | None = None,
        rows: Any = None,
        layer: str | None = None,
        train_state: Any = None,
    ) -> None:
        super().__init__(message)
        self.step, self.epoch, self.batch = step, epoch, batch
        self.rows, self.layer, self.train_state = rows, layer, train_state


def expect(condition: bool, where: str, expected: str, got: str) -> None:
    """Raises the one error style of the library unless ``condition`` holds.

    Args:
        condition: what must hold.
        where: the function that speaks.
        expected: the condition in words or code.
        got: what came instead.

    Raises:
        InputError: ``condition`` is false.

    Example:
        >>> expect(2 > 1, "dense", "n_out >= 1", "n_out == 0")
        >>> expect(0 > 1, "dense", "n_out >= 1", "n_out == 0")
        Traceback (most recent call last):
            ...
        fnn.errors.InputError: dense: expected n_out >= 1, got n_out == 0
    """
    if not condition:
        raise InputError(f"{where}: expected {expected}, got {got}")


def is_whole(value: Any) -> bool:
    """Whether this is a whole number, of Python or NumPy; ``True`` is none.

    Example:
        >>> is_whole(3), is_whole(3.0), is_whole(True)
        (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_real(value: Any) -> bool:
    """Whether this is one finite number, of Python, NumPy or JAX; ``True`` is none.

    Example:
        >>> import numpy as np
        >>> [is_real(value) for value in (0.5, 3, np.float32(0.5), np.ones(()), np.ones(1), "0.5", True, math.nan)]
        [True, True, True, True, False, False, False, False]
    """
    is_number = isinstance(value, Real) or (hasattr(value, "dtype") and getattr(value, "shape", None) == ())
    is_truth = isinstance(value, bool) or str(getattr(value, "dtype", "")) == "bool"
    try:
        return is_number and not is_truth and math.isfinite(value)
    except TypeError:  # complex numbers, texts and keys
        return False
