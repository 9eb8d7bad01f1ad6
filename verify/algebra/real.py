"""Ordinary float64 numbers: they steer (which branch is taken where), they prove nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.algebra import ball
from verify.algebra.plain import Plain, Unsupported

Reals = NDArray[np.float64]


def _one_by_one(name: str) -> Callable[[Reals], Reals]:
    """A function that NumPy lacks, by way of a 53-bit ball (nan where that is not finite)."""
    from flint import arb

    def scalar(x: float) -> float:
        try:
            return float(ball.FUNCTIONS[name](arb(x)).mid())
        except ArithmeticError:
            return math.nan

    def function(x: Reals) -> Reals:
        return np.asarray(np.frompyfunc(scalar, 1, 1)(x), dtype=np.float64)

    return function


def _sigmoid(x: Reals) -> Reals:
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small / (1 + small), 1 / (1 + small))


def _guarded(fn: Callable[[float], float]) -> Callable[[Reals], Reals]:
    def function(x: Reals) -> Reals:
        return np.asarray(np.frompyfunc(fn, 1, 1)(x), dtype=np.float64)

    return function


FUNCTIONS: Mapping[str, Callable[[Reals], Reals]] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "cbrt": np.cbrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "sigmoid": _sigmoid,
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "erf": _guarded(math.erf),
    "erfc": _guarded(math.erfc),
    "erfinv": _one_by_one("erfinv"),
    "lgamma": _one_by_one("lgamma"),
    "digamma": _one_by_one("digamma"),
    "abs": np.abs,
    "sign": np.sign,
    "relu": lambda x: np.maximum(x, 0.0),
    "step": lambda x: (x > 0).astype(np.float64),
}

RELATIONS: Mapping[str, Callable[[Any, Any], NDArray[np.bool_]]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}

INTEGRAL: Mapping[str, Callable[[Reals], Reals]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round_even": np.round,
    "round_away": lambda x: np.trunc(x + np.copysign(0.5, x)),
}


class Real(Plain):
    """Float64 arrays.

    Example:
        >>> Real().function("sigmoid", np.zeros(1))
        array([0.5])
    """

    def constant(self, values: NDArray[Any]) -> Reals:
        return np.asarray(values).astype(np.float64)

    def function(self, name: str, x: Reals) -> Reals:
        if name not in FUNCTIONS:
            raise Unsupported(name)
        return np.asarray(FUNCTIONS[name](x))

    def power(self, x: Reals, exponent: Fraction) -> Reals:
        whole = exponent.denominator == 1
        return np.asarray(np.power(x, float(exponent)) if not whole else x ** float(exponent))

    def sum(self, x: Reals, axes: tuple[int, ...]) -> Reals:
        return np.asarray(np.sum(x, axis=axes))

    def general_power(self, x: Reals, y: Reals) -> Reals:
        return np.asarray(np.power(x, y))

    def pi(self) -> Reals:
        return np.array(math.pi)

    def compare(self, relation: str, x: Reals, y: Reals) -> NDArray[np.bool_]:
        return np.asarray(RELATIONS[relation](x, y))

    def order(self, x: Reals, axis: int) -> NDArray[np.intp]:
        return np.argsort(x, axis=axis, kind="stable")

    def integral(self, kind: str, x: Reals) -> Reals:
        return np.asarray(INTEGRAL[kind](x))

    def finite(self, x: Reals) -> NDArray[np.bool_]:
        return np.isfinite(x)
