"""Balls: every real number as a midpoint and a radius that surely contains it (Arb, by way of python-flint).

The working precision is ``flint.ctx.prec`` bits; raise it and the balls shrink. A piecewise function whose argument
straddles its kink is not guessed: it raises :class:`Undecided`. A value outside a function's domain (the logarithm of
a negative number) is an indefinite ball, ``nan``, as in Arb itself.

Source: F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Trans. Comput. 66
(2017).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from math import nan
from typing import Any, cast

import flint
import numpy as np
from flint import arb
from numpy.typing import NDArray

from verify.algebra import literals
from verify.algebra.plain import Plain, Undecided, Unsupported, as_array, entrywise

__all__ = ["FUNCTIONS", "Ball", "Undecided", "precision"]

Balls = NDArray[np.object_]


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Work with ``bits`` bits inside the ``with`` block."""
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def sign(x: arb) -> arb:
    """-1, 0 or 1 (0 only for an exact zero).

    Raises:
        Undecided: if ``x`` contains zero and other numbers.
    """
    if x > 0:
        return arb(1)
    if x < 0:
        return arb(-1)
    if x.is_zero():
        return arb(0)
    raise Undecided(f"the sign of {x} is not decided")


def step(x: arb) -> arb:
    """1 where x > 0, 0 where x <= 0.

    Raises:
        Undecided: if ``x`` straddles zero.
    """
    if x > 0:
        return arb(1)
    if x <= 0:
        return arb(0)
    raise Undecided(f"on which side of 0 {x} lies is not decided")


def sigmoid(x: arb) -> arb:
    """1/(1 + exp(-x)), without overflow on either side.

    Example:
        >>> from flint import arb
        >>> sigmoid(arb(0))
        0.500000000000000
    """
    if x < 0:
        e = x.exp()
        return e / (1 + e)
    return 1 / (1 + (-x).exp())


def softplus(x: arb) -> arb:
    """log(1 + exp(x)), without overflow."""
    if x > 0:
        return x + (-x).exp().log1p()
    return x.exp().log1p()


def cbrt(x: arb) -> arb:
    """The real cube root, of negative numbers too.

    Raises:
        Undecided: if ``x`` straddles zero.
    """
    if x.is_zero():
        return arb(0)
    return sign(x) * abs(x).root(3)


def lgamma(x: arb) -> arb:
    """log |gamma(x)|, which is what ``jax.lax.lgamma`` means left of zero too."""
    return x.lgamma() if x > 0 else abs(x.gamma()).log()


FUNCTIONS: Mapping[str, Callable[[arb], arb]] = {
    "exp": arb.exp,
    "exp2": lambda x: (x * arb.const_log2()).exp(),
    "expm1": arb.expm1,
    "log": arb.log,
    "log1p": arb.log1p,
    "sqrt": arb.sqrt,
    "rsqrt": arb.rsqrt,
    "cbrt": cbrt,
    "sin": arb.sin,
    "cos": arb.cos,
    "tan": arb.tan,
    "asin": arb.asin,
    "acos": arb.acos,
    "atan": arb.atan,
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": arb.tanh,
    "asinh": arb.asinh,
    "acosh": arb.acosh,
    "atanh": arb.atanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "erf": arb.erf,
    "erfc": arb.erfc,
    "erfinv": arb.erfinv,
    "lgamma": lgamma,
    "digamma": arb.digamma,
    "abs": lambda x: sign(x) * x,
    "sign": sign,
    "relu": lambda x: step(x) * x,
    "step": step,
}
"""The elementary functions on one ball, by the names that :mod:`verify.rules` uses."""


_CONSTANTS: Mapping[str, Callable[[], arb]] = {
    "pi": arb.pi,
    "1/pi": lambda: 1 / arb.pi(),
    "sqrt(pi)": lambda: arb.pi().sqrt(),
    "1/sqrt(pi)": lambda: arb.pi().rsqrt(),
    "2/sqrt(pi)": lambda: 2 * arb.pi().rsqrt(),
    "sqrt(2/pi)": lambda: (2 / arb.pi()).sqrt(),
    "sqrt(2)": lambda: arb(2).sqrt(),
    "sqrt(2*pi)": lambda: (2 * arb.pi()).sqrt(),
    "1/sqrt(2*pi)": lambda: (2 * arb.pi()).rsqrt(),
    "log(2)": arb.const_log2,
    "1/log(2)": lambda: 1 / arb.const_log2(),
    "log(10)": arb.const_log10,
    "1/log(10)": lambda: 1 / arb.const_log10(),
    "log(2*pi)": lambda: (2 * arb.pi()).log(),
    "e": arb.const_e,
}


def from_fraction(number: Fraction) -> arb:
    """The enclosure of a rational number.

    Example:
        >>> from_fraction(Fraction(1, 4))
        0.250000000000000
    """
    return arb(flint.fmpq(number.numerator, number.denominator))


