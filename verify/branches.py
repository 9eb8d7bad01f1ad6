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
from verify.interpret import interpret
from verify.statement import Leaf, Statement
from verify.trace import Step

Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """A point: leaves, seeds and weights, all exact short dyadic numbers."""

    leaves: Sequence[Reals]
    seeds: Sequence[Reals]
    weights: Sequence[Reals]


@dataclass
class _Site:
    """One comparison (of one shape): in which entries it came out positive, negative, and whether it ever moved."""

    step: Step
    first: Reals
    above: NDArray[np.bool_]
    below: NDArray[np.bool_]
    moves: NDArray[np.bool_]


@dataclass
class Coverage:
    """What the samples have driven.

    Attributes:
        outcomes: how many outcomes (two an entry) input-dependent comparisons have.
        unseen: how many of them no sample has produced, by source line.
    """

    sites: dict[tuple[int, tuple[int, ...]], _Site] = field(default_factory=dict)

    def observe(self, step: Step, x: Any, y: Any) -> int:
        """Record the margin x - y, and return how many outcomes were new."""
        margin = np.asarray(np.subtract(*np.broadcast_arrays(x, y)))
        above, below = margin > 0, margin < 0
        site = self.sites.get((id(step), margin.shape))
        if site is None:
            self.sites[id(step), margin.shape] = _Site(step, margin, above, below, np.zeros(margin.shape, bool))
            return 1
        new = int(np.sum(above & ~site.above) + np.sum(below & ~site.below))
        site.moves |= (margin != site.first) & ~(np.isnan(margin) | np.isnan(site.first))
        site.above |= above
        site.below |= below
        return new

    @property
    def outcomes(self) -> int:
        """All outcomes that input-dependent comparisons could have."""
        return sum(2 * int(site.moves.sum()) for site in self.sites.values())

    def unseen(self) -> dict[str, int]:
        """Outcomes that were not produced, by source line (or primitive)."""
        missing: dict[str, int] = {}
        for site in self.sites.values():
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
    coverage, reason = Coverage(), "the function was finite at no point that was tried"
    samples: list[Sample] = []
    candidates = _candidates(statement, generator, coverage, tries)
    for number, sample in enumerate(candidates):
        new, finite = _observe(statement, sample, coverage)
        if not finite:
            continue
        if new or len(samples) < 2:
            samples.append(sample)
        enough = len(samples) >= 2 and number >= 5 and not coverage.unseen()
        if len(samples) >= most or enough:
            break
    return samples, coverage, "" if samples else reason


def coverage_of(statement: Statement, samples: Sequence[Sample]) -> Coverage:
    """What these samples drive."""
    coverage = Coverage()
    for sample in samples:
        _observe(statement, sample, coverage)
    return coverage


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
        if moved is not None:
            yield moved


def _observe(statement: Statement, sample: Sample, coverage: Coverage) -> tuple[int, bool]:
    """New outcomes at the sample, unless the function is not finite there."""
    real, new = Real(), 0
    pending: list[tuple[Step, Any, Any]] = []

    def observer(step: Step, relation: str, x: Any, y: Any) -> None:
        if y is not None and relation not in ("eq", "ne"):
            pending.append((step, x, y))

    inputs = list(sample.leaves)
    results = interpret(statement.forward, real, inputs, observer)
    if not all(np.all(np.isfinite(y)) for y in results):
        return 0, False
    statement.claim(real, inputs, sample.seeds, observer)
    for step, x, y in pending:
        new += coverage.observe(step, x, y)
    return new, True


def _turned(statement: Statement, generator: np.random.Generator, coverage: Coverage, start: Sample) -> Sample | None:
    """``start`` moved along a random direction to where some outcome that is missing is to be expected."""
    directions = [
        np.zeros(leaf.type.shape) if i in statement.held else _sparse(generator, leaf)
        for i, leaf in enumerate(statement.leaves)
    ]
    turns = [_sparse(generator, leaf) for leaf in statement.seeds]
    steps: list[float] = []

    def observer(step: Step, relation: str, x: Any, y: Any) -> None:
        if y is None or not isinstance(x, DualArray) or not isinstance(y, DualArray):
            return
        difference = x - y
        site = coverage.sites.get((id(step), tuple(difference.shape)))
        if site is None or difference.tangent is None:
            return
        margin, slope = np.asarray(difference.primal), np.asarray(difference.tangent)
        wanted = site.moves & np.where(margin > 0, ~site.below, ~site.above) & (slope != 0)
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
    length = finite[int(generator.integers(len(finite)))] * (1 + 0.5 * generator.random())
    moved = [
        x if i in statement.held else short(x + length * d)
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
