"""Inputs in every branch: real samples that drive each comparison of a program both ways, where that can be done.

A proof holds for all inputs that take the same branches as its sample. So samples are drawn, near the given arguments
and far from them, until every comparison that depends on the inputs has come out both ways in every entry; for those
that have not, inputs are moved along a random line to where the comparison, linearised, would turn (Newton's method).
Comparisons for equality are left alone: they turn on a set of measure zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.algebra.dual import Dual, DualArray
from verify.algebra.plain import Unsupported
from verify.algebra.real import Real
from verify.gradients.choices import Choice, Study, choices
from verify.gradients.interpret import interpret
from verify.gradients.statement import Leaf, Statement
from verify.gradients.trace import Step

Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """A point: leaves, seeds and weights, all exact short dyadic numbers."""

    leaves: Sequence[Reals]
    seeds: Sequence[Reals]
    weights: Sequence[Reals]


@dataclass
class _Site:
    """One comparison (of one shape): in which entries it came out positive, negative, and whether it ever moved.

    Or one choice: in which entries it came out true, false; it moves by what it is made of.
    """

    step: Step
    first: tuple[Any, Any]
    above: NDArray[np.bool_]
    below: NDArray[np.bool_]
    moves: NDArray[np.bool_]
    met: int = 1

    def see(self, above: NDArray[np.bool_], below: NDArray[np.bool_]) -> int:
        """Record outcomes, and return how many were new."""
        self.met += 1
        new = int(np.sum(above & ~self.above) + np.sum(below & ~self.below))
        self.above |= above
        self.below |= below
        return new


@dataclass
class Coverage:
    """What the samples have driven.

    Attributes:
        study: the conditions that are to be driven, and what moves (see :mod:`verify.gradients.choices`).
        sites: the comparisons.
        chosen: the conditions.
        integers: the whole numbers that steps were given: (entry, value) pairs, as one number each.
        varied: the steps of which some differ from sample to sample.
    """

    study: Study = field(default_factory=Study)
    sites: dict[tuple[int, tuple[int, ...]], _Site] = field(default_factory=dict)
    chosen: dict[Choice, _Site] = field(default_factory=dict)
    integers: dict[tuple[int, int], NDArray[np.int64]] = field(default_factory=dict)
    varied: dict[tuple[int, int], Step] = field(default_factory=dict)

    def observe(self, step: Step, x: Any, y: Any) -> int:
        """Record the margin x - y, and return how many outcomes were new."""
        margin = np.asarray(np.subtract(*np.broadcast_arrays(x, y)))
        above, below = margin > 0, margin < 0
        site = self.sites.get((id(step), margin.shape))
        if site is None:
            # met once, in a branch perhaps, nothing is seen to move: then what it is made of counts
            moves = np.full(margin.shape, id(step) in self.study.moving)
            self.sites[id(step), margin.shape] = _Site(step, (x, y), above, below, moves)
            return 1
        # the operands, not the margin: x - 1e20 is -1e20 to float64, wherever x is
        moved = [
            (now != then) & ~(np.isnan(now) | np.isnan(then)) for now, then in zip((x, y), site.first, strict=True)
        ]
        site.moves = moved[0] | moved[1] | (site.moves if site.met > 1 else np.zeros(margin.shape, bool))
        return site.see(above, below)

    def choose(self, step: Step, position: int, value: NDArray[np.bool_]) -> int:
        """Record a condition that a step was given, and return how many of its outcomes were new."""
        site = self.chosen.get((id(step), position))
        if site is None:
            moves = np.ones(value.shape, bool)
            self.chosen[id(step), position] = _Site(step, (None, None), value.copy(), ~value, moves)
            return 1
        return site.see(value, ~value)

    def vary(self, given: dict[tuple[int, int], tuple[Step, list[NDArray[Any]]]]) -> int:
        """Record the whole numbers that steps were given at a sample, and return how many were new in their entry."""
        new = 0
        for key, (step, values) in given.items():
            codes = np.unique([v.ravel().astype(np.int64) * v.size + np.arange(v.size) for v in values])
            known = self.integers.setdefault(key, codes)
            if not np.array_equal(known, codes):  # equal, for all that the inputs do not decide
                self.integers[key] = np.union1d(known, codes)
                grown = self.integers[key].size - known.size
                self.varied[key] = step
                new += grown
        return new

    def all_sites(self) -> list[_Site]:
        """Comparisons, and conditions."""
        return [*self.sites.values(), *self.chosen.values()]

    @property
    def outcomes(self) -> int:
        """All outcomes (two an entry) that input-dependent comparisons and conditions could have."""
        return sum(2 * int(site.moves.sum()) for site in self.all_sites())

    def unseen(self) -> dict[str, int]:
        """How many outcomes no sample has produced, by source line (or primitive)."""
        missing: dict[str, int] = {}
        for site in self.all_sites():
            count = int((site.moves & ~site.above).sum() + (site.moves & ~site.below).sum())
            if count:
                key = site.step.source or site.step.primitive
                missing[key] = missing.get(key, 0) + count
        return missing


def short(x: Reals, bits: int = 10) -> Reals:
    """Rounded to ``bits`` significant bits: exact to every algebra, and short to print.

    Example:
        >>> short(np.array([0.1]), 4)
        array([0.1015625])
    """
    mantissa, exponent = np.frexp(x)
    return np.asarray(np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits))


def draw(statement: Statement, generator: np.random.Generator, number: int) -> Sample:
    """The ``number``-th kind of sample: near the arguments, centred, positive, in (0, 1), small, wide, very wide."""
    leaves = [
        _given(leaf) if i in statement.held else _draw_leaf(leaf, generator, number)
        for i, leaf in enumerate(statement.leaves)
    ]

    def normal(wanted: Sequence[Leaf]) -> list[Reals]:
        return [short(_nonzero(generator.standard_normal(leaf.type.shape))) for leaf in wanted]

    return Sample(leaves, normal(statement.seeds), normal(statement.targets))


def _given(leaf: Leaf) -> Reals:
    if leaf.given is None:
        raise TypeError(f"prove: {leaf.name} is to be held, but no value was given")
    return np.asarray(leaf.given, np.float64)


def _nonzero(x: Reals) -> Reals:
    return np.asarray(np.where(x == 0, 0.5, x))


def _draw_leaf(leaf: Leaf, generator: np.random.Generator, number: int) -> Reals:
    normal = np.asarray(generator.standard_normal(leaf.type.shape))
    kind = number % 8
    if kind in (0, 3) and leaf.given is not None and np.all(np.isfinite(np.asarray(leaf.given, np.float64))):
        given = np.asarray(leaf.given, np.float64)
        spread = float(np.std(given)) if given.size > 1 else 0.0
        near = np.where(given == 0, 0.1 * (spread or 1.0) * normal, given * np.exp(0.2 * normal))
        return short(_nonzero(near))
    match kind:
        case 1:
            return short(_nonzero(normal))
        case 2:
            return short(_nonzero(np.abs(normal) + 0.01))
        case 4:
            return short(generator.uniform(0.02, 0.98, leaf.type.shape))
        case 5:
            return short(_nonzero(0.1 * normal))
        case 6:
            return short(_nonzero(4 * normal))
        case 7:
            return short(_nonzero(30 * normal))
    return short(_nonzero(normal))


def mirrored(statement: Statement, sample: Sample) -> Sample:
    """The sample with the signs of the leaves turned: it turns most comparisons of a network's first layer."""
    leaves = [leaf if i in statement.held else -leaf for i, leaf in enumerate(sample.leaves)]
    return Sample(leaves, sample.seeds, sample.weights)


