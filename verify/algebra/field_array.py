"""The arrays of :mod:`verify.algebra.field`: residues, their samples, and what is known about how they were made.

A sum remembers its terms and a product its factors, as functions to be called when somebody takes the exponential or
the logarithm: that is how exp(a + b) becomes exp(a) exp(b) at no cost to programs without exponentials.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from verify.algebra import modular
from verify.algebra.degree import Degree
from verify.algebra.modular import Residues

if TYPE_CHECKING:
    from verify.algebra.field import Field

UNIT = 60
"""exp of an atom is a 60th power, and so is what flows into a root: halves, thirds, quarters, fifths, ... are exact."""
_DEEPEST = 150  # longer chains of sums are not taken apart: Python's recursion has an end


class Exponent(NamedTuple):
    """What exp of an array is made of: g^(unit h) * factor.

    Attributes:
        h: integers modulo p - 1, linear in the oracle's answers about atoms.
        unit: a divisor of UNIT.
        weight: the sum of the absolute values of that linear combination's coefficients, at most.
        factor: the exponential of what logarithms the array is a sum of.
    """

    h: Residues
    unit: int = UNIT
    weight: int = 1
    factor: FieldArray | None = None


class FieldArray:
    """Residues with a float64 sample beside each, and what is known about how they came about.

    Attributes:
        value: uint64 residues.
        sample: float64 reals of the same shape.
        degree: bounds for all entries.
        rational: the number that every entry is, where that is known.
        shift: (x, c) where the array was made as x + c, c a known integer.
        root: w, where the value is w^60.
    """

    __array_priority__ = 1000
    __slots__ = ("_exponent", "_logarithm", "degree", "depth", "field", "rational", "root", "sample", "shift", "value")

    def __init__(
        self,
        field: Field,
        value: Residues,
        sample: NDArray[np.float64],
        degree: Degree,
        depth: int = 0,
        exponent: Callable[[], Exponent | None] | None = None,
        logarithm: Callable[[], FieldArray] | None = None,
        rational: Fraction | None = None,
        root: Residues | None = None,
    ) -> None:
        self.field, self.value, self.sample, self.degree, self.depth = field, value, sample, degree, depth
        self._exponent = exponent if depth < _DEEPEST else None
        self._logarithm = logarithm if depth < _DEEPEST else None
        self.rational, self.root = rational, root
        self.shift: tuple[FieldArray, Fraction] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.value.shape

    def __repr__(self) -> str:
        return f"FieldArray({self.value!r}, sample={self.sample!r})"

    def __add__(self, other: Any) -> FieldArray:
        y = self.field.lift(other)
        exact = None if self.rational is None or y.rational is None else self.rational + y.rational
        result = FieldArray(
            self.field,
            modular.add(self.value, y.value),
            self.sample + y.sample,
            self.field.ledger.union(self.degree, y.degree),
            max(self.depth, y.depth) + 1,
            exponent=lambda: self.field.exponent_sum(self, y),
            rational=exact,
        )
        if exact is None and y.rational is not None and y.rational.denominator == 1:
            result.shift = (self, y.rational)
        return result

    def __neg__(self) -> FieldArray:
        return self.scaled(Fraction(-1))

    def __sub__(self, other: Any) -> FieldArray:
        return self + (-self.field.lift(other))

    def scaled(self, factor: Fraction) -> FieldArray:
        """``factor * self`` for a known rational factor."""
        number = np.array(modular.residue(factor), np.uint64)
        return FieldArray(
            self.field,
            modular.neg(self.value) if factor == -1 else modular.mul(self.value, number),
            self.sample * float(factor),
            self.degree,
            self.depth + 1,
            exponent=lambda: self.field.exponent_scaled(self, factor),
            logarithm=(lambda: self.field.log(self)) if abs(factor) == 1 else None,
            rational=None if self.rational is None else self.rational * factor,
        )

    def __mul__(self, other: Any) -> FieldArray:
        y = self.field.lift(other)
        for a, b in ((self, y), (y, self)):
            if a.rational is not None and (a.shape == () or a.shape == b.shape):
                return b.scaled(a.rational)
        return FieldArray(
            self.field,
            modular.mul(self.value, y.value),
            self.sample * y.sample,
            self.field.ledger.product(self.degree, y.degree),
            max(self.depth, y.depth) + 1,
            logarithm=lambda: self.field.log(self) + self.field.log(y),
        )

    def __truediv__(self, other: Any) -> FieldArray:
        y = self.field.lift(other)
        if y.rational:
            return self.scaled(1 / y.rational)
        return self * self.field.reciprocal(y, self.sample)

    def __pow__(self, exponent: int) -> FieldArray:
        return self.field.power(self, Fraction(exponent))

    def __radd__(self, other: Any) -> FieldArray:
        return self.__add__(other)

    def __rsub__(self, other: Any) -> FieldArray:
        return self.field.lift(other) - self

    def __rmul__(self, other: Any) -> FieldArray:
        return self.__mul__(other)

    def __rtruediv__(self, other: Any) -> FieldArray:
        return self.field.lift(other) / self
