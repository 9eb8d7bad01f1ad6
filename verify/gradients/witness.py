"""Where a gradient is wrong: one entry at one real input, both values enclosed so that they cannot be equal.

The entry is found by halving, with float64 first and with balls where that is too coarse; balls have the last word.
The witness is then checked against JAX itself: if running the function does not give what the interpreter says, the
fault may be the interpreter's, and nothing is claimed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from flint import arb

from verify.algebra.ball import Ball, Undecided, precision
from verify.algebra.plain import as_array
from verify.gradients.branches import Reals, Sample, short
from verify.gradients.enclosure import PRECISIONS, Enclosed, Measure, enclose, exact, leaves_as_balls, one
from verify.gradients.interpret import interpret
from verify.gradients.remarks import looks
from verify.gradients.statement import Leaf, Statement


@dataclass(frozen=True)
class Witness:
    """A real input at which one entry of the claimed derivative is not the derivative.

    Attributes:
        leaf, index: which entry.
        claimed, truth: enclosures, as text.
        looks: what the ratio or the difference looks like, one remark a line.
        wrong, looked_at: how many of the entries looked at in this leaf are wrong.
        wrong_leaves, leaves: names.
        sample: the input.
    """

    leaf: str
    index: tuple[int, ...]
    claimed: str
    truth: str
    looks: Sequence[str]
    wrong: int
    looked_at: int
    wrong_leaves: Sequence[str]
    right_leaves: Sequence[str]
    inputs: Sequence[tuple[str, Reals]]
    seeds: Sequence[tuple[str, Reals]]


NOTICEABLE = 1e-11


def find(statement: Statement, sample: Sample, hold_stopped: bool) -> tuple[int, tuple[int, ...]] | None:
    """A target and an entry of it where the sides differ at the sample (by floats; by balls where too coarse)."""
    measure = Measure(statement, sample, hold_stopped)

    def by_floats(weights: Sequence[Reals | None]) -> bool:
        return measure.difference(weights) > NOTICEABLE

    def by_balls(weights: Sequence[Reals | None]) -> bool:
        enclosed = enclose(statement, sample, weights, hold_stopped)
        return enclosed is not None and enclosed.apart

    for differs in (by_floats, by_balls):
        found = _bisect(statement, sample, differs)
        if found is not None:
            target, index = found
            if by_balls(one(statement.targets, target, index)):
                return found
    return None


def _bisect(
    statement: Statement, sample: Sample, differs: Callable[[Sequence[Reals | None]], bool]
) -> tuple[int, tuple[int, ...]] | None:
    for target, weight in enumerate(sample.weights):
        weights: list[Reals | None] = [None] * len(sample.weights)
        weights[target] = weight
        if not differs(weights):
            continue
        entries = np.arange(weight.size)
        while entries.size > 1:
            half = entries[: entries.size // 2]
            part = np.zeros(weight.size)
            part[half] = weight.ravel()[half]
            weights[target] = part.reshape(weight.shape)
            entries = half if differs(weights) else entries[entries.size // 2 :]
        return target, tuple(int(i) for i in np.unravel_index(int(entries[0]), weight.shape))
    return None


MOST_ENTRIES = 48


def describe(
    statement: Statement,
    sample: Sample,
    target: int,
    index: tuple[int, ...],
    hold_stopped: bool,
    generator: np.random.Generator,
) -> Witness | None:
    """The witness in words, or None where running JAX itself does not bear out what the interpreter says."""
    weights = one(statement.targets, target, index)
    enclosed = enclose(statement, sample, weights, hold_stopped)
    if enclosed is None or not enclosed.apart or not agrees_with_jax(statement, sample, target, index, enclosed):
        return None
    measure = Measure(statement, sample, hold_stopped)
    leaf = statement.targets[target]
    size = int(np.prod(leaf.type.shape))
    looked = range(size) if size <= MOST_ENTRIES else sorted(map(int, generator.choice(size, MOST_ENTRIES, False)))
    at = [tuple(int(i) for i in np.unravel_index(k, leaf.type.shape)) for k in looked]
    wrong = sum(measure.difference(one(statement.targets, target, i)) > NOTICEABLE for i in at)
    parts = []
    for other, weight in enumerate(sample.weights):
        only: list[Reals | None] = [None] * len(sample.weights)
        only[other] = weight
        parts.append(other == target or measure.difference(only) > NOTICEABLE)
    names = [leaf.name for leaf in statement.targets]
    return Witness(
        leaf=leaf.name,
        index=index,
        claimed=_text(enclosed.claimed),
        truth=_text(enclosed.truth),
        looks=looks(statement, _others(statement, sample, generator), sample, target, index, hold_stopped, enclosed),
        wrong=max(wrong, 1),
        looked_at=len(at),
        wrong_leaves=[name for name, bad in zip(names, parts, strict=True) if bad],
        right_leaves=[name for name, bad in zip(names, parts, strict=True) if not bad],
        inputs=_named(statement.leaves, sample.leaves),
        seeds=_named(statement.seeds, sample.seeds),
    )


def _others(statement: Statement, sample: Sample, generator: np.random.Generator) -> list[Sample]:
    """Points near the witness, each with seeds of its own."""
    samples = []
    for _ in range(3):
        leaves = [
            leaf if i in statement.held else short(leaf * np.exp(0.1 * generator.standard_normal(leaf.shape)))
            for i, leaf in enumerate(sample.leaves)
        ]
        seeds = [short(generator.standard_normal(seed.shape)) for seed in sample.seeds]
        samples.append(Sample(leaves, seeds, sample.weights))
    return samples


def other_results(statement: Statement, sample: Sample) -> Witness | None:
    """A result that a rule's forward pass gives and the function does not; None where the enclosures allow equality."""
    for bits in PRECISIONS[:2]:
        with precision(bits):
            ball = Ball()
            leaves, seeds = leaves_as_balls(statement, sample, ball), exact(sample.seeds)
            try:
                values = statement.claim_and_results(ball, leaves, seeds)[1]
                results = interpret(statement.forward, ball, leaves)
            except Undecided:
                continue
        for leaf, value, result in zip(statement.results, values, results, strict=True):
            a: Any = as_array(value)
            b: Any = as_array(result)
            for index in np.ndindex(*a.shape):
                if b[index].is_finite() and (not a[index].is_finite() or a[index] != b[index]):
                    return Witness(
                        leaf=leaf.name,
                        index=index,
                        claimed=_text(a[index]),
                        truth=_text(b[index]),
                        looks=[
                            "this is a result, not a derivative: the rule's forward pass does not compute the function"
                        ],
                        wrong=1,
                        looked_at=1,
                        wrong_leaves=[leaf.name],
                        right_leaves=[],
                        inputs=_named(statement.leaves, sample.leaves),
                        seeds=[],
                    )
    return None


