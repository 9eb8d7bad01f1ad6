"""Is one expression equal to another for all values of its names? Proved, refuted at a point, or not decided.

Proved: the difference, brought to the normal form of :mod:`verify.algebra.normal`, has the numerator 0, for every sign
that a piecewise function can meet. Refuted: at one rational point the values of the two sides are enclosed in two
intervals that do not meet. Floats only choose the order in which points are tried.

Names may be defined by other expressions (the forward steps of an example). They are treated as free first, so that
``dE/da*a*(1 - a)`` needs no sigmoid, and replaced by what they stand for where that is not enough.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

from verify.algebra.normal import PIECEWISE, Domain, Key, NeedSign, NoValue, Ratio, TooLarge, Workspace
from verify.expr import Call, Expr, Num, Power, Product, Quotient, Sum, Var, children, substitute, variables
from verify.figures import Interval
from verify.scalars import BALL, EXACT, FLOAT, Irrational, ends, precision
from verify.tape import Algebra

MAX_KINKS = 6
MAX_BITS = 10
POINTS = 24
WITNESS_BITS = (64, 256, 1024)

_NICE: Mapping[Domain, list[Fraction]] = {
    Domain.REAL: [Fraction(text) for text in ["1", "2", "-1", "3", "1/2", "-2", "5", "-3/2", "4", "7/2"]],
    Domain.POSITIVE: [Fraction(text) for text in ["1", "2", "3", "1/2", "5", "3/2", "4", "7/2", "1/4"]],
    Domain.UNIT: [Fraction(text) for text in ["1/2", "1/4", "3/4", "1/5", "2/5", "7/10", "9/10", "1/10", "3/5"]],
    Domain.BIT: [Fraction(0), Fraction(1)],
}


class Answer(StrEnum):
    """The three answers."""

    PROVED = "proved"
    WRONG = "wrong"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Setting:
    """What the names of an identity are.

    Attributes:
        domains: of the free names.
        definitions: of the defined names, each in terms of free names and of names defined before it.
        constants: names with one fixed value.
    """

    domains: Mapping[str, Domain] = field(default_factory=dict)
    definitions: Mapping[str, Expr] = field(default_factory=dict)
    constants: Mapping[str, Fraction] = field(default_factory=dict)

    def expand(self, expr: Expr, keep: frozenset[str] = frozenset()) -> Expr:
        """Every defined name replaced by what it stands for, and every constant by its number, but for those kept."""
        known: dict[str, Expr] = {name: Num(value) for name, value in self.constants.items()}
        needed = self._needed(expr, keep)
        for name, definition in self.definitions.items():
            if name in needed:
                known[name] = substitute(definition, known)
        return substitute(expr, known)

    def _needed(self, expr: Expr, keep: frozenset[str]) -> set[str]:
        needed: set[str] = set()
        waiting = [expr]
        while waiting:
            for name in set(variables(waiting.pop())) - needed - keep:
                if name in self.definitions:
                    needed.add(name)
                    waiting.append(self.definitions[name])
        return needed

    def free(self, *exprs: Expr) -> tuple[str, ...]:
        """The free names that the expressions depend on, in the order of ``domains``, then of first use."""
        used: dict[str, None] = {}
        for expr in exprs:
            for name in self._needed(expr, frozenset()):
                used.update(dict.fromkeys(variables(self.definitions[name])))
            used.update(dict.fromkeys(variables(expr)))
        known = [name for name in self.domains if name in used]
        others = [name for name in used if name not in self.domains]
        return tuple(n for n in known + others if n not in self.definitions and n not in self.constants)


@dataclass(frozen=True)
class Witness:
    """A point where the two sides differ, and an interval for each side's value there."""

    point: Mapping[str, Fraction]
    left: Interval
    right: Interval


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
        >>> from verify.identity import Setting, compare
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
        condition = prove(left, right, setting).condition if _piecewise(left - right, setting) else ""
        return Identity(Answer.WRONG, "a point where the two sides differ", witness, condition)
    proof = prove(left, right, setting)
    if proof.answer == Answer.PROVED and not proof.condition:
        return proof
    witness = find_witness(left, right, names, setting)
    if witness is not None:
        return Identity(Answer.WRONG, "a point where the two sides differ", witness, proof.condition)
    return proof


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
        difference = setting.expand(left, keep) - setting.expand(right, keep)
        found = _in_cases(difference, setting.domains)
        if found.answer == Answer.PROVED:
            return found
        reason = found
    return reason


