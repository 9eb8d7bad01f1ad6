"""Terms at small sizes, in exact arithmetic: the second opinion on a proof, and the counterexample to a false claim.

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

from flint import arb, ctx

from verify.indexed.canonical import Assumption
from verify.indexed.exact import (
    KNOWN,
    Dual,
    InexactError,
    LogOf,
    Value,
    apply_function,
    as_ball,
    inverse,
    is_zero,
    logarithm,
    polynomial,
)
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
    Size,
    Sum,
    Term,
    children,
    free,
    unfold,
)

__all__ = ["Counterexample", "Instance", "World", "find_counterexample", "search"]

Place = tuple[str, tuple[int, ...]]
_TRIES = 40
_CHOICE = 3


@dataclass(frozen=True)
class Counterexample:
    """Values at which the two sides of a claim differ.

    Attributes:
        sizes: the value of each size.
        indices: the value of each free index of the claim.
        values: what each entry was set to.
        left: the left side there, a fraction or a rigorous enclosure.
        right: the right side there.
    """

    sizes: Mapping[str, int]
    indices: Mapping[str, int]
    values: Mapping[str, str]
    left: str
    right: str

    def __str__(self) -> str:
        where = ", ".join(f"{name}={value}" for name, value in (*self.sizes.items(), *self.indices.items()))
        given = ", ".join(f"{name}={value}" for name, value in self.values.items())
        return f"{where or 'no index'}; {given}: the left side is {self.left}, the right side {self.right}"

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "sizes": dict(self.sizes),
            "indices": dict(self.indices),
            "values": dict(self.values),
            "left": self.left,
            "right": self.right,
        }


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

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def evaluate(self, term: Term, at: Mapping[Index, int] | None = None) -> Value:
        """The value of a term where the free indices have the given values (counted from 1).

        Raises:
            ZeroDivisionError: a denominator is 0 at this point.
            InexactError: the value is not exact and ``balls`` is not set.
        """
        return self._value(term, at or {}, ())

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
            case Named():
                return self._value(unfold(term), at, seeds)
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
    return _signed(f"{c}" + ("" if d == 0 else "·t" if d == 1 else f"·t^{d}") for d, c in enumerate(coefficients))


def _signed(parts: Iterable[str]) -> str:
    return " + ".join(parts).replace("+ -", "- ")


@dataclass(frozen=True)
class Instance:
    """What is compared: two sides, the assumptions under which, and the symbols that are 0 throughout.

    Attributes:
        left: a term.
        right: a term.
        assumptions: equations that the drawn values are made to satisfy.
        zeros: names of symbols whose entries are all 0: they are only there to be differentiated in.
        largest_size: the greatest value of a size to try.
    """

    left: Term
    right: Term
    assumptions: tuple[Assumption, ...] = ()
    zeros: frozenset[str] = frozenset()
    largest_size: int = 3


def find_counterexample(
    left: Term, right: Term, assumptions: Sequence[Assumption] = (), tries: int = _TRIES
) -> Counterexample | None:
    """Values at which the assumptions hold and the two sides differ, or None where none was found.

    Example:
        >>> from verify.indexed.terms import Symbol, sum_over
        >>> k = Index("k", Size("n"))
        >>> x = Symbol("x", (k.size,))
        >>> print(find_counterexample(sum_over(k, x[k]) ** 2, sum_over(k, x[k] ** 2)))
        n=2; x_1=2, x_2=1: the left side is 9, the right side 5
    """
    return search(Instance(left, right, tuple(assumptions)), tries)[0]


def search(case: Instance, tries: int = _TRIES) -> tuple[Counterexample | None, int]:
    """The shortest of the first few counterexamples, and at how many points the sides were compared.

    Every point is a full set of values: small sizes, small numbers.
    """
    sides = [case.left, case.right, *(side for a in case.assumptions for side in (a.left, a.right))]
    logarithmic, positive = _places_of_functions(sides)
    indices = sorted(free(case.left) | free(case.right), key=lambda i: i.name)
    points = 0
    found: list[Counterexample] = []
    for attempt in range(tries):
        world = _world(attempt, logarithmic, positive, case)
        try:
            if not _satisfy(world, case.assumptions):
                continue
            for place in itertools.product(*(list(world.range(i.size)) for i in indices)):
                points += 1
                example = _compare(world, case.left, case.right, dict(zip(indices, place, strict=True)))
                if example is not None:
                    found.append(example)
                    break
        except (ZeroDivisionError, InexactError):
            continue  # a pole, or no exact value: another point
        if len(found) == _CHOICE:
            break
    return min(found, key=lambda example: len(str(example)), default=None), points


def _world(attempt: int, logarithmic: frozenset[str], positive: frozenset[str], case: Instance) -> World:
    draw = random.Random(attempt)
    sizes: dict[str, int] = {}

    def size(which: Size) -> int:
        first = attempt + 1 if attempt < case.largest_size else draw.randint(1, case.largest_size)
        return sizes.setdefault(str(which), first)

    # Half of the worlds are of small numbers, for short counterexamples; cubic functions tell more apart.
    largest, degree = ((1, 2), (2, 2), (5, 3), (5, 3))[attempt % 4]
    return World(size, attempt, logarithmic, positive, case.zeros, largest, degree)


def _compare(world: World, left: Term, right: Term, at: Mapping[Index, int]) -> Counterexample | None:
    world.balls = False
    try:
        one, other = world.evaluate(left, at), world.evaluate(right, at)
        difference = one + -other
    except InexactError:
        world.balls = True
        precision, ctx.prec = ctx.prec, 256
        try:
            one, other = world.evaluate(left, at), world.evaluate(right, at)
            difference = one + -other
        finally:
            ctx.prec = precision
            world.balls = False
    if is_zero(difference):
        return None
    values = {
        f"{name}_{_braced(place)}" if place else name: str(value)
        for (name, place), value in sorted(world.values.items())
        if name.split("^")[0] not in world.zeros
    }
    return Counterexample(
        dict(sorted(world.sizes.items())),
        {i.name: n for i, n in at.items()},
        values | dict(sorted(world.functions.items())),
        _number_text(one),
        _number_text(other),
    )


def _braced(place: tuple[int, ...]) -> str:
    return str(place[0]) if len(place) == 1 else "{" + ",".join(map(str, place)) + "}"


def _number_text(value: Value) -> str:
    return str(value.str(20)) if isinstance(value, arb) else str(value)


def _places_of_functions(terms: Sequence[Term]) -> tuple[frozenset[str], frozenset[str]]:
    """The symbols inside exponentials (drawn as logarithms) and those inside logarithms (drawn positive)."""
    logarithmic: set[str] = set()
    positive: set[str] = set()

    def visit(term: Term, into: set[str] | None) -> None:
        if isinstance(term, Atom) and into is not None:
            into.add(str(term.symbol))
        inside = into
        if isinstance(term, Apply) and term.function in KNOWN:
            inside = positive if term.function == "log" else logarithmic
        for child in (unfold(term),) if isinstance(term, Named) else children(term):
            visit(child, inside)

    for term in terms:
        visit(term, None)
    return frozenset(logarithmic), frozenset(positive)


def _satisfy(world: World, assumptions: Sequence[Assumption]) -> bool:
    """Make the assumptions hold by solving each for one entry that it is linear in; False where that fails."""
    cases = [
        (a, dict(zip(indices, place, strict=True)))
        for a in assumptions
        for indices in [sorted(free(a.left) | free(a.right), key=lambda i: i.name)]
        for place in itertools.product(*(list(world.range(i.size)) for i in indices))
    ]
    fixed: set[Place] = set()
    for assumption, at in cases:
        if not _solve(world, assumption, at, fixed):
            return False
    return all(is_zero(_residual(world, assumption, at)) for assumption, at in cases)


def _residual(world: World, assumption: Assumption, at: Mapping[Index, int]) -> Value:
    return world.evaluate(assumption.left, at) + -world.evaluate(assumption.right, at)


def _solve(world: World, assumption: Assumption, at: Mapping[Index, int], fixed: set[Place]) -> bool:
    if is_zero(_residual(world, assumption, at)):
        return True
    names = {str(t.symbol) for side in (assumption.left, assumption.right) for t in _atoms(side)}
    for place in sorted(p for p in world.values if p[0] in names and p not in fixed):
        kept = world.values[place]
        if isinstance(kept, LogOf):
            continue
        residuals = []
        for trial in (0, 1, 2):
            world.values[place] = Fraction(trial)
            residuals.append(_residual(world, assumption, at))
        r0, r1, r2 = residuals
        if all(isinstance(r, Fraction) for r in residuals) and r2 - r1 == r1 - r0 != 0:
            world.values[place] = -r0 / (r1 - r0)
            fixed.add(place)
            return True
        world.values[place] = kept
    return False


def _atoms(term: Term) -> Iterator[Atom]:
    if isinstance(term, Atom):
        yield term
    for child in (unfold(term),) if isinstance(term, Named) else children(term):
        yield from _atoms(child)
