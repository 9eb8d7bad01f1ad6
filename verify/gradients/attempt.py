"""One statement at its samples: trials in the field, and what follows where they do not prove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from verify.algebra.field import Field
from verify.algebra.plain import Undecided
from verify.gradients.branches import Sample, draw
from verify.gradients.enclosure import enclose
from verify.gradients.proof import Proof
from verify.gradients.statement import Statement, project
from verify.gradients.witness import describe, find, other_results

RISK = 2.0**-50
"""The largest probability of error that a proof may have (shared out among its samples)."""
_MOST_TRIALS = 8
_POINTS_TO_CERTIFY = 6
_ROUNDING = 1e-5


@dataclass
class Tally:
    """What trials at several samples came to.

    Attributes:
        proved: samples at which both sides are equal, the probability of luck pressed below its share.
        unequal: samples at which they are not.
        vague: samples at which they are, but luck could not be excluded.
        silent: samples at which no trial said anything (an overflow, a comparison too close to call).
        strange: samples at which the results, as the rules' forward passes give them, are not the function's.
        tied: samples at which a comparison is too close to call: a kink, perhaps, where there is no derivative.
        error: the sum of the probabilities of ``proved``.
        readings: long literals, and the constants they were read as.
    """

    proved: list[Sample] = field(default_factory=list)
    unequal: list[Sample] = field(default_factory=list)
    vague: list[Sample] = field(default_factory=list)
    silent: list[Sample] = field(default_factory=list)
    strange: list[Sample] = field(default_factory=list)
    tied: list[Sample] = field(default_factory=list)
    error: float = 0.0
    readings: dict[str, str] = field(default_factory=dict)


class Attempt:
    """Trials of one statement.

    Args:
        statement: what is to be decided.
        generator: of random points.
        samples: one in every branch that is to be looked at.
    """

    def __init__(self, statement: Statement, generator: np.random.Generator, samples: Sequence[Sample]) -> None:
        self.statement, self.generator, self.samples = statement, generator, samples

    def run(self, plain: Proof, hold_stopped: bool) -> tuple[Proof, Tally]:
        """The verdict, with ``stop_gradient`` obeyed or ignored, and the trials it rests on."""
        tally = self.trials(hold_stopped)
        if tally.unequal and tally.readings:  # perhaps a literal was taken for a constant that it is not
            literally = self.trials(hold_stopped, recognise=False)
            tally = tally if literally.unequal else literally
        for sample in tally.strange[:3]:
            witness = other_results(self.statement, sample)
            if witness is not None:
                return replace(plain, verdict="WRONG", witness=witness), tally
        for sample in tally.silent:  # the field says nothing here, but enclosures may
            if sample in tally.tied:
                continue
            enclosed = enclose(self.statement, sample, list(sample.weights), hold_stopped)
            if enclosed is not None and enclosed.apart and enclosed.bound() > _ROUNDING:
                return self._wrong(plain, sample, hold_stopped), tally
        if tally.unequal or tally.vague:
            return self._settle(plain, [*tally.unequal, *tally.vague], bool(tally.unequal), hold_stopped), tally
        if not tally.proved:
            reason = "at every point tried the derivative was not finite, or a comparison was too close to call"
            return replace(plain, reason=reason), tally
        notes = [*self._literal_notes(tally, hold_stopped), *plain.notes]
        return replace(plain, verdict="PROVED", error=tally.error, points=len(tally.proved), notes=notes), tally

    def trials(self, hold_stopped: bool, recognise: bool = True) -> Tally:
        """Trials at every sample, each until luck is excluded."""
        tally, share = Tally(), RISK / max(1, len(self.samples))
        for sample in self.samples:
            error, equal, unequal, attempts = 1.0, 0, False, 0
            while error > share and equal < _MOST_TRIALS and attempts < 2 * _MOST_TRIALS and not unequal:
                attempts += 1
                outcome = self._trial(sample, hold_stopped, recognise, tally)
                if outcome is not None:
                    unequal, equal = outcome < 0, equal + 1
                    error *= max(outcome, 0.0)
            if unequal:
                tally.unequal.append(sample)
            elif not equal:
                tally.silent.append(sample)
            elif error > share:
                tally.vague.append(sample)
            else:
                tally.proved.append(sample)
                tally.error += error
        return tally

    def _trial(self, sample: Sample, hold_stopped: bool, recognise: bool, tally: Tally) -> float | None:
        """The probability that equality was luck; -1 for unequal; None where the trial says nothing."""
        statement, algebra = self.statement, Field(int(self.generator.integers(1 << 62)), recognise)
        try:
            leaves = [
                algebra.constant(np.asarray(leaf.given)) if i in statement.held else algebra.random(value)
                for i, (leaf, value) in enumerate(zip(statement.leaves, sample.leaves, strict=True))
            ]
            seeds, weights = [algebra.random(v) for v in sample.seeds], [algebra.random(v) for v in sample.weights]
            truth, results = statement.truth_and_results(algebra, leaves, seeds, weights, hold_stopped)
            arrays, values = statement.claim_and_results(algebra, leaves, seeds)
            claimed = project(algebra, arrays, weights)
        except Undecided:
            tally.tied.append(sample)
            return None
        tally.readings.update(algebra.readings)
        if algebra.unlucky or not np.isfinite(truth.sample):
            return None
        if not np.isfinite(claimed.sample):
            return -1.0
        if statement.compares_results and any(
            np.any(((a.value != b.value) | ~np.isfinite(a.sample)) & np.isfinite(b.sample))
            for a, b in zip(values, results, strict=True)
        ):
            tally.strange.append(sample)
        difference = claimed - truth
        if int(difference.value) != 0 or self._samples_differ(sample, claimed.sample, truth.sample, hold_stopped):
            return -1.0
        return algebra.error(difference.degree)

    def _samples_differ(self, sample: Sample, claimed: Any, truth: Any, hold_stopped: bool) -> bool:
        """Do the float64 samples contradict the field? (Balls say whether it is more than rounding.)"""
        if abs(claimed - truth) <= 1e-3 * max(abs(claimed), abs(truth)):
            return False
        enclosed = enclose(self.statement, sample, list(sample.weights), hold_stopped)
        return enclosed is not None and enclosed.apart

    def _settle(self, plain: Proof, suspects: Sequence[Sample], unequal: bool, hold_stopped: bool) -> Proof:
        """Not proved in the field: a witness, or enclosures that agree at every suspect and more, or nothing."""
        statement, bounds, rounded = self.statement, [0.0], False
        reason = (
            "the field knows no relation between the functions that occur"
            if unequal
            else "the degrees are too high for the field to exclude luck"
        )
        for sample in suspects:
            enclosed = enclose(statement, sample, list(sample.weights), hold_stopped)
            if enclosed is None or not (enclosed.apart or enclosed.agree):
                return replace(plain, reason=f"{reason}, and enclosures do not decide at one of the inputs")
            if enclosed.agree:
                bounds.append(enclosed.bound())
                continue
            if enclosed.claimed.is_finite() and enclosed.bound() < _ROUNDING:
                blurred = enclose(statement, sample, list(sample.weights), hold_stopped, blur=True)
                if blurred is not None and not blurred.apart:
                    bounds.append(enclosed.bound())
                    rounded = True
                    continue
            return self._wrong(plain, sample, hold_stopped)
        return self._certify(plain, len(suspects), bounds, rounded, reason, hold_stopped)

    def _wrong(self, plain: Proof, sample: Sample, hold_stopped: bool) -> Proof:
        statement = self.statement
        found = find(statement, sample, hold_stopped)
        if found is None:
            return replace(plain, reason="the enclosures of a sum over all entries differ, those of no entry do")
        witness = describe(statement, sample, *found, hold_stopped, self.generator)
        if witness is None:
            entry = f"{statement.targets[found[0]].name}{list(found[1])}"
            reason = f"the enclosures differ at {entry}, but running JAX there does not give what was read"
            return replace(plain, reason=reason)
        return replace(plain, verdict="WRONG", witness=witness)

    def _certify(
        self, plain: Proof, points: int, bounds: list[float], rounded: bool, reason: str, hold_stopped: bool
    ) -> Proof:
        for number in range(3 * _POINTS_TO_CERTIFY):
            if points >= _POINTS_TO_CERTIFY or rounded:
                break
            sample, tally = draw(self.statement, self.generator, number), Tally()
            self._trial(sample, hold_stopped, True, tally)
            if tally.tied:
                continue
            enclosed = enclose(self.statement, sample, list(sample.weights), hold_stopped)
            if enclosed is not None and enclosed.apart:
                return self._wrong(plain, sample, hold_stopped)
            if enclosed is not None and enclosed.agree:
                bounds.append(enclosed.bound())
                points += 1
        if points < _POINTS_TO_CERTIFY and not rounded:
            return replace(plain, reason=f"{reason}, and enclosures decide at {points} inputs only")
        rounding = "literal rounding: equal if each long literal may be off by half a unit in its last place"
        notes = [rounding, *plain.notes] if rounded else plain.notes
        reason = "" if rounded else f"not proved: {reason}"
        return replace(plain, verdict="CERTIFIED", bound=max(bounds), points=points, reason=reason, notes=notes)

    def _literal_notes(self, tally: Tally, hold_stopped: bool) -> list[str]:
        if not tally.readings:
            return []
        exact = self._trial(tally.proved[0], hold_stopped, False, Tally())
        if exact is None or exact >= 0:
            return []
        read = ", ".join(f"{text} is read as {reading}" for text, reading in tally.readings.items())
        return [f"literal rounding: {read}"]

    def matters(self, samples: Sequence[Sample], hold_stopped: bool) -> bool:
        """Is the claim unequal to the derivative with ``stop_gradient`` obeyed (ignored) at one of the samples?"""
        outcomes = [self._trial(sample, hold_stopped, True, Tally()) for sample in samples]
        return any(outcome is not None and outcome < 0 for outcome in outcomes)
