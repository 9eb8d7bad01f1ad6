"""The named rules: each rewrites a term into an equal one, the way a lecture would, and is one step of a proof.

A rule looks at one node and returns what stands there afterwards, or None. The rules are for the reader: that a step is
right is decided by the canonical form, not by the rule that made it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace

from verify.indexed.elementary import same_entry
from verify.indexed.shape import same_up_to_order, shape
from verify.indexed.structure import children, free, fresh, rename, unfold, with_children
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
    Term,
    add,
    apply,
    exp,
    log,
    mul,
    power,
    sigmoid,
)
from verify.rules import DERIVATIVES

__all__ = ["Equation", "Rule", "chain"]

Rewrite = Callable[[Term], Term | None]

_FUNCTIONS = SimpleNamespace(exp=exp, log=log, sigmoid=sigmoid)
_KNOWN = ("exp", "log", "sigmoid", "tanh", "softplus")


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rewriting of one node; ``inside_derivatives`` says whether it may be used under a ``∂``."""

    name: str
    at: Rewrite
    inside_derivatives: bool = True


@dataclass(frozen=True, slots=True)
class Equation:
    """A proved lemma or an assumption, used from left to right, for all values of its free indices."""

    left: Term
    right: Term
    name: str

    def rule(self, inside_derivatives: bool) -> Rule:
        """The rewriting by this equation."""
        indices = sorted(free(self.left), key=lambda i: i.name)

        def at(term: Term) -> Term | None:
            if type(term) is not type(self.left):
                return None
            places = sorted(free(term), key=lambda i: i.name)
            for choice in itertools.product(places, repeat=len(indices)):
                new = dict(zip(indices, choice, strict=True))
                if all(old.size == to.size for old, to in new.items()) and same_up_to_order(
                    rename(self.left, new), term
                ):
                    return rename(self.right, new)
            return None

        return Rule(self.name, at, inside_derivatives)


# -- derivatives -----------------------------------------------------------------------------------------------------


def _of_variable(term: Term) -> Term | None:
    match term:
        case Diff(Atom() as atom, variable):
            return same_entry(atom, variable)
    return None


def _of_constant(term: Term) -> Term | None:
    match term:
        case Diff(body, variable) if not _depends(body, variable):
            return Number(Fraction(0))
    return None


def _of_sum(term: Term) -> Term | None:
    match term:
        case Diff(Add(parts), variable):
            return add(*(Diff(part, variable) for part in parts))
        case Diff(Sum(index, body), variable):
            bound = fresh(index, free(variable) | (free(body) - {index}))
            return Sum(bound, Diff(rename(body, {index: bound}), variable))
    return None


def _constant_factor(term: Term) -> Term | None:
    match term:
        case Diff(Mul(factors), variable):
            constant = [f for f in factors if not _depends(f, variable)]
            rest = [f for f in factors if _depends(f, variable)]
            if constant and rest:
                return mul(*constant, Diff(mul(*rest), variable))
    return None


def _quotient(term: Term) -> Term | None:
    match term:
        case Diff(Mul(factors), variable):
            below = [f for f in factors if isinstance(f, Power) and f.exponent < 0]
            above = [f for f in factors if f not in below]
            if above and below:
                u, v = mul(*above), power(mul(*below), -1) if len(below) == 1 else mul(*(power(f, -1) for f in below))
                return (Diff(u, variable) * v - u * Diff(v, variable)) / v**2
    return None


def _product(term: Term) -> Term | None:
    match term:
        case Diff(Mul(factors), variable):
            return add(
                *(mul(*factors[:n], Diff(factor, variable), *factors[n + 1 :]) for n, factor in enumerate(factors))
            )
    return None


def _power(term: Term) -> Term | None:
    match term:
        case Diff(Power(base, exponent), variable):
            return mul(Number(Fraction(exponent)), power(base, exponent - 1), Diff(base, variable))
    return None


def _chain(term: Term) -> Term | None:
    match term:
        case Diff(Apply(function, argument, order) as whole, variable):
            if order == 0 and function in _KNOWN:
                outer: Term = DERIVATIVES[function](argument, whole, _FUNCTIONS)
            else:
                outer = apply(function, argument, order + 1)
            return mul(outer, Diff(argument, variable))
        case Diff(Call(function, labels, binders, body, slots) as whole, variable):
            taken = set(free(variable) | free(whole))
            new: dict[Index, Index] = {}
            for binder in binders:
                new[binder] = fresh(binder, taken)
                taken.add(new[binder])
            places = tuple(new.values())
            inner = mul(Call(function, labels, binders, body, (*slots, places)), Diff(rename(body, new), variable))
            for place in reversed(places):
                inner = Sum(place, inner)
            return inner
    return None


def _definition_inside(term: Term) -> Term | None:
    match term:
        case Diff(Named() as named, variable):
            return Diff(unfold(named), variable)
    return None


def _depends(term: Term, variable: Atom) -> bool:
    if isinstance(term, Atom):
        return same_entry(term, variable) != Number(Fraction(0))
    return any(_depends(child, variable) for child in ((unfold(term),) if isinstance(term, Named) else children(term)))


# -- algebra ---------------------------------------------------------------------------------------------------------


def _definition(term: Term) -> Term | None:
    return unfold(term) if isinstance(term, Named) else None


def _collapse(term: Term) -> Term | None:
    match term:
        case Delta(left, right) if left == right:
            return Number(Fraction(1))
        case Sum(index, body):
            factors = body.factors if isinstance(body, Mul) else (body,)
            for place, factor in enumerate(factors):
                if isinstance(factor, Delta) and index in (factor.left, factor.right):
                    other = factor.right if factor.left == index else factor.left
                    return rename(mul(*factors[:place], *factors[place + 1 :]), {index: other})
    return None


