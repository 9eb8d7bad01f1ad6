"""What a floating-point literal stands for: a short decimal is meant as it is written, a long one is often a rounding.

``0.1`` in a float32 program is 13421773/134217728 to the machine, and 1/10 to its author: it is read as the shortest
decimal that names it. ``0.7978846`` has as many digits as the type holds; it is read as sqrt(2/pi), which it rounds,
and the reader is told so. ``0.044715`` is short, and nothing but itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

import numpy as np

CONSTANTS: dict[str, float] = {
    "sqrt(2/pi)": math.sqrt(2 / math.pi),
    "2/sqrt(pi)": 2 / math.sqrt(math.pi),
    "pi": math.pi,
    "1/pi": 1 / math.pi,
    "sqrt(pi)": math.sqrt(math.pi),
    "1/sqrt(pi)": 1 / math.sqrt(math.pi),
    "sqrt(2)": math.sqrt(2),
    "sqrt(2*pi)": math.sqrt(2 * math.pi),
    "1/sqrt(2*pi)": 1 / math.sqrt(2 * math.pi),
    "log(2)": math.log(2),
    "1/log(2)": 1 / math.log(2),
    "log(10)": math.log(10),
    "1/log(10)": 1 / math.log(10),
    "log(2*pi)": math.log(2 * math.pi),
    "e": math.e,
}
"""Irrational numbers that programs write out; a literal may be a small rational multiple of one."""

_LARGEST_PART = 16
_LARGEST_DENOMINATOR = 128
_LARGEST_COUNT = 4096


@dataclass(frozen=True)
class Reading:
    """``factor * constant``: the real number that a literal is taken for (``constant`` is a key of CONSTANTS or "").

    ``rounded`` says that the literal only rounds that number, so that the reading is an interpretation.
    """

    factor: Fraction
    constant: str
    rounded: bool

    def __str__(self) -> str:
        if not self.constant:
            return str(self.factor)
        if self.factor == 1:
            return self.constant
        return f"-{self.constant}" if self.factor == -1 else f"{self.factor}*{self.constant}"


def shortest(value: np.generic) -> str:
    """The shortest decimal that names ``value`` among the numbers of its own type.

    Example:
        >>> shortest(np.float32(0.1))
        '1e-01'
    """
    if value.dtype.itemsize <= 2 and value.dtype != np.float16:  # bfloat16 and the 8-bit types of ml_dtypes
        wide = float(value)
        for digits in range(1, 9):
            text = f"{wide:.{digits}g}"
            if value.dtype.type(float(text)) == value:
                return text
        return repr(wide)
    return str(np.format_float_scientific(cast(np.floating[Any], value), unique=True, trim="-"))


def digits(text: str) -> int:
    """The significant digits of a decimal.

    Example:
        >>> digits("0.044715"), digits("1e-05"), digits("7.978846e-01")
        (5, 1, 7)
    """
    mantissa = text.lower().split("e")[0].replace(".", "").lstrip("+-0")
    return max(1, len(mantissa.rstrip("0")))


@lru_cache(maxsize=4096)
def _read(text: str, wide: float, dtype: np.dtype[np.floating]) -> Reading:
    exact = Fraction(text)
    count = digits(text)
    if count < 7 or dtype.itemsize < 4:
        return Reading(exact, "", rounded=False)

    def rounds(number: float) -> bool:
        """Is the literal ``number`` to its digits (all of the type's, or as many as were written)?"""
        if abs(number - wide) > 2 * abs(wide) * 10.0 ** -min(count - 1, 15):
            return False
        return bool(abs(dtype.type(number) - dtype.type(wide)) <= np.spacing(dtype.type(abs(wide)))) or (
            float(f"{number:.{count}g}") == float(text)
        )

    for largest in (_LARGEST_DENOMINATOR, _LARGEST_COUNT):  # 22/7, and one over a count: 1/784
        rational = exact.limit_denominator(largest)
        plausible = abs(rational) < 64 and (rational.denominator <= 128 or abs(rational.numerator) <= _LARGEST_PART)
        if rational != exact and plausible and dtype.type(float(rational)) == dtype.type(wide):
            return Reading(rational, "", rounded=True)
    for name, number in CONSTANTS.items():
        factor = Fraction(wide / number).limit_denominator(_LARGEST_PART)
        if factor and abs(factor.numerator) <= _LARGEST_PART and rounds(float(factor) * number):
            return Reading(factor, name, rounded=True)
    return Reading(exact, "", rounded=False)


def read(value: np.generic) -> Reading:
    """The real number that a finite floating-point literal is taken for.

    Args:
        value: a finite NumPy scalar (its type says how many digits it can hold).

    Example:
        >>> print(read(np.float32(0.7978845608)), read(np.float32(0.044715)), read(np.float32(1 / 3)))
        sqrt(2/pi) 8943/200000 1/3
    """
    return _read(shortest(value), float(value), value.dtype)
