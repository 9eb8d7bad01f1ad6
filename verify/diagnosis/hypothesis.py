"""A hypothesis about how a wrong figure came about, and what it becomes once it is confirmed: a diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from verify.diagnosis.mistakes import sequential
from verify.diagnosis.slips import Edit
from verify.reading import figures
from verify.reading.example import What
from verify.reading.figures import Figure, Verdict
from verify.worked.derivation import Derivation

EXPLAINING = (Verdict.RIGHT, Verdict.TRUNCATED, Verdict.PADDED)
"""The verdicts under which a value gives the printed digits: rounded, cut off, or rounded to fewer and filled up."""


@dataclass(frozen=True)
class Hypothesis:
    """A derivation with mistakes in it, and the number of updates where that is one of them."""

    derivation: Derivation
    edits: tuple[Edit, ...] = ()
    after: int | None = None

    def what(self, what: What) -> What:
        """What the figure is about if the hypothesis is true."""
        return replace(what, after=self.after) if self.after is not None and what.after else what

    def with_edit(self, edit: Edit) -> Hypothesis:
        after = self.after if edit.after is None else edit.after
        return Hypothesis(edit.apply(self.derivation), (*self.edits, edit), after)


@dataclass(frozen=True)
class Diagnosis:
    """One explanation of a wrong figure.

    Attributes:
        mistake: the names of its mistakes, joined by `` + ``.
        detail: each mistake's place, in one line.
        value: what the mistaken computation gives, to 15 significant digits.
        explains: ids of all claims whose printed digits it gives.
        breaks: how many right figures of the example it would have changed.
        tried: how many hypotheses had been tried when it was found.
        chance: the expected number of hypotheses, among those tried, that hit the printed digits by accident.
        edits: the edits themselves; empty where the mistake is not an edit of the derivation.
        after: the number of updates it assumes, where that is a mistake.
    """

    mistake: str
    detail: str
    value: str
    explains: tuple[str, ...]
    breaks: int
    tried: int
    chance: float
    edits: tuple[Edit, ...] = ()
    after: int | None = None

    def rebuild(self, derivation: Derivation) -> Derivation:
        """The derivation with these mistakes in it."""
        return rebuild(derivation, self).derivation

    @property
    def simplicity(self) -> tuple[int, int, int, str]:
        """Smaller is simpler: fewer mistakes; more figures explained than right ones spoilt; fewer places."""
        places = sum(len(edit.steps) + len(edit.given) for edit in self.edits)
        return self.mistake.count(" + "), self.breaks - len(self.explains), places, self.detail


def rebuild(derivation: Derivation, diagnosis: Diagnosis) -> Hypothesis:
    hypothesis = Hypothesis(derivation, (), diagnosis.after)
    for edit in diagnosis.edits:
        if edit.label == "sequential":
            reordered = sequential(hypothesis.derivation)
            assert reordered is not None
            hypothesis = Hypothesis(reordered, (*hypothesis.edits, edit), hypothesis.after)
        else:
            hypothesis = hypothesis.with_edit(edit)
    return hypothesis


def ties(diagnoses: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    """The best explanations that nothing tells apart: as few mistakes, as many figures explained, as few spoilt."""
    return tuple(d for d in diagnoses if d.simplicity[:2] == diagnoses[0].simplicity[:2])


def simplest(diagnoses: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    return tuple(sorted(diagnoses, key=lambda d: d.simplicity))


def explains(printed: Figure, value: Fraction) -> bool:
    return figures.judge(printed, lambda bits: (value, value)) in EXPLAINING