def cover(
    statement: Statement, generator: np.random.Generator, most: int, tries: int
) -> tuple[list[Sample], Coverage, str]:
    """Up to ``most`` samples that together drive the comparisons, what they drove, and why there are none (or "").

    Only points where the function is finite are taken.
    """
    coverage, reason = _coverage(statement), "the function was finite at no point that was tried"
    samples: list[Sample] = []
    variety = 0
    candidates = _candidates(statement, generator, coverage, tries)
    for number, sample in enumerate(candidates):
        new, varied, finite = _observe(statement, sample, coverage)
        if not finite:
            continue
        varied = 0 if variety == most // 2 else varied  # there may be no end of whole numbers
        if new or varied or len(samples) < 2:
            samples.append(sample)
        variety += bool(varied and not new)
        enough = len(samples) >= 2 and number >= 5 and not varied and not coverage.unseen()
        if len(samples) >= most or enough:
            break
    return samples, coverage, "" if samples else reason


def coverage_of(statement: Statement, samples: Sequence[Sample]) -> Coverage:
    """What these samples drive."""
    coverage = _coverage(statement)
    for sample in samples:
        _observe(statement, sample, coverage)
    return coverage


def _coverage(statement: Statement) -> Coverage:
    return Coverage(choices(statement.forward) | choices(statement.claimed))