def _cancel(term: Term) -> Term | None:
    if not isinstance(term, Mul):
        return None
    powers: dict[str, tuple[Term, int]] = {}
    for factor in term.factors:
        base, exponent = (factor.base, factor.exponent) if isinstance(factor, Power) else (factor, 1)
        name = shape(base)
        if isinstance(base, Add) and name in powers and exponent > 0 and powers[name][1] > 0:
            return None  # a product of sums is expanded, not made a power
        powers[name] = (base, powers[name][1] + exponent) if name in powers else (base, exponent)
    merged = mul(*(power(base, exponent) for base, exponent in powers.values()))
    return merged if len(powers) < len(term.factors) else None


def _like_terms(term: Term) -> Term | None:
    if not isinstance(term, Add):
        return None
    found: dict[str, tuple[Fraction, Term]] = {}
    for part in term.terms:
        coefficient, rest = _coefficient(part)
        name = shape(rest)
        found[name] = (found[name][0] + coefficient if name in found else coefficient, rest)
    if len(found) == len(term.terms):
        return None
    return add(*(mul(Number(c), rest) for c, rest in found.values()))


def _beside_delta(term: Term) -> Term | None:
    if not isinstance(term, Mul):
        return None
    for factor in term.factors:
        if isinstance(factor, Delta):
            first, second = sorted((factor.left, factor.right), key=lambda i: i.name)
            if any(second in free(other) for other in term.factors if not isinstance(other, Delta)):
                renamed = (o if isinstance(o, Delta) else rename(o, {second: first}) for o in term.factors)
                return mul(*renamed)
    return None


def _power_of_product(term: Term) -> Term | None:
    match term:
        case Power(Mul(factors), exponent):
            return mul(*(power(factor, exponent) for factor in factors))
    return None


def _expand_power(term: Term) -> Term | None:
    match term:
        case Power(Add() as base, exponent) if exponent > 1:
            return add(*(mul(part, power(base, exponent - 1)) for part in base.terms))
    return None


def _out_of_sum(term: Term) -> Term | None:
    match term:
        case Sum(index, Mul(factors)):
            outside = [f for f in factors if index not in free(f)]
            inside = [f for f in factors if index in free(f)]
            if outside and inside:
                return mul(*outside, Sum(index, mul(*inside)))
    return None


def _sum_of_constant(term: Term) -> Term | None:
    match term:
        case Sum(index, body) if index not in free(body):
            return mul(Extent(index.size), body)
    return None


def _sum_of_sum(term: Term) -> Term | None:
    match term:
        case Sum(index, Add(parts)):
            split = [_coefficient(part) for part in parts]
            return add(*(mul(Number(c), Sum(index, rest)) for c, rest in split))
    return None


def _coefficient(term: Term) -> tuple[Fraction, Term]:
    if isinstance(term, Mul) and isinstance(term.factors[0], Number):
        return term.factors[0].value, mul(*term.factors[1:])
    return Fraction(1), term


def _distribute(term: Term) -> Term | None:
    if not isinstance(term, Mul):
        return None
    for place, factor in enumerate(term.factors):
        if isinstance(factor, Add):
            return add(*(mul(*term.factors[:place], part, *term.factors[place + 1 :]) for part in factor.terms))
    return None


DERIVATIVE_RULES = (
    Rule("derivative of a variable", _of_variable),
    Rule("derivative of a constant", _of_constant),
    Rule("derivative of a sum", _of_sum),
    Rule("constant factor", _constant_factor),
    Rule("quotient rule", _quotient),
    Rule("product rule", _product),
    Rule("power rule", _power),
    Rule("chain rule", _chain),
    Rule("definition", _definition_inside),
)
ALGEBRA_RULES = (
    Rule("delta picks one term of the sum", _collapse),
    Rule("power of a product", _power_of_product),
    Rule("cancel", _cancel),
    Rule("like terms", _like_terms),
    Rule("distribute", _distribute),
    Rule("expand the power", _expand_power),
    Rule("sum of a sum", _sum_of_sum),
    Rule("constant factor out of the sum", _out_of_sum),
    Rule("sum of a constant", _sum_of_constant),
    Rule("equal indices beside a delta", _beside_delta),
)
DEFINITION = Rule("definition", _definition, inside_derivatives=False)


# -- where and in what order -----------------------------------------------------------------------------------------


def chain(term: Term, equations: Sequence[Rule], unfolding: bool) -> Iterator[tuple[Term, str]]:
    """Rewrite until no rule applies; yields each new term with the name of the rule that made it.

    One step uses one rule at every place where it fits. ``unfolding`` puts the bodies of definitions in as well.
    """
    rules = (*equations, *DERIVATIVE_RULES, *ALGEBRA_RULES, *((DEFINITION,) if unfolding else ()))
    for _ in range(_LONGEST):
        for rule in rules:
            changed = _everywhere(rule, term)
            if changed != term:
                term = changed
                yield term, rule.name
                break
        else:
            return


_LONGEST = 80


def _everywhere(rule: Rule, term: Term) -> Term:
    done = rule.at(term)
    if done is not None:
        return done
    if isinstance(term, Diff) and not rule.inside_derivatives:
        return term
    parts = children(term)
    changed = tuple(_everywhere(rule, part) for part in parts)
    return term if changed == parts else with_children(term, changed)
