"""Expressions at rational points: names with their domains, plain points to try, rigorous values there.

Floats choose which points and candidates are worth a closer look; what is concluded rests on exact numbers or balls.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from verify.algebra.normal import Domain, reached
from verify.expr import Call, Expr, Num, Power, Product, Quotient, Sum, Var, children, variables
from verify.reading.figures import Interval
from verify.worked.scalars import BALL, EXACT, FLOAT, Irrational, ends, precision
from verify.worked.tape import Algebra, whole_power

MAX_BITS = 10
POINTS = 24
WITNESS_BITS = (64, 256, 1024)
_READABLE = Fraction(1, 1000)

_NICE: Mapping[Domain, list[Fraction]] = {
    Domain.REAL: [Fraction(text) for text in ["1", "2", "-1", "3", "1/2", "-2", "5", "-3/2", "4", "7/2"]],
    Domain.POSITIVE: [Fraction(text) for text in ["1", "2", "3", "1/2", "5", "3/2", "4", "7/2", "1/4"]],
    Domain.UNIT: [Fraction(text) for text in ["1/2", "1/4", "3/4", "1/5", "2/5", "7/10", "9/10", "1/10", "3/5"]],
    Domain.BIT: [Fraction(0), Fraction(1)],
}


@dataclass(frozen=True)
class Setting:
    """What the names of expressions are.

    Attributes:
        domains: of the free names.
        definitions: of the defined names, each in terms of free names and of names defined before it.
        constants: names with one fixed value.
    """

    domains: Mapping[str, Domain] = field(default_factory=dict)
    definitions: Mapping[str, Expr] = field(default_factory=dict)
    constants: Mapping[str, Fraction] = field(default_factory=dict)

    def without(self, keep: frozenset[str] = frozenset()) -> dict[str, Expr]:
        """What every name stands for, constants included, but for the kept ones, which stay free."""
        numbers: dict[str, Expr] = {name: Num(value) for name, value in self.constants.items()}
        return numbers | {name: expr for name, expr in self.definitions.items() if name not in keep}

    def functions(self, *exprs: Expr) -> set[str]:
        """The functions that the expressions call, directly or in the definitions that they rest on."""
        found: set[str] = set()
        waiting = [*exprs, *(self.definitions[name] for expr in exprs for name in reached(expr, self.definitions))]
        while waiting:
            node = waiting.pop()
            if isinstance(node, Call):
                found.add(node.function)
            waiting.extend(children(node))
        return found

    def free(self, *exprs: Expr) -> tuple[str, ...]:
        """The free names that the expressions depend on, in the order of ``domains``, then of first use."""
        used: dict[str, None] = {}
        for expr in exprs:
            for name in reached(expr, self.definitions):
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
        self._setting = setting
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
                        define(name)
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
                    return whole_power(walk(base), exponent)
                case Call(function, args):
                    return algebra.functions[function](*map(walk, args))
            raise TypeError(f"value: not an expression: {node!r}")

        def define(name: str) -> None:
            if name in self._start:
                known[name] = algebra.number(self._start[name])
                return
            definitions = self._setting.definitions
            needed = reached(definitions[name], definitions)
            for other, definition in definitions.items():  # in order, so that no chain recurses
                if (other in needed or other == name) and other not in known:
                    known[other] = walk(definition)

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


def find_witness(left: Expr, right: Expr, names: tuple[str, ...], setting: Setting) -> Witness | None:
    """A point where the enclosures of the two sides do not meet, the first where both are of readable size if any."""
    found: Witness | None = None
    for point in points(names, setting.domains):
        values = Values(point, setting)
        for bits in WITNESS_BITS:
            a, b = values.enclosure(left, bits), values.enclosure(right, bits)
            if a is None or b is None:
                break
            if a[1] < b[0] or b[1] < a[0]:
                witness = Witness(point, a, b)
                if all(not any(side) or _READABLE < abs(side[0]) < 1 / _READABLE for side in (a, b)):
                    return witness
                found = found or witness
                break
            if a[0] == a[1] and b[0] == b[1]:
                break
    return found


class Screen:
    """A quick test, by floats at a few points, that tells apart most expressions that differ.

    Example:
        >>> from verify.expr import Var
        >>> from verify.formulas.points import Screen, Setting
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
