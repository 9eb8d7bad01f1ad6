"""Terms at small sizes, in exact arithmetic: the second opinion on a proof, and the counterexample to a false claim."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, ctx

from verify.indexed.canonical import Assumption
from verify.indexed.exact import (
    KNOWN,
    InexactError,
    LogOf,
    Value,
    is_zero,
)
from verify.indexed.structure import children, free, unfold
from verify.indexed.terms import (
    Apply,
    Atom,
    Index,
    Named,
    Size,
    Term,
)
from verify.indexed.world import Place, World

__all__ = ["Counterexample", "Instance", "find_counterexample", "search"]

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
        n=2; x_1=1, x_2=1: the left side is 4, the right side 2
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
        first = (1, 1, 2, 2)[attempt] if attempt < 4 else draw.randint(1, case.largest_size)
        return sizes.setdefault(str(which), first)

    # Half of the worlds are of small numbers, for short counterexamples; cubic functions tell more apart.
    largest, degree = ((1, 2), (2, 2), (2, 2), (5, 3))[attempt % 4]
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
            world.put(place, Fraction(trial))
            residuals.append(_residual(world, assumption, at))
        r0, r1, r2 = residuals
        if all(isinstance(r, Fraction) for r in residuals) and r2 - r1 == r1 - r0 != 0:
            world.put(place, -r0 / (r1 - r0))
            fixed.add(place)
            return True
        world.put(place, kept)
    return False


def _atoms(term: Term) -> Iterator[Atom]:
    if isinstance(term, Atom):
        yield term
    for child in (unfold(term),) if isinstance(term, Named) else children(term):
        yield from _atoms(child)