def _kept(left: Expr, right: Expr, setting: Setting) -> Iterator[frozenset[str]]:
    """Which defined names to treat as free, most first: all; those that both sides end up with; none."""
    yield frozenset(setting.definitions)
    keep = set(setting.definitions)
    while True:
        used = [
            set(variables(setting.expand(side, frozenset(keep)))) & setting.definitions.keys() for side in (left, right)
        ]
        single = used[0] ^ used[1]
        if not single:
            break
        keep -= single
    yield frozenset(keep)
    yield frozenset()


def _piecewise(expr: Expr, setting: Setting) -> bool:
    def found(node: Expr) -> bool:
        return (isinstance(node, Call) and node.function in PIECEWISE) or any(map(found, children(node)))

    return found(setting.expand(expr))


def _in_cases(difference: Expr, domains: Mapping[str, Domain]) -> Identity:
    """Prove a difference to be 0, by cases over the signs that its piecewise functions ask for."""
    for size in (24, 96, 384):
        workspace = Workspace(domains, size)
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
            if sign or 0 not in signs.values():
                more = {**polynomials, need.key: need.polynomial}
                yield from _cases(workspace, difference, {**signs, need.key: sign}, more)
        return
    zero = [polynomials[key] for key, sign in signs.items() if sign == 0]
    if zero and not numerator.is_zero():
        numerator = divmod(numerator, zero[0])[1]
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
            side = [case for case in inner if case.signs.get(key) == sign]
            if side and all(case.holds for case in side):
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
        if not _at_least_zero(setting.expand(larger) - setting.expand(smaller), setting.domains):
            return Identity(Answer.INCONCLUSIVE, "the sign of the difference is not decided")
    return Identity(Answer.PROVED, "the signs of the two differences")


def _at_least_zero(difference: Expr, domains: Mapping[str, Domain]) -> bool:
    workspace = Workspace(domains, 96)

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


# Points.


def _phi(algebra: Algebra) -> Algebra:
    """The unknown function made concrete, as a point needs numbers: the sigmoid."""
    sigmoid = algebra.functions["sigmoid"]

    def slope(x: Any) -> Any:
        value = sigmoid(x)
        return value * (1 - value)

    return Algebra(algebra.name, algebra.number, {**algebra.functions, "phi": sigmoid, "dphi": slope})


_EXACT, _BALL, _FLOAT = _phi(EXACT), _phi(BALL), _phi(FLOAT)


class Values:
    """The values of expressions at one point; those of defined names are kept."""

    def __init__(self, point: Mapping[str, Fraction], setting: Setting) -> None:
        self._start = {**setting.constants, **point}
        self._definitions = setting.definitions
        self._known: dict[tuple[str, int], dict[str, Any]] = {}

    def value(self, expr: Expr, algebra: Algebra, bits: int = 0) -> Any:
        """The value in an algebra; ``bits`` tells apart the balls of different precisions.

        Raises:
            ArithmeticError: where there is none.
        """
        known = self._known.setdefault((algebra.name, bits), {})

        def walk(node: Expr) -> Any:
            match node:
                case Num(number):
                    return algebra.number(number)
                case Var(name):
                    if name not in known:
                        start = self._start.get(name)
                        known[name] = walk(self._definitions[name]) if start is None else algebra.number(start)
                    return known[name]
                case Sum(terms):
                    result = walk(terms[0])
                    for term in terms[1:]:
                        result = result + walk(term)
                    return result
                case Product(factors):
                    result = walk(factors[0])
                    for factor in factors[1:]:
                        result = result * walk(factor)
                    return result
                case Quotient(numerator, denominator):
                    return walk(numerator) / walk(denominator)
                case Power(base, exponent):
                    return walk(base) ** exponent
                case Call(function, args):
                    return algebra.functions[function](*map(walk, args))
            raise TypeError(f"value: not an expression: {node!r}")

        return walk(expr)

    def enclosure(self, expr: Expr, bits: int) -> Interval | None:
        """An interval that contains the value; None where there is no value, or none is decided."""
        try:
            exact = self.value(expr, _EXACT)
            return exact, exact
        except Irrational:
            pass
        except ArithmeticError:
            return None
        try:
            with precision(bits):
                return ends(self.value(expr, _BALL, bits))
        except ArithmeticError:
            return None

    def machine(self, expr: Expr) -> float | None:
        """The value in float64, for screening; None where there is none."""
        try:
            value = float(self.value(expr, _FLOAT))
        except (ArithmeticError, ValueError):
            return None
        return value if math.isfinite(value) else None


