"""Numbers for checking an identity at one point, exactly.

A value is a `Fraction`, the logarithm of one (`LogOf`, so that ``exp`` and ``sigmoid`` stay rational), an Arb ball, or
a `Dual` over any of them. What leaves the exact numbers raises `InexactError`; the caller then takes balls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from flint import arb, fmpq

__all__ = [
    "KNOWN",
    "Dual",
    "Inexact",
    "InexactError",
    "LogOf",
    "Value",
    "apply_function",
    "as_ball",
    "inverse",
    "is_zero",
    "logarithm",
    "polynomial",
]


# Balls are untyped, and a Dual is over any value: the arithmetic is duck-typed on purpose.
Value: TypeAlias = Any


_MOST_BITS = 10_000


class InexactError(ArithmeticError):
    """The value that is needed is neither rational nor the logarithm of a rational number."""


@dataclass(frozen=True, slots=True)
class Inexact:
    """A finite real number that has no exact form here; only a product with 0 is known."""

    def __add__(self, other: Value) -> Value:
        return NotImplemented if isinstance(other, Dual) else self

    __radd__ = __add__

    def __neg__(self) -> Inexact:
        return self

    def __mul__(self, other: Value) -> Value:
        if isinstance(other, Dual):
            return NotImplemented
        return Fraction(0) if other == 0 else self

    __rmul__ = __mul__


@dataclass(frozen=True, slots=True)
class LogOf:
    """``log(argument)`` of a positive rational number other than 1, as itself.

    Example:
        >>> LogOf(Fraction(2)) + LogOf(Fraction(3))
        LogOf(argument=Fraction(6, 1))
    """

    argument: Fraction

    def __add__(self, other: Value) -> Value:
        if isinstance(other, Dual):
            return NotImplemented
        if isinstance(other, LogOf):
            return logarithm(self.argument * other.argument)
        return self if other == 0 else Inexact()

    __radd__ = __add__

    def __neg__(self) -> LogOf:
        return LogOf(1 / self.argument)

    def __mul__(self, other: Value) -> Value:
        if isinstance(other, Dual):
            return NotImplemented
        if isinstance(other, LogOf | Inexact):
            return Inexact()
        bits = self.argument.numerator.bit_length() + self.argument.denominator.bit_length()
        if Fraction(other).denominator != 1 or bits * abs(other) > _MOST_BITS:
            return Inexact()
        return logarithm(self.argument ** int(other))

    __rmul__ = __mul__

    def __str__(self) -> str:
        return f"log {self.argument}"


def logarithm(argument: Fraction) -> LogOf | Fraction:
    """The logarithm of a positive rational number; ``log 1`` is 0."""
    return Fraction(0) if argument == 1 else LogOf(argument)


@dataclass(frozen=True, slots=True)
class Dual:
    """``value + slope·ε`` with ``ε² = 0``: the checker's own derivative, independent of the calculus."""

    value: Value
    slope: Value

    def __add__(self, other: Value) -> Dual:
        o = _dual(other)
        return Dual(self.value + o.value, self.slope + o.slope)

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __mul__(self, other: Value) -> Dual:
        o = _dual(other)
        return Dual(self.value * o.value, self.slope * o.value + self.value * o.slope)

    __rmul__ = __mul__


def _dual(value: Value) -> Dual:
    return value if isinstance(value, Dual) else Dual(value, 0)


def inverse(x: Value) -> Value:
    """``1/x``.

    Raises:
        ZeroDivisionError: ``x`` is 0 (or a ball that contains 0).
        InexactError: ``x`` has no exact form.
    """
    if isinstance(x, Dual):
        over = inverse(x.value)
        return Dual(over, -(over * over) * x.slope)
    if isinstance(x, LogOf):
        return Inexact()
    if isinstance(x, Inexact):
        raise InexactError("1/x: x may be 0")
    if isinstance(x, arb):
        if x.contains(0):
            raise ZeroDivisionError("1/x with x near 0")
        return 1 / x
    return 1 / Fraction(x)


def as_ball(value: Fraction | LogOf) -> arb:
    """An enclosure of an exact value at the working precision."""
    if isinstance(value, LogOf):
        return as_ball(value.argument).log()
    return arb(fmpq(value.numerator, value.denominator))


def is_zero(x: Value) -> bool:
    """True where the value is 0, or a ball that may be."""
    if isinstance(x, Dual):
        return is_zero(x.value) and is_zero(x.slope)
    if isinstance(x, LogOf):
        return False
    if isinstance(x, Inexact):
        raise InexactError("x = 0: x has no exact form")
    return bool(x.contains(0)) if isinstance(x, arb) else x == 0


def polynomial(coefficients: Sequence[Value], order: int, x: Value) -> Value:
    """The derivative of the given order of ``Σ_m c_m x^m`` at ``x``."""
    total: Value = 0
    for degree in range(len(coefficients) - 1, order - 1, -1):
        factor = 1
        for step in range(order):
            factor *= degree - step
        total = total * x + factor * coefficients[degree]
    return total


def apply_function(function: str, order: int, x: Value) -> Value:
    """A known function, or its derivative of the given order, at ``x``.

    Raises:
        InexactError: whether the result exists cannot be decided exactly.
        KeyError: an unknown function.
    """
    if isinstance(x, Dual):
        return Dual(apply_function(function, order, x.value), apply_function(function, order + 1, x.value) * x.slope)
    return _FUNCTIONS[function](order, x)


def _exp(_order: int, x: Value) -> Value:
    if isinstance(x, arb):
        return x.exp()
    if isinstance(x, LogOf):
        return x.argument
    return Fraction(1) if x == 0 else Inexact()


def _log(order: int, x: Value) -> Value:
    if order:
        value: Value = inverse(x)
        over = value
        for step in range(1, order):
            value = value * over * -step
        return value
    if isinstance(x, arb):
        if not x > 0:
            raise ZeroDivisionError("log of a number that may not be positive")
        return x.log()
    if isinstance(x, LogOf | Inexact):
        raise InexactError("log(x): x may not be positive")
    if x <= 0:
        raise ZeroDivisionError("log of a number that is not positive")
    return logarithm(Fraction(x))


def _sigmoid(order: int, x: Value) -> Value:
    if order == 0:
        return inverse(1 + _exp(0, -x))
    # s' = s - s²: the derivatives are polynomials in s, made by p(s) -> p'(s)·(s - s²).
    coefficients = [0, 1]
    for _ in range(order):
        nxt = [0] * (len(coefficients) + 1)
        for degree, c in enumerate(coefficients):
            nxt[degree] += degree * c
            nxt[degree + 1] -= degree * c
        coefficients = nxt
    return polynomial(coefficients, 0, _sigmoid(0, x))


def _tanh(order: int, x: Value) -> Value:
    # tanh x = 2 s(2x) - 1
    value = 2 ** (order + 1) * _sigmoid(order, x + x)
    return value + -1 if order == 0 else value


def _softplus(order: int, x: Value) -> Value:
    return _log(0, 1 + _exp(0, x)) if order == 0 else _sigmoid(order - 1, x)


_FUNCTIONS: dict[str, Callable[[int, Value], Value]] = {
    "exp": _exp,
    "log": _log,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "softplus": _softplus,
}
KNOWN = frozenset(_FUNCTIONS)
