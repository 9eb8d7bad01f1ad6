"""Polynomials in generators, with integer exponents: the shape of a canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cmp_to_key
from typing import TypeAlias

from verify.indexed.structure import key
from verify.indexed.terms import Number, Term, add, mul, power

__all__ = ["ONE", "Monomial", "Poly", "make_monomial", "monomial_term"]

Monomial: TypeAlias = tuple[tuple[Term, int], ...]
ONE: Monomial = ()


class Poly:
    """A sum of monomials in generators; the monomials come normalised from `Canonical`."""

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[Monomial, Fraction] | None = None) -> None:
        self.terms = {m: c for m, c in (terms or {}).items() if c}

    def __add__(self, other: Poly) -> Poly:
        total = dict(self.terms)
        for monomial, coefficient in other.terms.items():
            total[monomial] = total.get(monomial, Fraction(0)) + coefficient
        return Poly(total)

    def scaled(self, factor: Fraction) -> Poly:
        return Poly({m: c * factor for m, c in self.terms.items()})

    def sorted(self) -> list[tuple[Monomial, Fraction]]:
        """The monomials in a fixed order, the greatest (by degree, then text) first."""
        return sorted(self.terms.items(), key=lambda item: order_key(item[0]), reverse=True)

    def term(self) -> Term:
        """The term that this polynomial stands for; equal polynomials give the same tree."""
        return add(*(mul(Number(c), monomial_term(m)) for m, c in self.sorted()))

    def single(self) -> tuple[Monomial, Fraction] | None:
        """The only monomial and its coefficient, where there is just one."""
        return next(iter(self.terms.items())) if len(self.terms) == 1 else None


def _compare(left: Monomial, right: Monomial) -> int:
    """By degree, then lexicographically: an order that multiplication respects, so that division by P ends."""
    difference = sum(e for _, e in left) - sum(e for _, e in right)
    if difference:
        return difference
    powers = {key(g): e for g, e in left}
    for g, e in right:
        powers[key(g)] = powers.get(key(g), 0) - e
    return next((powers[name] for name in sorted(powers) if powers[name]), 0)


order_key = cmp_to_key(_compare)


def monomial_term(monomial: Monomial) -> Term:
    return mul(*(power(g, e) for g, e in monomial))


def make_monomial(powers: Mapping[Term, int]) -> Monomial:
    return tuple(sorted(((g, e) for g, e in powers.items() if e), key=lambda pair: key(pair[0])))
