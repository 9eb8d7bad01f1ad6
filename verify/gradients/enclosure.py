"""Both sides of a statement enclosed at an exact input, with rising precision until they are apart or agree.

What the field says is only "not equal". Two enclosures that do not meet are a proof that the sides differ; two that
meet, and are smaller than any error would be, are as good as a proof at that input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from verify.algebra.ball import Ball, Undecided, precision
from verify.algebra.plain import Algebra, as_array
from verify.algebra.real import Real
from verify.gradients.branches import Reals, Sample
from verify.gradients.statement import Leaf, Statement, project

PRECISIONS = (64, 256, 512, 1024)
AGREEMENT = 2.0**-100


@dataclass(frozen=True)
class Enclosed:
    """Both sides of a projection: apart, in agreement, or neither."""

    claimed: arb
    truth: arb

    @property
    def apart(self) -> bool:
        """Can they not be equal? (A claimed nan against a finite truth counts.)"""
        if not self.claimed.is_finite():
            return bool(self.truth.is_finite())
        return bool(self.truth.is_finite() and self.claimed != self.truth)

    @property
    def agree(self) -> bool:
        """Do they overlap, in balls so small that a difference would have shown?"""
        if not (self.claimed.is_finite() and self.truth.is_finite()) or self.claimed != self.truth:
            return False
        return self.bound() < AGREEMENT

    def bound(self) -> float:
        """The largest possible difference, relative to the size of the values (at least 1e-30)."""
        with precision(PRECISIONS[-1]):
            size = max(float(abs(self.truth).upper()), 1e-30)
            return float((abs(self.claimed - self.truth) / arb(size)).upper())


def exact(values: Sequence[Reals]) -> list[NDArray[np.object_]]:
    """Float64 arrays as exact balls."""
    return [np.asarray(as_array(np.frompyfunc(arb, 1, 1)(np.asarray(v, np.float64)))) for v in values]


def leaves_as_balls(statement: Statement, sample: Sample, ball: Ball) -> list[NDArray[np.object_]]:
    """The leaves at a sample: exact, or (where held) the numbers that the given literals stand for."""
    balls = exact(sample.leaves)
    for i in statement.held:
        given = statement.leaves[i].given
        if given is not None:
            balls[i] = ball.constant(given)
    return balls


def enclose(
    statement: Statement, sample: Sample, weights: Sequence[Reals | None], hold_stopped: bool, blur: bool = False
) -> Enclosed | None:
    """Both sides projected on ``weights``, with rising precision until decided; None where no precision decides."""
    last: Enclosed | None = None
    ball = Ball(blur)
    for bits in PRECISIONS:
        with precision(bits):
            try:
                leaves = leaves_as_balls(statement, sample, ball)
                seeds = exact(sample.seeds)
                balls = [None if w is None else exact([w])[0] for w in weights]
                claimed = where_weighted(ball, statement.claim(ball, leaves, seeds), weights)
                truth = statement.truth(ball, leaves, seeds, balls, hold_stopped)
            except Undecided:
                continue
            last = Enclosed(as_array(claimed)[()], as_array(truth)[()])
            if last.apart or last.agree or blur:
                return last
    return last


def where_weighted(algebra: Algebra, claimed: Sequence[Any], weights: Sequence[Reals | None]) -> Any:
    """The projection of the claim on what has a weight: a nan elsewhere is none of its business."""
    arrays, chosen = [], []
    for array, weight in zip(claimed, weights, strict=True):
        if weight is not None:
            arrays.append(np.asarray(as_array(array))[weight != 0])
            part = weight[weight != 0]
            chosen.append(part if isinstance(algebra, Real) else exact([part])[0])
    return project(algebra, arrays, chosen)


def one(targets: Sequence[Leaf], target: int, index: tuple[int, ...]) -> list[Reals | None]:
    """Weights that pick one entry."""
    weights: list[Reals | None] = [None] * len(targets)
    weight = np.zeros(targets[target].type.shape)
    weight[index] = 1.0
    weights[target] = weight
    return weights


class Measure:
    """Float64 differences between the sides, for the search of an entry (the balls have the last word)."""

    def __init__(self, statement: Statement, sample: Sample, hold_stopped: bool) -> None:
        self.statement, self.sample, self.hold_stopped = statement, sample, hold_stopped
        self.algebra = Real()
        with np.errstate(all="ignore"):
            self.claimed = [
                np.asarray(g) for g in statement.claim(self.algebra, list(sample.leaves), list(sample.seeds))
            ]

    def truth(self, weights: Sequence[Reals | None]) -> float:
        with np.errstate(all="ignore"):
            value = self.statement.truth(
                self.algebra, list(self.sample.leaves), list(self.sample.seeds), list(weights), self.hold_stopped
            )
        return float(value)

    def difference(self, weights: Sequence[Reals | None]) -> float:
        """|claimed - truth| relative to the terms that were summed; inf where the claim is not finite."""
        claimed = float(where_weighted(self.algebra, self.claimed, weights))
        size = sum(
            float(np.sum(np.abs(g * w), where=w != 0))
            for g, w in zip(self.claimed, weights, strict=True)
            if w is not None
        )
        truth = self.truth(weights)
        if not math.isfinite(claimed):
            return math.inf
        return abs(claimed - truth) / max(size, abs(truth), 1e-300)