def _named(leaves: Sequence[Leaf], values: Sequence[Reals]) -> list[tuple[str, Reals]]:
    return [(leaf.name, value) for leaf, value in zip(leaves, values, strict=True)]


def _text(value: arb) -> str:
    return "nan" if not value.is_finite() else str(value.str(10, radius=True))


def agrees_with_jax(
    statement: Statement, sample: Sample, target: int, index: tuple[int, ...], enclosed: Enclosed
) -> bool:
    """Does JAX, run at the sample, return the claimed value (up to its rounding), and the forward value?"""
    leaves = [jnp.asarray(v, leaf.type.dtype) for v, leaf in zip(sample.leaves, statement.leaves, strict=True)]
    seeds = [jnp.asarray(v, leaf.type.dtype) for v, leaf in zip(sample.seeds, statement.seeds, strict=True)]
    got = float(np.asarray(statement.run_claimed(*leaves, *seeds)[target], np.float64)[index])
    if not enclosed.claimed.is_finite():
        claimed_right = not math.isfinite(got)
    else:
        claimed_right = _close(np.asarray(got), np.asarray(float(enclosed.claimed.mid())), statement)
    with precision(64):
        try:
            mine = interpret(statement.forward, Ball(), leaves_as_balls(statement, sample, Ball()))
        except Undecided:
            return False
    theirs = statement.run(*leaves)
    forward_right = all(
        _close(
            np.asarray(b, np.float64), np.asarray(np.frompyfunc(_middle, 1, 1)(as_array(a))).astype(float), statement
        )
        for a, b in zip(mine, theirs, strict=True)
    )
    return claimed_right and forward_right


def _middle(value: arb) -> float:
    return float(value.mid()) if value.is_finite() else math.nan


def _close(x: Reals, y: Reals, statement: Statement) -> bool:
    coarse = any(np.dtype(leaf.type.dtype).itemsize < 4 for leaf in statement.leaves)
    scale = float(np.max(np.abs(y), initial=0.0)) + 1e-3
    return bool(np.all(np.abs(x - y) <= (0.1 if coarse else 2e-2) * scale))
