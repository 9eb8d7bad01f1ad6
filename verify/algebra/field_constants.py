"""Known numbers in the field: pi and its kin, and square roots of rationals."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from verify.algebra import modular
from verify.algebra.degree import ONE
from verify.algebra.field_array import FieldArray
from verify.algebra.modular import P

if TYPE_CHECKING:
    from verify.algebra.field import Field


def irrational(field: Field, name: str) -> int:
    """One of :data:`verify.algebra.literals.CONSTANTS`, put together from pi, roots and logarithms."""
    f, one = field.f, field.lift(1)
    values: dict[str, Callable[[], FieldArray]] = {
        "pi": field.pi,
        "1/pi": lambda: one / field.pi(),
        "sqrt(pi)": lambda: f.sqrt(field.pi()),
        "1/sqrt(pi)": lambda: one / f.sqrt(field.pi()),
        "2/sqrt(pi)": lambda: 2 / f.sqrt(field.pi()),
        "sqrt(2/pi)": lambda: f.sqrt(2) / f.sqrt(field.pi()),
        "sqrt(2)": lambda: f.sqrt(2),
        "sqrt(2*pi)": lambda: f.sqrt(2) * f.sqrt(field.pi()),
        "1/sqrt(2*pi)": lambda: one / (f.sqrt(2) * f.sqrt(field.pi())),
        "log(2)": lambda: f.log(2),
        "1/log(2)": lambda: one / f.log(2),
        "log(10)": lambda: f.log(2) + f.log(5),
        "1/log(10)": lambda: one / (f.log(2) + f.log(5)),
        "log(2*pi)": lambda: f.log(2) + f.log(field.pi()),
        "e": lambda: f.exp(1),
    }
    return int(values[name]().value)


def rational_root(field: Field, x: FieldArray, part: Fraction) -> FieldArray | None:
    """The square root of a known positive number, prime by prime, so that sqrt(2) sqrt(3) = sqrt(6).

    A prime without a root in the field has an oracle's answer for one (its square is then not the prime).
    """
    if part != Fraction(1, 2) or x.value.size == 0 or x.rational is None or x.rational <= 0:
        return None
    root = 1
    for number, sign in ((x.rational.numerator, 1), (x.rational.denominator, -1)):
        factors = _factors(number)
        if factors is None:
            return None
        for prime, count in factors.items():
            root = root * pow(prime, sign * (count // 2), P) % P
            if count % 2:
                known = modular.square_root(prime)
                if known is None:
                    known = int(field.oracle("root of a prime", np.array(prime, np.uint64)))
                root = root * pow(known, sign, P) % P
    return FieldArray(field, np.full(x.shape, root, np.uint64), np.sqrt(x.sample), ONE)


def _factors(number: int) -> dict[int, int] | None:
    """Prime factors, where trial division finds them soon."""
    factors: dict[int, int] = {}
    prime = 2
    while prime * prime <= number:
        if prime > 10_000:
            return None
        while number % prime == 0:
            factors[prime] = factors.get(prime, 0) + 1
            number //= prime
        prime += 1
    if number > 1:
        factors[number] = 1
    return factors
