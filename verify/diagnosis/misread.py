"""A given that was misread: which one, and as what?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from verify.diagnosis.hypothesis import Hypothesis
from verify.diagnosis.screen import Array, screen
from verify.diagnosis.search import MAX_UNROLLED, Search
from verify.diagnosis.slips import Edit
from verify.reading.example import Claim, Given, What
from verify.reading.figures import machine
from verify.worked.derivation import Derivation

MAX_MISREAD = 4
"""The givens are solved for at most so many wrong figures; what is found is tried on all of them."""
MAX_CHANCE = 0.05
"""A given can always be bent to give one figure; it counts as misread if luck would do it this seldom."""


@dataclass(frozen=True)
class _Candidate:
    given: Given
    text: str
    chance: float

    def edit(self) -> Edit:
        return Edit(
            "wrong-given",
            f"{self.given.name} = {self.text}, not {self.given.text}",
            given={self.given.name: Given(self.given.name, Fraction(self.text), self.text)},
            label=f"given {self.given.name}",
        )


def misread_givens(search: Search, base: Hypothesis) -> None:
    """One given with another value: the shortest decimal that gives the printed digits, of one figure or of several."""
    roots = [c for c in search.wrong if c.what.after <= MAX_UNROLLED and search.contexts[c.id].root in (None, c.id)]
    for claim in roots[:MAX_MISREAD]:
        search.tried += 3 * len(base.derivation.given)
        for candidate in _candidates(base.derivation, claim, roots):
            search.verify([base.with_edit(candidate.edit())], search.wrong, [], candidate.chance)


def _candidates(derivation: Derivation, claim: Claim, roots: Sequence[Claim]) -> Iterator[_Candidate]:
    """Givens and the decimals that they would have to be for one figure, solved at once; the others are the test."""
    givens = derivation.given
    wanted = list(dict.fromkeys(root.what for root in roots))

    def values(points: Array) -> dict[What, Array]:
        edits = [
            Edit("wrong-given", "", given={g.name: Given(g.name, Fraction(float(x)), "")})
            for g, x in zip(givens, points, strict=True)
        ]
        return screen(derivation, [edits], wanted)

    start = np.array([machine(g.value) for g in givens])
    if not np.all(np.isfinite(start)):
        return  # beyond float64
    right = values(start)
    goal, unit = machine(claim.printed.value), machine(claim.printed.unit)
    solved = solve(lambda points: values(points)[claim.what], start, goal)
    for k, (given, root) in enumerate(zip(givens, solved, strict=True)):
        places = len(given.text.partition(".")[2])
        for digits in range(places + 2) if abs(root) <= 1e4 else ():
            text = f"{root:.{digits}f}"
            if Fraction(text) == 0:
                text = text.lstrip("-")
            # (Minus the rate is no misread rate: the ascent says it better.)
            if Fraction(text) == given.value or (given.name == "rate" and Fraction(text) == -given.value):
                continue
            here = values(np.where(np.arange(len(givens)) == k, float(text), start))
            if not abs(here[claim.what][k] - goal) <= 1.01 * unit:
                continue
            beside = values(np.where(np.arange(len(givens)) == k, float(text) + 10.0**-digits, start))
            chance = len(givens) * _share(unit, beside[claim.what][k] - here[claim.what][k])
            for other in roots:
                printed, size = machine(other.printed.value), machine(other.printed.unit)
                if other.what != claim.what and abs(here[other.what][k] - printed) <= 1.01 * size:
                    chance *= _share(size, 2 * (printed - right[other.what][k]))
            if chance <= MAX_CHANCE:
                yield _Candidate(given, text, chance)
            break


def _share(unit: float, span: float) -> float:
    """The part of a span that one unit covers: how likely a value somewhere in it is to hit given digits."""
    return 1.0 if abs(span) <= unit else unit / abs(float(span))


def solve(function: Callable[[Array], Array], start: Array, goal: float) -> Array:
    """Roots of function(x) = goal, one for each entry, by the secant method; nan where it finds none."""
    with np.errstate(all="ignore"):
        before, here = start, start * 1.1 + 0.01
        at_before, at_here = function(before) - goal, function(here) - goal
        for _ in range(30):
            step = at_here * (here - before) / (at_here - at_before)
            moving = np.isfinite(step) & (np.abs(step) < 1e6)
            if not moving.any() or np.all(np.abs(step[moving]) <= 1e-15 * np.maximum(1.0, np.abs(here[moving]))):
                break
            before, at_before = np.where(moving, here, before), np.where(moving, at_here, at_before)
            here = np.where(moving, here - step, here)
            at_here = function(here) - goal
        return np.where(np.abs(at_here) <= 1e-9 * max(1.0, abs(goal)), here, np.nan)