def points(
    names: tuple[str, ...], domains: Mapping[str, Domain], count: int = POINTS
) -> Iterator[Mapping[str, Fraction]]:
    """Rational points of the domain, the plainest first; all of them where every name is 0 or 1."""
    kinds = [domains.get(name, Domain.REAL) for name in names]
    if all(kind == Domain.BIT for kind in kinds) and len(names) <= MAX_BITS:
        for bits in itertools.product((0, 1), repeat=len(names)):
            yield {name: Fraction(bit) for name, bit in zip(names, bits, strict=True)}
        return
    for attempt in range(count):
        yield {name: _nice(kind, i, attempt) for i, (name, kind) in enumerate(zip(names, kinds, strict=True))}
    for name, kind in zip(names, kinds, strict=True):  # the kinks that are one name's zero
        if kind == Domain.REAL:
            others = {n: _nice(k, i, 1) for i, (n, k) in enumerate(zip(names, kinds, strict=True))}
            yield {**others, name: Fraction(0)}


def _nice(kind: Domain, position: int, attempt: int) -> Fraction:
    """A plain number; it steps through its table at a pace of its own, so that no two names keep equal values."""
    table = _NICE[kind]
    value = table[(attempt * (2 * position + 1) + position * (1 + attempt // 7)) % len(table)]
    lap = 1 + position // len(table)
    return value if kind == Domain.BIT else value / lap if kind == Domain.UNIT else value * lap


def differ(left: float | None, right: float | None) -> bool:
    """Whether two machine numbers are apart by more than rounding can explain."""
    return left is not None and right is not None and abs(left - right) > 1e-7 * (1 + abs(left) + abs(right))


def _suspicious(left: Expr, right: Expr, names: tuple[str, ...], setting: Setting) -> bool:
    for point in itertools.islice(points(names, setting.domains), 6):
        values = Values(point, setting)
        if differ(values.machine(left), values.machine(right)):
            return True
    return False


def find_witness(left: Expr, right: Expr, names: tuple[str, ...], setting: Setting) -> Witness | None:
    """The first point where the enclosures of the two sides do not meet."""
    for point in points(names, setting.domains):
        values = Values(point, setting)
        for bits in WITNESS_BITS:
            a, b = values.enclosure(left, bits), values.enclosure(right, bits)
            if a is None or b is None:
                break
            if a[1] < b[0] or b[1] < a[0]:
                return Witness(point, a, b)
            if a[0] == a[1] and b[0] == b[1]:
                break
    return None


class Screen:
    """A quick test, by floats at a few points, that tells apart most expressions that differ.

    Example:
        >>> from verify.expr import Var
        >>> from verify.identity import Screen, Setting
        >>> x = Var("x")
        >>> screen = Screen(Setting({"x": Domain.REAL}))
        >>> target = screen.values(x * x - 1)
        >>> screen.matches(target, (x - 1) * (x + 1)), screen.matches(target, x * x + 1)
        (True, False)
    """

    def __init__(self, setting: Setting, count: int = 3) -> None:
        chosen = itertools.islice(points(tuple(setting.domains), setting.domains), 1, 1 + count)
        self._points = [Values(point, setting) for point in chosen] or [Values({}, setting)]

    def values(self, expr: Expr) -> list[float | None]:
        """The machine values, one a point."""
        return [point.machine(expr) for point in self._points]

    def matches(self, target: list[float | None], expr: Expr) -> bool:
        """Whether no point tells the expression from the target."""
        for point, wanted in zip(self._points, target, strict=True):
            if wanted is not None:
                value = point.machine(expr)
                if value is None or differ(wanted, value):
                    return False
        return True
