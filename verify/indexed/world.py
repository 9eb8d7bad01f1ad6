"""One concrete case of a term: a number for every size, entry and function, and its value there.

Nothing here uses the calculus: sums are added up, derivatives come from dual numbers, an unknown function becomes a
random polynomial and an unknown function of an array a sum of powers of linear forms.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from operator import mul as times

from verify.indexed.exact import (
    KNOWN,
    Dual,
    LogOf,
    Value,
    apply_function,
    as_ball,
    inverse,
    logarithm,
    polynomial,
)
from verify.indexed.structure import unfold
from verify.indexed.terms import (
    Add,
    Apply,
    Atom,
    Call,
    Definition,
    Delta,
    Diff,
    Extent,
    Index,
    Mul,
    Named,
    Number,
    Power,
    Size,
    Sum,
    Term,
)

__all__ = ["Place", "World"]

Place = tuple[str, tuple[int, ...]]


@dataclass
class World:
    """One concrete case: a value for every size and, drawn when first asked for, for every entry and function.

    Args:
        size: the value of each size.
        seed: of the random draws.
        logarithmic: names of the symbols whose entries are logarithms of rationals.
        positive: names of the symbols whose entries are positive.
        zeros: names of the symbols whose entries are 0.
        largest: the greatest absolute value drawn.
        degree: of the polynomials that stand for unknown functions.
        balls: compute with Arb balls rather than exactly.
    """

    size: Callable[[Size], int]
    seed: int = 0
    logarithmic: frozenset[str] = frozenset()
    positive: frozenset[str] = frozenset()
    zeros: frozenset[str] = frozenset()
    largest: int = 5
    degree: int = 3
    balls: bool = False
    values: dict[Place, Fraction | LogOf] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    _drawn: dict[str, list[Fraction]] = field(default_factory=dict)
    _known: dict[tuple[object, ...], tuple[Definition, Value]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def evaluate(self, term: Term, at: Mapping[Index, int] | None = None) -> Value:
        """The value of a term where the free indices have the given values (counted from 1).

        Raises:
            ZeroDivisionError: a denominator is 0 at this point.
            InexactError: the value is not exact and ``balls`` is not set.
        """
        return self._value(term, at or {}, ())

    def put(self, place: Place, value: Fraction | LogOf) -> None:
        """Give an entry another value."""
        self.values[place] = value
        self._known.clear()

    def range(self, size: Size) -> Iterator[int]:
        """The values of an index of this size."""
        self.sizes[str(size)] = value = self.size(size)
        return iter(range(1, value + 1))

    def _value(self, term: Term, at: Mapping[Index, int], seeds: tuple[Place, ...]) -> Value:
        match term:
            case Number(value):
                return self._number(value)
            case Atom(symbol, indices):
                return self._entry((str(symbol), tuple(at[i] for i in indices)), seeds)
            case Named(definition, indices):
                # The layers of a network are nested definitions: without this, time is exponential in the depth.
                asked = (id(definition), tuple(at[i] for i in indices), seeds, self.balls)
                if asked not in self._known:
                    self._known[asked] = (definition, self._value(unfold(term), at, seeds))
                return self._known[asked][1]
            case Delta(left, right):
                return self._number(Fraction(at[left] == at[right]))
            case Extent(size):
                return self._number(Fraction(sum(1 for _ in self.range(size))))
            case Add(parts):
                return _add(self._value(part, at, seeds) for part in parts)
            case Mul(factors):
                return reduce(times, (self._value(factor, at, seeds) for factor in factors))
            case Power(base, exponent):
                value = self._value(base, at, seeds)
                return reduce(times, [value if exponent > 0 else inverse(value)] * abs(exponent))
            case Sum(index, body):
                return _add(self._value(body, {**at, index: n}, seeds) for n in self.range(index.size))
            case Apply(function, argument, order):
                value = self._value(argument, at, seeds)
                if function in KNOWN:
                    return apply_function(function, order, value)
                return self._polynomial(function, order, value)
            case Call():
                return self._call(term, at, seeds)
            case Diff(body, variable):
                place = (str(variable.symbol), tuple(at[i] for i in variable.indices))
                value = self._value(body, at, (*seeds, place))
                # The seed of this derivative is the outermost dual number.
                return value.slope if isinstance(value, Dual) else self._number(Fraction(0))
            case _:
                raise TypeError(f"evaluate: not a term: {term!r}")

    def _number(self, value: Fraction) -> Value:
        return as_ball(value) if self.balls else value

    def _entry(self, place: Place, seeds: tuple[Place, ...]) -> Value:
        name = place[0]
        if place not in self.values:
            drawn = Fraction(self._random.randint(1, self.largest))
            if name.split("^")[0] in self.zeros:
                self.values[place] = Fraction(0)
            elif name in self.logarithmic:
                self.values[place] = logarithm(drawn)
            else:
                positive = self.largest < 5 or name in self.positive
                self.values[place] = drawn if positive else drawn * self._random.choice((1, -1))
        value: Value = self.values[place]
        if self.balls:
            value = as_ball(value)
        for n, seed in enumerate(seeds):
            # Every level of seeds is one level of dual numbers; entries without a seed have slope 0 there.
            one = _constant(self._number(Fraction(int(seed == place))), n, self._number(Fraction(0)))
            value = Dual(value, one)
        return value

    def _coefficients(self, name: str, count: int) -> list[Fraction]:
        drawn = self._drawn.setdefault(name, [])
        while len(drawn) < count:
            drawn.append(Fraction(self._random.randint(1, min(self.largest, 3)) * self._random.choice((1, -1))))
        return drawn[:count]

    def _polynomial(self, function: str, order: int, x: Value) -> Value:
        coefficients = self._coefficients(function, self.degree + 1)
        if self.largest < 5:
            coefficients = [Fraction(c > 0) for c in coefficients[:-1]] + [Fraction(1)]
        self.functions[f"{function}(t)"] = _shown(coefficients)
        if isinstance(x, Dual):
            return Dual(
                self._polynomial(function, order, x.value), self._polynomial(function, order + 1, x.value) * x.slope
            )
        if self.balls:
            return polynomial([as_ball(c) for c in coefficients], order, x)
        return polynomial(coefficients, order, x)

    def _call(self, term: Call, at: Mapping[Index, int], seeds: tuple[Place, ...]) -> Value:
        """``Σ_m c_m (Σ_p β_mp v_p)^m`` for m up to the degree, and its partial derivatives."""
        labels = "".join(f"_{at[i]}" for i in term.labels)
        name = f"{term.function}{labels}"
        places = list(itertools.product(*(list(self.range(b.size)) for b in term.binders)))
        values = [self._value(term.body, {**at, **dict(zip(term.binders, p, strict=True))}, seeds) for p in places]
        slots = [tuple(at[i] for i in slot) for slot in term.slots]
        total: Value = self._number(Fraction(0))
        shown = []
        for degree in range(1, self.degree + 1):
            beta = {p: self._coefficients(f"{name} β{degree}{p}", 1)[0] for p in places}
            form = _signed(f"{beta[p]}·v{''.join(map(str, p))}" for p in places)
            shown.append(f"({form})" + ("" if degree == 1 else f"^{degree}"))
            linear = _add(self._number(beta[p]) * v for p, v in zip(places, values, strict=True))
            factor = reduce(times, (beta[slot] for slot in slots), Fraction(1))
            monomial = [self._number(Fraction(int(d == degree))) for d in range(degree + 1)]
            total = total + self._number(factor) * _poly_at(monomial, len(slots), linear)
        self.functions[f"{name}(v)"] = " + ".join(shown)
        return total


def _poly_at(coefficients: Sequence[Value], order: int, x: Value) -> Value:
    if isinstance(x, Dual):
        return Dual(_poly_at(coefficients, order, x.value), _poly_at(coefficients, order + 1, x.value) * x.slope)
    return polynomial(coefficients, order, x)


def _constant(value: Value, depth: int, zero: Value) -> Value:
    for _ in range(depth):
        value = Dual(value, zero)
    return value


def _add(values: Iterator[Value]) -> Value:
    return reduce(lambda total, value: total + value, values)


def _shown(coefficients: Sequence[Fraction]) -> str:
    return _signed(_times_power(c, d) for d, c in enumerate(coefficients) if c)


def _times_power(coefficient: Fraction, degree: int) -> str:
    power = ("", "t", f"t^{degree}")[min(degree, 2)]
    return f"{coefficient}" if not degree else power if coefficient == 1 else f"{coefficient}·{power}"


def _signed(parts: Iterable[str]) -> str:
    return " + ".join(parts).replace("+ -", "- ")
