"""What a wrong value has to do with the right one: a factor, a constant, a dropped cotangent, a forgotten path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb

from verify.algebra.ball import Ball, Undecided, precision
from verify.algebra.literals import CONSTANTS
from verify.algebra.plain import Algebra, as_array
from verify.gradients.branches import Reals, Sample
from verify.gradients.enclosure import Enclosed, Measure, enclose, exact, leaves_as_balls, one
from verify.gradients.statement import Statement
from verify.gradients.trace import with_stop

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
    measure = Measure(statement, sample, hold_stopped)
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
    measures = [Measure(statement, sample, hold_stopped=True) for sample in samples[:2]]
    for position, step in enumerate(statement.forward.steps):
        if not statement.forward.types[step.outputs[0]].floating:
            continue
        for measure in measures:
            measure.statement = replace(statement, forward=with_stop(statement.forward, position))
        if step.source and all(measure.difference(weights) <= 1e-12 for measure in measures):
            where = f"{step.primitive!r} at {step.source}"
            return [f"it is the derivative with one value held constant: the path through {where} is missing"]
    return []
