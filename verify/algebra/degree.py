"""Bounds on the degree of a rational function, kept while a program runs: they say how likely luck is.

A value is N / (d_1^k_1 ... d_m^k_m), where each d_i is the product of all entries of one array that was divided by.
Sums of many terms over the same divisors then share one denominator, which keeps the bounds small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Degree:
    """Numerator's degree, and the power of every divisor (its key says which; its degree is in the ledger)."""

    numerator: int = 0
    divisors: Mapping[int, int] = field(default_factory=dict)


ZERO = Degree()
ONE = Degree(1)


class Ledger:
    """The degrees of the divisors that a run has met, and the number of questions that oracles were asked."""

    def __init__(self) -> None:
        self.degrees: dict[int, int] = {}
        self.questions = 0
        self.largest_question = 1

    def denominator(self, x: Degree) -> int:
        """The degree of the whole denominator."""
        return sum(self.degrees[key] * power for key, power in x.divisors.items())

    def union(self, *xs: Degree) -> Degree:
        """Of a sum, or of an array that holds entries of all of ``xs``.

        Example:
            >>> ledger = Ledger(); ledger.degrees[7] = 10
            >>> ledger.union(Degree(1, {7: 1}), Degree(2)).numerator
            12
        """
        first = xs[0]
        if all(x.divisors is first.divisors or x.divisors == first.divisors for x in xs):
            return Degree(max(x.numerator for x in xs), first.divisors)
        merged: dict[int, int] = {}
        for x in xs:
            for key, power in x.divisors.items():
                merged[key] = max(power, merged.get(key, 0))
        whole = self.denominator(Degree(0, merged))
        return Degree(max(x.numerator + whole - self.denominator(x) for x in xs), merged)

    def product(self, x: Degree, y: Degree) -> Degree:
        """Of a product."""
        if not y.divisors:
            return Degree(x.numerator + y.numerator, x.divisors)
        merged = dict(x.divisors)
        for key, power in y.divisors.items():
            merged[key] = merged.get(key, 0) + power
        return Degree(x.numerator + y.numerator, merged)

    def reciprocal(self, x: Degree, key: int, entries: int) -> Degree:
        """Of 1/x, where ``key`` names the array x and ``entries`` counts its distinct entries."""
        if x.numerator == 0:
            return Degree(self.denominator(x))
        self.degrees[key] = max(x.numerator * entries, self.degrees.get(key, 0))
        return Degree(self.denominator(x) + x.numerator * (entries - 1), {key: 1})

    def power(self, x: Degree, exponent: int) -> Degree:
        """Of ``x ** exponent``, exponent >= 0."""
        return Degree(x.numerator * exponent, {key: power * exponent for key, power in x.divisors.items()})

    def ask(self, x: Degree, entries: int) -> None:
        """Note that an oracle was asked about ``entries`` values of this degree."""
        self.questions += entries
        self.largest_question = max(self.largest_question, x.numerator + self.denominator(x))

    def collisions(self) -> int:
        """A bound on the degree of the product of all differences of two different questions."""
        return self.questions * (self.questions - 1) // 2 * self.largest_question
