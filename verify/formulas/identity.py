"""Is one expression equal to another for all values of its names? Proved, refuted at a point, or not decided.

Proved: the difference, brought to the normal form of :mod:`verify.algebra.normal`, has the numerator 0, for every sign
that a piecewise function can meet. Refuted: at one rational point the values of the two sides are enclosed in two
intervals that do not meet. Floats only choose the order in which points are tried.

Names may be defined by other expressions (the forward steps of an example). They are treated as free first, so that
``dE/da*a*(1 - a)`` needs no sigmoid, and replaced by what they stand for where that is not enough.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from verify.algebra.normal import PIECEWISE, Domain, Key, NeedSign, NoValue, Ratio, TooLarge, Workspace, reached
from verify.expr import Expr, variables
from verify.formulas.points import MAX_BITS, WITNESS_BITS, Setting, Values, Witness, differ, find_witness, points

MAX_KINKS = 6
MAX_ROUNDS = 30
PARTIAL = frozenset(("log", "sqrt"))
"""The functions that have no value on a whole interval."""
NUDGE = Fraction(1, 1009)


class Answer(StrEnum):
    """The three answers."""

    PROVED = "proved"
    WRONG = "wrong"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Identity:
    """The answer, how it was found, and the witness where there is one.

    ``condition`` says in words where the identity does hold, where that is one inequality.
    """

    answer: Answer
    how: str
    witness: Witness | None = None
    condition: str = ""


def compare(left: Expr, right: Expr, setting: Setting) -> Identity:
    """Decide whether ``left == right`` for all values of the free names.

    Example:
        >>> from verify.expr import Var, call
        >>> from verify.formulas.identity import compare
        >>> from verify.formulas.points import Setting
        >>> z, a = Var("z"), Var("a")
        >>> setting = Setting(definitions={"a": call("sigmoid", z)})
        >>> compare(a * (1 - a), call("exp", -z) * a * a, setting).answer
        <Answer.PROVED: 'proved'>
        >>> wrong = compare(a, a * (1 - a), setting)
        >>> wrong.answer, wrong.witness.point
        (<Answer.WRONG: 'wrong'>, {'z': Fraction(1, 1)})
    """
    names = setting.free(left, right)
    witness = None
    if _suspicious(left, right, names, setting):
        witness = find_witness(left, right, names, setting)
    if witness is not None:
        condition = prove(left, right, setting).condition if PIECEWISE & setting.functions(left, right) else ""
        return Identity(Answer.WRONG, "a point where the two sides differ", witness, condition)
    proof = prove(left, right, setting)
    if proof.answer == Answer.PROVED:
        why = _without_value(left, right, names, setting)
        if why:
            return Identity(Answer.INCONCLUSIVE, f"the normal form of the difference is 0, but {why}")
        if not proof.condition:
            return proof
    witness = find_witness(left, right, names, setting)
    if witness is not None:
        return Identity(Answer.WRONG, "a point where the two sides differ", witness, proof.condition)
    return proof


def _suspicious(left: Expr, right: Expr, names: tuple[str, ...], setting: Setting) -> bool:
    for point in itertools.islice(points(names, setting.domains), 6):
        values = Values(point, setting)
        if differ(values.machine(left), values.machine(right)):
            return True
    return False


def _without_value(left: Expr, right: Expr, names: tuple[str, ...], setting: Setting) -> str:
    """Why equal normal forms say too little: no values to be equal, or none of the right side where the left has one.

    Normal forms take sqrt(x)*sqrt(x) for x. A single point (x/x at 0) is not counted: the value must be missing next to
    the point too.
    """
    if not PARTIAL & setting.functions(left, right):
        return ""
    both = False
    for point in points(names, setting.domains):
        values = Values(point, setting)
        ends_of = [
            values.machine(side) is not None or values.enclosure(side, WITNESS_BITS[0]) for side in (left, right)
        ]
        both = both or all(ends_of)
        if ends_of[0] and not ends_of[1]:
            bits = {name for name in point if setting.domains.get(name) == Domain.BIT}
            beside = Values({n: v if n in bits else v + NUDGE for n, v in point.items()}, setting)
            if beside.enclosure(left, WITNESS_BITS[0]) and not beside.enclosure(right, WITNESS_BITS[0]):
                where = ", ".join(f"{name} = {value}" for name, value in point.items())
                return f"the formula has no value at {where}"
    return "" if both else "no point was found where both sides have a value"


def prove(left: Expr, right: Expr, setting: Setting) -> Identity:
    """Try to prove ``left == right``; never :attr:`Answer.WRONG`."""
    bits = [name for name in setting.free(left, right) if setting.domains.get(name) == Domain.BIT]
    if len(bits) > MAX_BITS:
        return Identity(Answer.INCONCLUSIVE, f"more than {MAX_BITS} names that are 0 or 1")
    if bits:
        for values in itertools.product((0, 1), repeat=len(bits)):
            constants = {**setting.constants, **{n: Fraction(v) for n, v in zip(bits, values, strict=True)}}
            case = prove(left, right, Setting({n: d for n, d in setting.domains.items() if n not in bits},
                                              setting.definitions, constants))  # fmt: skip
            if case.answer != Answer.PROVED:
                return Identity(Answer.INCONCLUSIVE, case.how)
        return Identity(Answer.PROVED, f"each of the {2 ** len(bits)} cases")
    reason = Identity(Answer.INCONCLUSIVE, "the normal form of the difference is not 0")
    seen: set[frozenset[str]] = set()
    for keep in _kept(left, right, setting):
        if keep in seen:
            continue
        seen.add(keep)
        found = _in_cases(left - right, setting, keep)
        if found.answer == Answer.PROVED:
            return found
        reason = found
    return reason


def _kept(left: Expr, right: Expr, setting: Setting) -> Iterator[frozenset[str]]:
    """Which defined names to treat as free, most first: all; those that both sides end up with; none."""
    yield frozenset(setting.definitions)
    keep = set(setting.definitions)
    for _ in range(MAX_ROUNDS):
        used = [_ends(side, setting.definitions, keep) for side in (left, right)]
        single = used[0] ^ used[1]
        if not single:
            yield frozenset(keep)
            break
        keep -= single
    yield frozenset()


def _ends(expr: Expr, definitions: Mapping[str, Expr], keep: set[str]) -> set[str]:
    """The kept names that an expression ends up with once all others are replaced by what they stand for."""
    replaced = {name: definition for name, definition in definitions.items() if name not in keep}
    used = set(variables(expr))
    for name in reached(expr, replaced):
        used.update(variables(replaced[name]))
    return used & keep


def _in_cases(difference: Expr, setting: Setting, keep: frozenset[str]) -> Identity:
    """Prove a difference to be 0, by cases over the signs that its piecewise functions ask for."""
    for size in (24, 96, 384):
        workspace = Workspace(setting.domains, size, setting.without(keep))
        try:
            cases = list(_cases(workspace, difference, {}, {}))
        except TooLarge as error:
            if "atoms" in str(error):
                continue
            return Identity(Answer.INCONCLUSIVE, f"the normal form is too large: {error}")
        except NoValue as error:
            return Identity(Answer.INCONCLUSIVE, str(error))
        return _summary(workspace, cases)
    return Identity(Answer.INCONCLUSIVE, "the normal form is too large")


@dataclass(frozen=True)
class _Case:
    signs: Mapping[Key, int]
    polynomials: Mapping[Key, Any]
    holds: bool | None  # None: no value there


def _cases(
    workspace: Workspace, difference: Expr, signs: Mapping[Key, int], polynomials: Mapping[Key, Any]
) -> Iterator[_Case]:
    try:
        numerator = workspace.numerator(difference, signs)
    except NoValue:
        if not signs:
            raise
        yield _Case(signs, polynomials, None)
        return
    except NeedSign as need:
        if len(signs) == MAX_KINKS:
            raise TooLarge(f"more than {MAX_KINKS} kinks") from None
        for sign in (1, -1, 0):
            more = {**polynomials, need.key: need.polynomial}
            yield from _cases(workspace, difference, {**signs, need.key: sign}, more)
        return
    for key, sign in signs.items():
        if sign == 0 and not numerator.is_zero():
            numerator = divmod(numerator, polynomials[key])[1]  # a multiple of what is 0 is 0
    yield _Case(signs, polynomials, numerator.is_zero())


def _summary(workspace: Workspace, cases: list[_Case]) -> Identity:
    if len(cases) == 1:
        answer = Answer.PROVED if cases[0].holds else Answer.INCONCLUSIVE
        how = "the difference is 0" if cases[0].holds else "the normal form of the difference is not 0"
        return Identity(answer, how)
    inner = [case for case in cases if 0 not in case.signs.values()]
    if all(case.holds for case in inner):
        kinks = {key: case.polynomials[key] for case in cases if not case.holds
                 for key, sign in case.signs.items() if sign == 0}  # fmt: skip
        count = f"each of the {len(inner)} cases of signs"
        if not kinks:
            return Identity(Answer.PROVED, count)
        where = ", ".join(f"{workspace.show(polynomial)} = 0" for polynomial in kinks.values())
        return Identity(Answer.PROVED, f"{count}, away from {where}", condition=f"away from {where}")
    for key, polynomial in {k: p for case in inner for k, p in case.polynomials.items()}.items():
        for sign, symbol in ((1, ">"), (-1, "<")):
            side = [case for case in cases if case.signs.get(key) == sign]
            edge = [case for case in cases if case.signs.get(key) == 0]
            if side and all(case.holds for case in side):
                symbol += "=" if all(case.holds for case in edge) else ""
                condition = f"{workspace.show(polynomial)} {symbol} 0"
                return Identity(Answer.INCONCLUSIVE, f"it holds where {condition}", condition=condition)
    return Identity(Answer.INCONCLUSIVE, "the normal form of the difference is not 0 in every case of signs")


def within(expr: Expr, low: Expr, high: Expr, setting: Setting) -> Identity:
    """Decide whether ``low <= expr <= high`` for all values of the free names."""
    names = setting.free(expr, low, high)
    for point in points(names, setting.domains):
        for smaller, larger in ((low, expr), (expr, high)):
            values = Values(point, setting)
            ends_of = [values.enclosure(side, WITNESS_BITS[-1]) for side in (smaller, larger)]
            if ends_of[0] and ends_of[1] and ends_of[0][0] > ends_of[1][1]:
                value, bound = (ends_of[1], ends_of[0]) if smaller is low else (ends_of[0], ends_of[1])
                return Identity(Answer.WRONG, "a point outside of the range", Witness(point, value, bound))
    for smaller, larger in ((low, expr), (expr, high)):
        if not _at_least_zero(larger - smaller, setting):
            return Identity(Answer.INCONCLUSIVE, "the sign of the difference is not decided")
    return Identity(Answer.PROVED, "the signs of the two differences")


def _at_least_zero(difference: Expr, setting: Setting) -> bool:
    workspace = Workspace(setting.domains, 96, setting.without())

    def holds(signs: Mapping[Key, int]) -> bool:
        try:
            ratio: Ratio = workspace.ratio(difference, signs)
        except NeedSign as need:
            return len(signs) < MAX_KINKS and all(holds({**signs, need.key: sign}) for sign in (1, -1, 0))
        except NoValue:
            if 0 in signs.values():
                return True  # at a kink there is nothing to be within the range
            raise
        return workspace.at_least_zero(ratio)

    try:
        return holds({})
    except (NoValue, TooLarge):
        return False
