"""What the algebras have in common, and the two halves that most share: NumPy arrays as arrays, names as functions.

An *algebra* evaluates the floating-point part of a program; integers and booleans stay NumPy arrays. Its arrays
support ``+ - * /``, unary minus and ``.shape``; everything else is a method of the algebra, listed in :class:`Algebra`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Rearrangement = Callable[..., NDArray[Any]]
"""A function of NumPy arrays that only moves entries about: transpose, slice, concatenate, index, ..."""


class Undecided(ArithmeticError):
    """A comparison that the values at hand do not settle (more precision may, another input surely will)."""


class Unsupported(Exception):
    """An operation that this algebra, or the interpreter, has no meaning for."""


class Algebra(Protocol):
    """One number system, arrays at a time. ``Any`` stands for its array type.

    ``compare`` returns what stands for a boolean array: NumPy booleans, or for the symbolic algebra indicators.
    """

    def constant(self, values: NDArray[Any]) -> Any:
        """The numbers that floating-point ``values`` stand for; integers and booleans are exact."""

    def function(self, name: str, x: Any) -> Any:
        """An elementary function by its name in :data:`verify.rules.DERIVATIVES`."""

    def power(self, x: Any, exponent: Fraction) -> Any:
        """``x ** exponent`` for a known rational exponent."""

    def general_power(self, x: Any, y: Any) -> Any:
        """``x ** y = exp(y log x)``, x > 0."""

    def pi(self) -> Any:
        """The number pi, as an array of shape ()."""

    def sum(self, x: Any, axes: tuple[int, ...]) -> Any:
        """The sum over ``axes``."""

    def matmul(self, x: Any, y: Any) -> Any:
        """``x @ y``: shapes (b, m, k) and (b, k, n)."""

    def rearrange(self, fn: Rearrangement, *xs: Any) -> Any:
        """``fn`` of the arrays, where ``fn`` only moves entries."""

    def select(self, which: NDArray[Any], cases: Sequence[Any]) -> Any:
        """Entrywise ``cases[which]``."""

    def compare(self, relation: str, x: Any, y: Any) -> NDArray[Any]:
        """``relation`` is one of eq, ne, lt, le, gt, ge."""

    def order(self, x: Any, axis: int) -> NDArray[np.intp]:
        """The stable argsort along ``axis``."""

    def integral(self, kind: str, x: Any) -> NDArray[np.float64]:
        """floor, ceil, trunc, round_even or round_away, as plain numbers."""

    def finite(self, x: Any) -> NDArray[np.bool_]:
        """Where an entry is an ordinary number."""

    def stop(self, x: Any) -> Any:
        """``x`` with no derivative."""


class Functions:
    """The namespace ``f`` that the derivative rules take: ``f.exp(x)``, ``f.sqrt(2)``, ``f.pi()``."""

    def __init__(self, algebra: Algebra) -> None:
        self._algebra = algebra

    def __getattr__(self, name: str) -> Callable[..., Any]:
        algebra = self._algebra
        if name == "pi":
            return algebra.pi

        def function(x: Any) -> Any:
            return algebra.function(name, algebra.constant(np.asarray(x)) if isinstance(x, int) else x)

        return function


class Plain:
    """An algebra whose arrays are NumPy arrays (of float64, or of objects): all but its scalars."""

    def matmul(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.matmul(x, y))

    def rearrange(self, fn: Rearrangement, *xs: NDArray[Any]) -> NDArray[Any]:
        result: NDArray[Any] = as_array(fn(*[as_array(x) for x in xs]))
        return result

    def select(self, which: NDArray[Any], cases: Sequence[NDArray[Any]]) -> NDArray[Any]:
        answer = cases[0]
        for number, case in enumerate(cases[1:], start=1):
            answer = np.where(np.asarray(which).astype(np.intp) == number, case, answer)
        return np.asarray(answer)

    def stop(self, x: NDArray[Any]) -> NDArray[Any]:
        return x


def entrywise(fn: Callable[..., Any], *xs: NDArray[Any]) -> NDArray[Any]:
    """``fn`` of every entry of object arrays, always as an array of objects."""
    result: NDArray[Any] = as_array(np.frompyfunc(fn, len(xs), 1)(*xs))
    return result


def as_array(value: Any) -> Any:
    """``value`` itself, but for the bare object that NumPy makes of an object array of no dimensions."""
    if hasattr(value, "shape"):
        return value
    answer = np.empty((), object)
    answer[()] = value
    return answer
