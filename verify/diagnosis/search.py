"""The state of one example's search: its wrong figures, what has been tried, what has been confirmed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from verify.diagnosis.hypothesis import EXPLAINING, Diagnosis, Hypothesis
from verify.diagnosis.mistakes import all_edits
from verify.diagnosis.screen import Array, screen
from verify.diagnosis.slips import Edit
from verify.judge import Judgement
from verify.reading import figures
from verify.reading.example import Claim, What
from verify.reading.figures import Figure, Verdict, machine
from verify.worked.context import Context
from verify.worked.derivation import Derivation
from verify.worked.routes import Balls

MAX_UNROLLED = 3
"""Figures after more updates than this are not screened; they are met on trajectories."""
MAX_HITS = 40
"""At most so many of the hypotheses that float screening lets through are confirmed in balls, in each generation."""


@dataclass
class Search:
    """One example's search: the claims to explain and what has been found for each."""

    derivation: Derivation
    judgements: Sequence[Judgement]
    contexts: Mapping[str, Context]
    found: dict[str, list[Diagnosis]] = field(default_factory=dict)
    tried: int = 0
    verified: set[tuple[str, ...]] = field(default_factory=set)
    shared_edits: dict[int, tuple[Derivation, list[Edit]]] = field(default_factory=dict)

    def edits(self, derivation: Derivation) -> list[Edit]:
        """All single edits of a derivation, made once."""
        if id(derivation) not in self.shared_edits:
            self.shared_edits[id(derivation)] = (derivation, all_edits(derivation))
        return self.shared_edits[id(derivation)][1]

    @property
    def wrong(self) -> list[Claim]:
        """The figures to explain: the wrong ones, and those right to so few digits that it may be by accident."""
        return [j.claim for j in self.judgements if j.verdict in (Verdict.WRONG, Verdict.LAST_DIGIT) or _doubtful(j)]

    def open_claims(self) -> list[Claim]:
        """The wrong figures that nothing explains yet and that do not follow from another wrong one."""
        return [
            c
            for c in self.wrong
            if not any(d.edits for d in self.found.get(c.id, ()))
            and self.contexts[c.id].root in (None, c.id)
            and self.verdict(c) == Verdict.WRONG
        ]

    def verdict(self, claim: Claim) -> Verdict:
        return next(j.verdict for j in self.judgements if j.claim is claim)

    def verify(
        self,
        hypotheses: Iterable[Hypothesis],
        claims: Sequence[Claim],
        arrays: Sequence[Array],
        chance: float | None = None,
    ) -> None:
        """Keep the hypotheses that give the printed digits of some claim, with all the claims that they explain.

        ``chance`` is the expected number of accidental hits where the caller knows it; else the density of the values
        in ``arrays`` tells.
        """
        for hypothesis in islice(hypotheses, MAX_HITS):
            key = tuple(edit.detail for edit in hypothesis.edits)
            if key in self.verified:
                continue
            self.verified.add(key)
            balls = Balls(hypothesis.derivation)
            explained = [
                c for c in _possible(hypothesis, claims) if _reproduces(balls, hypothesis.what(c.what), c.printed)
            ]
            if not explained:
                continue
            breaks = self.spoilt(hypothesis)
            for claim in explained:
                digits = balls.digits(hypothesis.what(claim.what), 15)
                self.add(
                    claim,
                    Diagnosis(
                        " + ".join(edit.mistake for edit in hypothesis.edits),
                        "; ".join(edit.detail for edit in hypothesis.edits),
                        digits[0] if digits else "",
                        tuple(c.id for c in explained),
                        breaks,
                        self.tried,
                        _chance(claim.printed, arrays, self.tried) if chance is None else chance,
                        hypothesis.edits,
                        hypothesis.after,
                    ),
                )

    def spoilt(self, hypothesis: Hypothesis) -> int:
        """How many figures that are right (or right to fewer digits) would not have been, in floats."""
        right = [
            j
            for j in self.judgements
            if j.verdict in EXPLAINING and hypothesis.what(j.claim.what).after <= MAX_UNROLLED
        ]
        if not right:
            return 0
        values = screen(hypothesis.derivation, [], [hypothesis.what(j.claim.what) for j in right])
        return sum(
            not min(abs(value - float(j.exact or "nan")), abs(value - machine(j.claim.printed.value)))
            <= machine(j.claim.printed.unit)
            for j in right
            for value in [float(values[hypothesis.what(j.claim.what)])]
        )

    def add(self, claim: Claim, diagnosis: Diagnosis) -> None:
        known = self.found.setdefault(claim.id, [])
        if all(other.detail != diagnosis.detail for other in known):
            known.append(diagnosis)


def _doubtful(judgement: Judgement) -> bool:
    """Whether a padded figure has four zeros or more: b = -0.3000 may be -0.27 padded, or never have been updated."""
    if judgement.verdict != Verdict.PADDED:
        return False
    shorter = figures.without_zeros(judgement.claim.printed)
    return shorter is not None and judgement.claim.printed.places - shorter.places >= 4


def near(printed: Figure, array: Array) -> list[tuple[int, ...]]:
    """Where an array comes near enough to a printed figure to be looked at in balls."""
    value, unit = machine(printed.value), machine(printed.unit)
    slack = unit * 1.001 + 1e-12 * abs(value)
    with np.errstate(all="ignore"):
        return [tuple(map(int, index)) for index in np.argwhere(np.abs(array - value) <= slack)]


def _possible(hypothesis: Hypothesis, claims: Sequence[Claim]) -> list[Claim]:
    """The claims whose digits the hypothesis gives in floats; those after many updates are left for the balls."""
    soon = [c for c in claims if hypothesis.what(c.what).after <= MAX_UNROLLED]
    values = screen(hypothesis.derivation, [], [hypothesis.what(c.what) for c in soon])
    hit = [c for c in soon if near(c.printed, np.atleast_1d(values[hypothesis.what(c.what)]))]
    return [c for c in claims if c in hit or c not in soon]


def _reproduces(balls: Balls, what: What, printed: Figure) -> bool:
    try:
        return figures.judge(printed, lambda bits: balls.known(what, bits)) in EXPLAINING
    except (ArithmeticError, KeyError, RecursionError):
        return False


def _chance(printed: Figure, arrays: Sequence[Array], tried: int) -> float:
    """How many of the hypotheses tried are expected to hit the printed digits by accident.

    From the density of their values around the figure: the 20 nearest values that are not hits, spread over the
    interval that they span. Where fewer are known, all values are taken as spread evenly over the figure's own size.
    """
    value, unit = machine(printed.value), machine(printed.unit)
    values = [np.asarray(array, dtype=float).ravel() for array in arrays]
    distances = np.abs(np.concatenate([*values, np.zeros(0)]) - value)
    distances = distances[np.isfinite(distances) & (distances > unit)]
    if len(distances) >= 20:
        reach = float(np.partition(distances, 19)[19])
        return min(1.0, 20 * unit / (2 * reach))
    return min(1.0, tried * unit / max(abs(value), unit))
