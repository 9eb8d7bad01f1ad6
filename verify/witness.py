"""Where a gradient is wrong: one entry at one real input, both values enclosed so that they cannot be equal.

What the field says is only "not equal". Here the two sides are enclosed by balls at an exact input, with rising
precision, until they are apart (the gradient is wrong) or agree to far more digits than any error would leave.
The witness is then checked against JAX itself: if running the function does not give what the interpreter says, the
fault may be the interpreter's, and nothing is claimed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
from flint import arb
from numpy.typing import NDArray

from verify.algebra.ball import Ball, Undecided, precision
from verify.algebra.literals import CONSTANTS
from verify.algebra.plain import Algebra, as_array
from verify.algebra.real import Real
from verify.branches import Reals, Sample, short
from verify.interpret import interpret
from verify.statement import Leaf, Statement, project
from verify.trace import with_stop

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
                claimed = _where_weighted(ball, statement.claim(ball, leaves, seeds), weights)
                truth = statement.truth(ball, leaves, seeds, balls, hold_stopped)
            except Undecided:
                continue
            last = Enclosed(as_array(claimed)[()], as_array(truth)[()])
            if last.apart or last.agree or blur:
                return last
    return last


def _where_weighted(algebra: Algebra, claimed: Sequence[Any], weights: Sequence[Reals | None]) -> Any:
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


class _Measure:
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
        claimed = float(_where_weighted(self.algebra, self.claimed, weights))
        size = sum(
            float(np.sum(np.abs(g * w), where=w != 0))
            for g, w in zip(self.claimed, weights, strict=True)
            if w is not None
        )
        truth = self.truth(weights)
        if not math.isfinite(claimed):
            return math.inf
        return abs(claimed - truth) / max(size, abs(truth), 1e-300)


NOTICEABLE = 1e-11


def find(statement: Statement, sample: Sample, hold_stopped: bool) -> tuple[int, tuple[int, ...]] | None:
    """A target and an entry of it where the sides differ at the sample (by floats; by balls where too coarse)."""
    measure = _Measure(statement, sample, hold_stopped)

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
    measure = _Measure(statement, sample, hold_stopped)
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
                if a[index].is_finite() and b[index].is_finite() and a[index] != b[index]:
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


_VISIBLE = 1e-5


def looks(
    statement: Statement,
    samples: Sequence[Sample],
    sample: Sample,
    target: int,
    index: tuple[int, ...],
    hold_stopped: bool,
    enclosed: Enclosed,
) -> list[str]:
    """Remarks on what the wrong value has to do with the right one."""
    if not enclosed.claimed.is_finite():
        return ["the claimed value is not a number: somewhere 0 * inf, inf - inf or a function outside its domain"]
    weights = one(statement.targets, target, index)
    pairs = [enclosed]
    for other in samples:
        pair = enclose(statement, other, weights, hold_stopped)
        if pair is not None and pair.claimed.is_finite() and pair.truth.is_finite():
            pairs.append(pair)
    remarks = []
    if all(bool(p.claimed.is_zero()) for p in pairs):
        remarks.append("the claimed value is 0 at every input tried: the gradient is lost here")
    ratio = _constant([p.claimed / p.truth for p in pairs if not p.truth.contains(0)], len(pairs))
    if ratio is not None and ratio != 0:
        remarks.append(f"claimed / true = {_recognised(ratio)} at every input tried")
    if ratio is None:
        difference = _constant([p.claimed - p.truth for p in pairs], len(pairs))
        if difference is not None:
            remarks.append(f"claimed - true = {_recognised(difference)} at every input tried")
    remarks += _seed_remarks(statement, sample, target, index, hold_stopped, enclosed)
    remarks += _position_remarks(statement, sample, target, index, hold_stopped, enclosed)
    remarks += _path_remarks(statement, [sample, *samples], target)
    if enclosed.bound() < _VISIBLE:
        remarks.append(
            f"the difference is {enclosed.bound():.1e} of the value: float32 hardly shows it, and it is to be expected "
            "where the function computes an approximation and the rule the exact derivative"
        )
    elif not remarks:
        with precision(64):
            quotient = enclosed.claimed / enclosed.truth if not enclosed.truth.contains(0) else None
        if quotient is not None:
            remarks.append(f"claimed / true = {float(quotient.mid()):.6g} here; it changes with the input")
    return remarks


def _constant(values: Sequence[arb], wanted: int) -> float | None:
    if wanted < 2 or len(values) < wanted:
        return None
    numbers = [float(v.mid()) for v in values]
    same = all(abs(v - numbers[0]) <= 1e-13 * abs(numbers[0]) for v in numbers)
    return numbers[0] if same else None


def _recognised(value: float) -> str:
    fraction = Fraction(value).limit_denominator(1000)
    if abs(float(fraction) - value) <= 1e-13 * abs(value):
        return str(fraction) if fraction.denominator == 1 else f"{fraction} = {value:.10g}"
    for name, constant in CONSTANTS.items():
        fraction = Fraction(value / constant).limit_denominator(32)
        if fraction and abs(float(fraction) * constant - value) <= 1e-13 * abs(value):
            return f"{fraction} * {name} = {value:.10g}"
    return f"{value:.12g}"


def _same(x: arb, y: arb) -> bool:
    return bool(x.overlaps(y)) and abs(float(x.mid()) - float(y.mid())) <= 1e-12 * abs(float(y.mid()))


def _entry(values: Sequence[Any], target: int, index: tuple[int, ...]) -> arb:
    return np.asarray(as_array(values[target]))[index]


def _seed_remarks(
    statement: Statement, sample: Sample, target: int, index: tuple[int, ...], hold_stopped: bool, enclosed: Enclosed
) -> list[str]:
    word = {"vjp": "cotangent", "jvp": "tangent", "hvp": "vector"}[statement.kind]
    ball: Algebra = Ball()
    remarks = []
    with precision(128):
        leaves = leaves_as_balls(statement, sample, Ball())
        doubled = exact([3.0 * s for s in sample.seeds])
        try:
            tripled = _entry(statement.claim(ball, leaves, doubled), target, index)
        except Undecided:
            return []
        if _same(tripled, enclosed.claimed) and not enclosed.claimed.is_zero():
            remarks.append(f"the claimed value does not change with the {word}: the incoming {word} is dropped")
        elif not _same(tripled, 3 * enclosed.claimed) and not enclosed.claimed.is_zero():
            remarks.append(f"the claimed value is not linear in the {word}")
        if statement.kind == "vjp" and enclosed.truth.is_zero():
            for seed, leaf in zip(sample.seeds, statement.seeds, strict=True):
                if seed.shape == sample.weights[target].shape and _same(enclosed.claimed, arb(float(seed[index]))):
                    remarks.append(
                        f"the function is flat here (its derivative is 0) and the rule hands on the cotangent of "
                        f"{leaf.name}: a straight-through estimator"
                    )
    return remarks


def _position_remarks(
    statement: Statement, sample: Sample, target: int, index: tuple[int, ...], hold_stopped: bool, enclosed: Enclosed
) -> list[str]:
    """Is the claimed value the true one of another entry?"""
    shape = statement.targets[target].type.shape
    size = int(np.prod(shape))
    if size > 256 or enclosed.claimed.is_zero():
        return []
    measure = _Measure(statement, sample, hold_stopped)
    claimed = float(enclosed.claimed.mid())
    for k in range(size):
        other = tuple(int(i) for i in np.unravel_index(k, shape))
        if other != index and abs(measure.truth(one(statement.targets, target, other)) - claimed) <= 1e-12 * abs(
            claimed
        ):
            swapped = len(shape) == 2 and other == index[::-1]
            return [f"it is the true value of entry {list(other)}" + (": transposed?" if swapped else "")]
    return []


_MOST_STEPS = 150


def _path_remarks(statement: Statement, samples: Sequence[Sample], target: int) -> list[str]:
    """Is the claim the derivative with some intermediate value held constant: a path that was forgotten?"""
    if len(statement.forward.steps) > _MOST_STEPS or statement.forward.size > 20_000:
        return []
    weights: list[Reals | None] = [None] * len(statement.targets)
    weights[target] = samples[0].weights[target]
    measures = [_Measure(statement, sample, hold_stopped=True) for sample in samples[:2]]
    for position, step in enumerate(statement.forward.steps):
        if not statement.forward.types[step.outputs[0]].floating:
            continue
        for measure in measures:
            measure.statement = replace(statement, forward=with_stop(statement.forward, position))
        if step.source and all(measure.difference(weights) <= 1e-12 for measure in measures):
            where = f"{step.primitive!r} at {step.source}"
            return [f"it is the derivative with one value held constant: the path through {where} is missing"]
    return []