def _candidates(
    statement: Statement, generator: np.random.Generator, coverage: Coverage, tries: int
) -> Iterator[Sample]:
    for number in range(tries):
        sample = draw(statement, generator, number)
        yield sample
        if number in (0, 1):
            yield mirrored(statement, sample)
    for number in range(tries):
        if not coverage.unseen():
            return
        moved = _turned(statement, generator, coverage, draw(statement, generator, number))
        yield moved or draw(statement, generator, 6 + number % 2)


def _observe(statement: Statement, sample: Sample, coverage: Coverage) -> tuple[int, int, bool]:
    """New outcomes and new whole numbers at the sample, unless the function is not finite there."""
    real, new = Real(), 0
    pending: list[tuple[Step, Any, Any]] = []
    chosen: list[tuple[Step, int, NDArray[np.bool_]]] = []
    given: dict[tuple[int, int], tuple[Step, list[NDArray[Any]]]] = {}

    def observer(step: Step, relation: str, x: Any, y: Any) -> None:
        if relation.startswith("choice "):
            key = (id(step), int(relation.removeprefix("choice ")))
            if key in coverage.study.conditions:
                chosen.append((step, key[1], x))
            elif isinstance(x, np.ndarray) and x.size and x.dtype != bool:  # nor a random key
                given.setdefault(key, (step, []))[1].append(x)
        elif y is not None and relation not in ("eq", "ne"):
            pending.append((step, x, y))

    inputs = list(sample.leaves)
    results = interpret(statement.forward, real, inputs, observer)
    if not all(np.all(np.isfinite(y)) for y in results):
        return 0, 0, False
    statement.claim(real, inputs, sample.seeds, observer)
    for step, x, y in pending:
        new += coverage.observe(step, x, y)
    for step, position, value in chosen:
        new += coverage.choose(step, position, value)
    return new, coverage.vary(given), True


def _turned(statement: Statement, generator: np.random.Generator, coverage: Coverage, start: Sample) -> Sample | None:
    """``start`` moved along a random direction to where some outcome that is missing is to be expected."""
    directions = [
        np.zeros(leaf.type.shape) if i in statement.held else _sparse(generator, leaf)
        for i, leaf in enumerate(statement.leaves)
    ]
    turns = [_sparse(generator, leaf) for leaf in statement.seeds]
    steps: list[float] = []
    # where only conditions on several comparisons are missing, any comparison is worth turning
    anything = all(bool((~site.moves | (site.above & site.below)).all()) for site in coverage.sites.values())

    def observer(step: Step, relation: str, x: Any, y: Any) -> None:
        if y is None or not isinstance(x, DualArray) or not isinstance(y, DualArray):
            return
        difference = x - y
        site = coverage.sites.get((id(step), tuple(difference.shape)))
        if site is None or difference.tangent is None:
            return
        margin, slope = np.asarray(difference.primal), np.asarray(difference.tangent)
        missing = np.where(margin > 0, ~site.below, ~site.above)
        wanted = site.moves & (missing | anything) & (slope != 0)
        if wanted.any():
            lengths = -margin[wanted] / slope[wanted]
            steps.append(float(lengths[np.argmin(np.abs(lengths))]))

    dual = Dual(Real(), hold_stopped=False)
    leaves = [DualArray(dual, x, d) for x, d in zip(start.leaves, directions, strict=True)]
    seeds = [DualArray(dual, x, d) for x, d in zip(start.seeds, turns, strict=True)]
    try:
        interpret(statement.forward, dual, leaves, observer)
        interpret(statement.claimed, dual, [*leaves, *seeds], observer)
    except Unsupported:  # a primitive without a derivative: the search goes no further, the samples stand
        return None
    finite = [step for step in steps if np.isfinite(step)]
    if not finite:
        return None
    beyond = 0.5 * 10.0 ** -int(generator.integers(4))  # how far past the turn: the next may be near
    length = finite[int(generator.integers(len(finite)))] * (1 + beyond * generator.random())
    moved = [
        x if i in statement.held else short(x + length * d, bits=20)
        for i, (x, d) in enumerate(zip(start.leaves, directions, strict=True))
    ]
    turned = [short(_nonzero(x + length * d)) for x, d in zip(start.seeds, turns, strict=True)]
    return Sample(moved, turned, start.weights)


def _sparse(generator: np.random.Generator, leaf: Leaf) -> Reals:
    """A random direction: all entries, or one of them."""
    direction = np.asarray(generator.standard_normal(leaf.type.shape))
    if direction.size > 1 and generator.random() < 0.5:
        only = np.zeros(direction.size)
        only[generator.integers(direction.size)] = 1.0
        return only.reshape(direction.shape)
    return direction