class Ball(Plain):
    """Object arrays of balls, at the precision that is set when an operation runs.

    A comparison of one object with itself is decided (it is the same number), of two overlapping balls it is not.

    Args:
        blur: read a literal of seven digits or more as a ball of half a unit in its type's last place, so that
            whatever number it may have been rounded from lies inside.

    Example:
        >>> ball = Ball()
        >>> ball.function("exp", ball.constant(np.zeros(1)))
        array([1.00000000000000], dtype=object)
    """

    def __init__(self, blur: bool = False) -> None:
        self.blur = blur

    def constant(self, values: NDArray[Any]) -> Balls:
        values = np.asarray(values)
        distinct, where = np.unique(values.ravel(), return_inverse=True)
        known = np.empty(distinct.size, object)
        for i, value in enumerate(distinct):
            known[i] = self._number(value)
        return known[where].reshape(values.shape)

    def _number(self, value: Any) -> arb:
        if isinstance(value, np.integer | np.bool_):
            return arb(int(value))
        if not np.isfinite(value):
            return arb.nan() if np.isnan(value) else arb.pos_inf() if value > 0 else arb.neg_inf()
        if self.blur and literals.digits(literals.shortest(value)) >= 7:
            return arb(float(value), float(np.spacing(np.abs(value))) * 0.5)
        reading = literals.read(value)
        factor = from_fraction(reading.factor)
        return factor * _CONSTANTS[reading.constant]() if reading.constant else factor

    def function(self, name: str, x: Balls) -> Balls:
        if name not in FUNCTIONS:
            raise Unsupported(name)
        return entrywise(FUNCTIONS[name], x)

    def power(self, x: Balls, exponent: Fraction) -> Balls:
        if exponent.denominator == 1:
            return entrywise(lambda v: v ** int(exponent), x)
        if exponent.denominator == 2:
            return entrywise(lambda v: v.sqrt() ** exponent.numerator, x)
        return entrywise(
            lambda v: v ** from_fraction(exponent) if v > 0 else v.root(exponent.denominator) ** exponent.numerator, x
        )

    def general_power(self, x: Balls, y: Balls) -> Balls:
        return entrywise(lambda v, w: (w * v.log()).exp(), x, y)

    def pi(self) -> Balls:
        return np.asarray(as_array(arb.pi()))

    def sum(self, x: Balls, axes: tuple[int, ...]) -> Balls:
        total: Any = np.sum(x, axis=axes, initial=cast(Any, arb(0)))
        return np.asarray(as_array(total))

    def compare(self, relation: str, x: Balls, y: Balls) -> NDArray[np.bool_]:
        return np.asarray(entrywise(_RELATIONS[relation], x, y)).astype(bool)

    def order(self, x: Balls, axis: int) -> NDArray[np.intp]:
        order = np.argsort(_middles(x), axis=axis, kind="stable")
        ranked = np.take_along_axis(x, order, axis)
        n = x.shape[axis]
        self.compare("lt", np.take(ranked, range(n - 1), axis), np.take(ranked, range(1, n), axis))
        return np.asarray(order)

    def integral(self, kind: str, x: Balls) -> NDArray[np.float64]:
        return np.asarray(entrywise(lambda v: _integral(kind, v), x)).astype(np.float64)

    def finite(self, x: Balls) -> NDArray[np.bool_]:
        return np.asarray(entrywise(lambda v: v.is_finite(), x)).astype(bool)


def _middles(x: Balls) -> NDArray[np.float64]:
    return np.asarray(entrywise(lambda v: float(v.mid()) if not v.is_nan() else nan, x)).astype(np.float64)


def _equal(x: arb, y: arb) -> bool:
    if x is y:
        return not x.is_nan()
    if x.is_nan() or y.is_nan() or x != y:
        return False
    if x == y:
        return True
    raise Undecided(f"{x} and {y} overlap")


def _less(x: arb, y: arb) -> bool:
    if x is y or x.is_nan() or y.is_nan() or x >= y:
        return False
    if x < y:
        return True
    raise Undecided(f"{x} and {y} overlap")


def _at_most(x: arb, y: arb) -> bool:
    return not (x.is_nan() or y.is_nan()) and not _less(y, x)


_RELATIONS: Mapping[str, Callable[[arb, arb], bool]] = {
    "eq": _equal,
    "ne": lambda x, y: not _equal(x, y),
    "lt": _less,
    "le": _at_most,
    "gt": lambda x, y: _less(y, x),
    "ge": lambda x, y: _at_most(y, x),
}


def _integral(kind: str, x: arb) -> float:
    if not x.is_finite():
        return nan

    def floor(v: arb) -> int:
        whole = v.floor().unique_fmpz()
        if whole is None:
            raise Undecided(f"between which integers {v} lies is not decided")
        return int(whole)

    if kind == "floor":
        return floor(x)
    if kind == "ceil":
        return -floor(-x)
    if kind == "trunc":
        return floor(x) if x >= 0 else -floor(-x)
    nearest = floor(x + arb(0.5))
    if x + arb(0.5) == nearest:  # exactly halfway
        upward = nearest % 2 == 0 if kind == "round_even" else bool(x > 0)
        return nearest if upward else nearest - 1
    return nearest
