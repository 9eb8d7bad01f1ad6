"""What can go wrong through no fault of the code: each kind has its class, and its text is one line for a person."""

from __future__ import annotations


class InputError(ValueError):
    """An argument or an array is not what a function needs; the text says where, what was expected, what came."""


class DataError(InputError):
    """A data file or a data set is unusable: missing, damaged, inconsistent, not finite."""


class CheckpointError(InputError):
    """Kept parameters are missing, damaged, or belong to another model."""


class DivergedError(ArithmeticError):
    """Training left the finite numbers.

    Attributes:
        step: the first step, counted from 1, whose loss was not finite; if only the parameters were lost, the last step
            of that epoch.
    """

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


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
