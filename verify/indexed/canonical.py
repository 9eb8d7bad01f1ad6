"""The canonical form: what decides that two terms are equal, for every size.

A term becomes a polynomial, with rational coefficients and integer (also negative) exponents, in *generators*: atoms,
deltas, sizes, function values, inverses of polynomials, and sums over indices that cannot be taken apart. On the way

- derivatives are carried out and definitions unfolded,
- products of sums are expanded under one sum, bound indices renamed apart, and what does not depend on an index is
  taken out of its sum, so that every sum is connected,
- ``Σ_k δ_{ki} f_k`` becomes ``f_i``, and beside a free ``δ_{ij}`` the index ``j`` is replaced by ``i``,
- bound indices get the names that make the text of the sum least,
- ``sigmoid``, ``tanh`` and ``softplus`` are written with ``exp`` and ``log``; ``exp`` of a sum is a product.

Every one of these is an identity, so equal forms mean equal terms, at every size and wherever both sides are defined.
Different forms prove nothing: the counterexample comes from `verify.indexed.instances`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import factorial

from verify.indexed.bound import canonical_index, fresh_index, height, least_sum, open_sums
from verify.indexed.elementary import WITH_EXP, UndecidedError, positive, same_entry
from verify.indexed.poly import ONE, Monomial, Poly, make_monomial
from verify.indexed.structure import children, free, key, rename, unfold, with_children
from verify.indexed.terms import (
    Add,
    Apply,
    Atom,
    Call,
    Delta,
    Diff,
    Extent,
    Index,
    Mul,
    Named,
    Number,
    Power,
    Sum,
    Symbol,
    Term,
    mul,
    power,
)

__all__ = ["Assumption", "Canonical"]

_MOST_DIVISIONS = 20_000


@dataclass(frozen=True, slots=True)
class Assumption:
    """An equation taken as true for every value of its free indices.

    Example:
        >>> from verify.indexed.terms import Size, Symbol, sum_over
        >>> k = Index("k", Size("K"))
        >>> str(Assumption(sum_over(k, Symbol("y", (k.size,))[k]), Number(Fraction(1)), "the labels sum to 1"))
        'Σ_k y_k = 1 (the labels sum to 1)'
    """

    left: Term
    right: Term
    name: str = "assumption"

    def __str__(self) -> str:
        return f"{self.left} = {self.right} ({self.name})"


class Canonical:
    """Canonical forms under a list of assumptions.

    Args:
        assumptions: equations whose left side is, in canonical form, one generator (an atom, a sum, a function value)
            with a rational factor; it is replaced by the right side wherever it stands.

    Raises:
        ValueError: an assumption's left side is anything else.

    Example:
        >>> from verify.indexed.terms import Size, Symbol, diff, sum_over
        >>> n = Size("n")
        >>> i, j, k = (Index(name, n) for name in "ijk")
        >>> x = Symbol("x", (n,))
        >>> Canonical().equal(diff(sum_over(k, x[k] ** 2), x[i]), 2 * x[i])
        True
        >>> str(Canonical().normal(sum_over((j, k), x[j] * x[k] * Delta(j, i))))
        'x_i·Σ_{•000} x_{•000}'
    """

    def __init__(self, assumptions: Iterable[Assumption] = ()) -> None:
        self._rules: list[tuple[Term, tuple[Index, ...], Term]] = []
        self._memo: dict[Term, Poly] = {}
        self._divisions = 0
        self.assumptions = tuple(assumptions)
        self._pure = Canonical() if self.assumptions else self
        for assumption in self.assumptions:
            left, right = self._pure.poly(assumption.left), self._pure.poly(assumption.right)
            single = left.single()
            if single is None or len(single[0]) != 1 or single[0][0][1] != 1:
                raise ValueError(
                    f"assumption {assumption}: expected one quantity, sum or function value on the left, "
                    f"got {assumption.left}"
                )
            (((generator, _),), coefficient) = single
            value = right.scaled(1 / coefficient).term()
            if free(value) - free(generator):
                raise ValueError(f"assumption {assumption}: the right side has an index that the left side has not")
            self._rules.append((generator, tuple(sorted(free(generator), key=lambda i: i.name)), value))

    # -- what it is for ------------------------------------------------------------------------------------------

    def equal(self, left: Term, right: Term) -> bool:
        """True where the two terms are equal at every size; False decides nothing."""
        return not self._cleared(self.poly(left) + self.poly(right).scaled(Fraction(-1))).terms

    def normal(self, term: Term) -> Term:
        """The canonical form as a term."""
        return self.poly(term).term()

    # -- terms ---------------------------------------------------------------------------------------------------

    def poly(self, term: Term) -> Poly:
        """The canonical polynomial of a term."""
        known = self._memo.get(term)
        if known is None:
            known = self._memo[term] = self._poly(term)
        return known

    def _poly(self, term: Term) -> Poly:
        match term:
            case Number(value):
                return Poly({ONE: value})
            case Atom() | Extent():
                return self._generator(term)
            case Delta(left, right):
                if left == right:
                    return Poly({ONE: Fraction(1)})
                first, second = sorted((left, right), key=lambda i: i.name)
                return Poly({((Delta(first, second), 1),): Fraction(1)})
            case Named():
                return self.poly(unfold(term))
            case Add(terms):
                total: dict[Monomial, Fraction] = {}
                for part in terms:
                    for monomial, coefficient in self.poly(part).terms.items():
                        total[monomial] = total.get(monomial, Fraction(0)) + coefficient
                return Poly(total)
            case Mul(factors):
                product = Poly({ONE: Fraction(1)})
                for factor in factors:
                    product = self._times(product, self.poly(factor))
                return product
            case Power(base, exponent):
                poly = self.poly(base)
                return self._power(poly if exponent > 0 else self._inverse(poly), abs(exponent))
            case Sum(index, body):
                # A name of its own: what replaces an assumption's left side must not be captured.
                own = fresh_index(index)
                return self._sum(own, self.poly(rename(body, {index: own})))
            case Apply(function, argument, order):
                return self._apply(function, order, self.poly(argument))
            case Call():
                return self._call(term)
            case Diff(body, variable):
                # Assumptions hold at a point, not near it: differentiate without them.
                derivative = self._pure._diff(self._pure.poly(body), variable)
                return derivative if self._pure is self else self.poly(derivative.term())
            case _:
                raise TypeError(f"canonical form: not a term: {term!r}")

    def _generator(self, generator: Term) -> Poly:
        for pattern, indices, value in self._rules:
            if type(pattern) is not type(generator):
                continue
            places = sorted(free(generator), key=lambda i: i.name)
            for choice in itertools.product(places, repeat=len(indices)):
                new = dict(zip(indices, choice, strict=True))
                if any(old.size != to.size for old, to in new.items()):
                    continue
                if self._pure.poly(rename(pattern, new)).terms == {((generator, 1),): 1}:
                    rest = Canonical(
                        a for a, rule in zip(self.assumptions, self._rules, strict=True) if rule[0] != pattern
                    )
                    return rest.poly(rename(value, new))
        return Poly({((generator, 1),): Fraction(1)})

    # -- products ------------------------------------------------------------------------------------------------

    def _times(self, left: Poly, right: Poly) -> Poly:
        total: dict[Monomial, Fraction] = {}
        for (m1, c1), (m2, c2) in itertools.product(left.terms.items(), right.terms.items()):
            powers = dict(m1)
            for generator, exponent in m2:
                powers[generator] = powers.get(generator, 0) + exponent
            for monomial, coefficient in self._monomial(powers).terms.items():
                total[monomial] = total.get(monomial, Fraction(0)) + coefficient * c1 * c2
        return Poly(total)

    def _power(self, base: Poly, exponent: int) -> Poly:
        product = Poly({ONE: Fraction(1)})
        for _ in range(exponent):
            product = self._times(product, base)
        return product

    def _monomial(self, powers: Mapping[Term, int]) -> Poly:
        """Normalise a product: indices joined by a delta become one, and ``lead(P)/P`` is divided out."""
        powers = {g: e for g, e in powers.items() if e}
        deltas = [g for g in powers if isinstance(g, Delta)]
        if deltas:
            joined = self._join(powers, deltas)
            if joined is not None:
                return joined
        for generator, exponent in powers.items():
            if isinstance(generator, Power) and exponent < 0:
                rest_of_it = {g: e for g, e in powers.items() if g != generator}
                return self._times(self._monomial(rest_of_it), self._power(self.poly(generator.base), -exponent))
        for inverse in powers:
            if isinstance(inverse, Power):
                (lead, _), *rest = self.poly(inverse.base).sorted()
                if all(powers.get(g, 0) >= e for g, e in lead):
                    self._divisions += 1
                    if self._divisions > _MOST_DIVISIONS:
                        raise UndecidedError("canonical form: too many denominators")
                    # lead/P = 1 - (P - lead)/P; the monomials of P - lead are smaller, so this ends.
                    for g, e in lead:
                        powers[g] -= e
                    over = self._monomial(powers)
                    powers[inverse] -= 1
                    tail = self._times(Poly(dict(rest)).scaled(Fraction(-1)), over)
                    return self._monomial(powers) + tail
        return Poly({make_monomial(powers): Fraction(1)})

    def _join(self, powers: Mapping[Term, int], deltas: list[Delta]) -> Poly | None:
        classes: list[set[Index]] = []
        for delta in deltas:
            pair = {delta.left, delta.right}
            touching = [c for c in classes if c & pair]
            classes = [c for c in classes if not c & pair] + [pair.union(*touching)]
        new: dict[Index, Index] = {}
        wanted: dict[Term, int] = {}
        for members in classes:
            first, *others = sorted(members, key=lambda i: i.name)
            new |= dict.fromkeys(others, first)
            wanted |= {Delta(first, other): 1 for other in others}
        rest = {g: e for g, e in powers.items() if not isinstance(g, Delta)}
        if not any(free(g) & new.keys() for g in rest):
            if all(powers.get(d) == 1 for d in wanted) and len(wanted) == len(deltas):
                return None
            return self._monomial(rest | wanted)
        product = Poly({ONE: Fraction(1)})
        for generator, exponent in rest.items():
            poly = self.poly(rename(generator, new))
            product = self._times(product, self._power(poly if exponent > 0 else self._inverse(poly), abs(exponent)))
        return self._times(product, Poly({make_monomial(wanted): Fraction(1)}))

    def _content(self, poly: Poly) -> tuple[dict[Term, int], Poly]:
        """The greatest monomial that divides a polynomial, and the quotient."""
        content: dict[Term, int] = dict(next(iter(poly.terms)))
        for monomial in poly.terms:
            powers = dict(monomial)
            content = {g: min(content.get(g, 0), powers.get(g, 0)) for g in content.keys() | powers.keys()}
        content = {g: e for g, e in content.items() if e}
        if any(isinstance(g, Delta) for g in content):
            raise UndecidedError("canonical form: division by a Kronecker delta, which may be 0")
        return content, self._times(poly, self._monomial({g: -e for g, e in content.items()}))

    def _inverse(self, poly: Poly) -> Poly:
        if not poly.terms:
            raise ZeroDivisionError("canonical form: division by a term that is 0 at every size")
        content, inside = self._content(poly)
        outside = self._monomial({g: -e for g, e in content.items()})
        (lead, coefficient), *rest = inside.sorted()
        if not rest:
            return self._times(outside, self._monomial({g: -e for g, e in lead})).scaled(1 / coefficient)
        generator = Power(inside.scaled(1 / coefficient).term(), -1)
        return self._times(outside, Poly({((generator, 1),): 1 / coefficient}))

    def _cleared(self, poly: Poly) -> Poly:
        """Multiply by the denominators until none is left: 0 exactly where the rational function is 0."""
        while True:
            inverses = {g: e for m in poly.terms for g, e in m if isinstance(g, Power)}
            if not inverses:
                return poly
            inverse = min(inverses, key=key)
            assert isinstance(inverse, Power)
            most = max(dict(m).get(inverse, 0) for m in poly.terms)
            total = Poly()
            for monomial, coefficient in poly.terms.items():
                powers = dict(monomial)
                up = most - powers.pop(inverse, 0)
                rest = Poly({make_monomial(powers): coefficient})
                total = total + self._times(rest, self._power(self.poly(inverse.base), up))
            poly = total

    # -- sums ----------------------------------------------------------------------------------------------------

    def _sum(self, index: Index, poly: Poly) -> Poly:
        total = Poly()
        for monomial, coefficient in poly.terms.items():
            total = total + self._sum_monomial(index, dict(monomial)).scaled(coefficient)
        return total

    def _sum_monomial(self, index: Index, powers: dict[Term, int]) -> Poly:
        for generator in powers:
            if isinstance(generator, Delta) and index in (generator.left, generator.right):
                other = generator.right if generator.left == index else generator.left
                product = Poly({ONE: Fraction(1)})
                for g, e in powers.items():
                    if g != generator:
                        poly = self.poly(rename(g, {index: other}))
                        product = self._times(product, self._power(poly if e > 0 else self._inverse(poly), abs(e)))
                return product
        bound = {g: e for g, e in powers.items() if index in free(g)}
        outside = {g: e for g, e in powers.items() if g not in bound}
        if not bound:
            return self._monomial(outside | {Extent(index.size): outside.get(Extent(index.size), 0) + 1})
        binders, opened = open_sums(bound)
        merged = self._monomial(opened)
        if merged.single() == (make_monomial(opened), Fraction(1)):
            cluster = self._generator(least_sum([index, *binders], opened, self._pure.normal))
            return self._times(cluster, Poly({make_monomial(outside): Fraction(1)}))
        # Something cancelled: what is left may no longer be connected.
        for binder in [*binders, index]:
            merged = self._sum(binder, merged)
        return self._times(merged, Poly({make_monomial(outside): Fraction(1)}))

    # -- functions -----------------------------------------------------------------------------------------------

    def _apply(self, function: str, order: int, argument: Poly) -> Poly:
        inner = argument.term()
        if function == "exp":
            return self._exp(argument)
        if function == "log" and order == 0:
            return self._log(argument)
        closed: Term | None = None
        if function == "log":
            closed = mul(Number(Fraction((-1) ** (order - 1) * factorial(order - 1))), power(inner, -order))
        elif function in WITH_EXP and order == 0:
            closed = WITH_EXP[function](inner)
        elif function in WITH_EXP:
            # The n-th derivative, by way of a variable of its own.
            variable = Symbol(f"°{function}")()
            derivative = WITH_EXP[function](variable)
            for _ in range(order):
                derivative = self._pure.normal(Diff(derivative, variable))
            closed = _replace(derivative, variable, inner)
        return self._generator(Apply(function, inner, order)) if closed is None else self.poly(closed)

    def _exp(self, argument: Poly) -> Poly:
        product = Poly({ONE: Fraction(1)})
        for monomial, coefficient in argument.terms.items():
            exponent, base = coefficient.numerator, Poly({monomial: Fraction(1, coefficient.denominator)}).term()
            if isinstance(base, Apply) and base.function == "log" and base.order == 0:
                factor = self.poly(base.argument)
            else:
                factor = self._generator(Apply("exp", base))
            product = self._times(
                product, self._power(factor if exponent > 0 else self._inverse(factor), abs(exponent))
            )
        return product

    def _log(self, argument: Poly) -> Poly:
        if any(isinstance(g, Delta) for monomial in argument.terms for g, _ in monomial) or not argument.terms:
            return self._generator(Apply("log", argument.term()))
        # log(c·p) = log c + log p where c > 0: log p exists where the left side does.
        content, inside = self._content(argument)
        content = {g: e for g, e in content.items() if positive(g)}
        inside = self._times(argument, self._monomial({g: -e for g, e in content.items()}))
        total = Poly() if inside.terms == {ONE: 1} else self._generator(Apply("log", inside.term()))
        for generator, exponent in content.items():
            if isinstance(generator, Apply) and generator.function == "exp":
                total = total + self.poly(generator.argument).scaled(Fraction(exponent))
            elif isinstance(generator, Power):
                total = total + self._generator(Apply("log", generator.base)).scaled(Fraction(-exponent))
            else:
                total = total + self._generator(Apply("log", generator)).scaled(Fraction(exponent))
        return total

    def _call(self, term: Call) -> Poly:
        own = {b: fresh_index(b) for b in term.binders}
        body = self.normal(rename(term.body, own))
        first = height(body)
        names = {own[b]: canonical_index(first + n, b) for n, b in enumerate(term.binders)}
        body = self.normal(rename(body, names))
        slots = tuple(sorted(term.slots, key=lambda slot: [i.name for i in slot]))
        return self._generator(Call(term.function, term.labels, tuple(names.values()), body, slots))

    # -- derivatives ---------------------------------------------------------------------------------------------

    def _diff(self, poly: Poly, variable: Atom) -> Poly:
        total = Poly()
        for monomial, coefficient in poly.terms.items():
            for generator, exponent in monomial:
                inner = self._diff_generator(generator, variable)
                if inner.terms:
                    rest = dict(monomial) | {generator: exponent - 1}
                    total = total + self._times(self._monomial(rest), inner).scaled(coefficient * exponent)
        return total

    def _diff_generator(self, generator: Term, variable: Atom) -> Poly:
        match generator:
            case Atom():
                return self.poly(same_entry(generator, variable))
            case Sum(index, body):
                own = fresh_index(index)
                return self._sum(own, self._diff(self.poly(rename(body, {index: own})), variable))
            case Power(base, exponent):
                down = Poly({((generator, 2),): Fraction(exponent)})
                return self._times(down, self._diff(self.poly(base), variable))
            case Apply(function, argument, order):
                outer = self.poly(Apply(function, argument, order + 1))
                return self._times(outer, self._diff(self.poly(argument), variable))
            case Call(function, labels, binders, body, slots):
                own_names = {b: fresh_index(b) for b in binders}
                places = tuple(own_names.values())
                outer = self.poly(Call(function, labels, binders, body, (*slots, places)))
                product = self._times(outer, self._diff(self.poly(rename(body, own_names)), variable))
                for place in places:
                    product = self._sum(place, product)
                return product
            case _:
                return Poly()


def _replace(term: Term, old: Atom, new: Term) -> Term:
    """Put ``new`` for an atom; for terms that bind no index."""
    if term == old:
        return new
    return with_children(term, tuple(_replace(child, old, new) for child in children(term)))
