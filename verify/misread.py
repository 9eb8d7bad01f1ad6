"""A given that was misread: which one, and as what?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from verify.derivation import Derivation
from verify.example import Claim, Given
from verify.hypothesis import Hypothesis
from verify.screen import Array, screen
from verify.search import MAX_UNROLLED, Search
from verify.slips import Edit

MAX_MISREAD = 4
"""The givens are solved for at most so many wrong figures; what is found is tried on all of them."""


def misread_givens(search: Search, base: Hypothesis) -> None:
    """One given with another value: the shortest decimal that gives the printed digits."""
    claims = [c for c in search.wrong if c.what.after <= MAX_UNROLLED and search.contexts[c.id].root in (None, c.id)]
    for claim in claims[:MAX_MISREAD]:
        hypotheses = []
        for given, text in _misreadings(base.derivation, claim):
            edit = Edit(
                "wrong-given",
                f"{given.name} = {text}, not {given.text}",
                given={given.name: Given(given.name, Fraction(text), text)},
                label=f"given {given.name}",
            )
            hypotheses.append(base.with_edit(edit))
        search.tried += 3 * len(base.derivation.given)
        search.verify(hypotheses, search.wrong, [])


def _misreadings(derivation: Derivation, claim: Claim) -> Iterator[tuple[Given, str]]:
    """Givens and the decimals that they would have to be, all solved at once."""
    givens = derivation.given

    def values(points: Array) -> Array:
        edits = [
            Edit("wrong-given", "", given={g.name: Given(g.name, Fraction(float(x)), "")})
            for g, x in zip(givens, points, strict=True)
        ]
        return screen(derivation, [edits], [claim.what])[claim.what]

    goal, unit = float(claim.printed.value), float(claim.printed.unit)
    roots = solve(values, np.array([float(g.value) for g in givens]), goal)
    for given, root in zip(givens, roots, strict=True):
        places = max(len(given.text.partition(".")[2]), 1)
        for digits in range(places + 2) if abs(root) <= 100 else ():
            text = f"{root:.{digits}f}"
            significant = len(text.replace(".", "").lstrip("-0")) or 1
            # (Minus the rate is no misread rate: the ascent says it better.)
            mirrored = given.name == "rate" and Fraction(text) == -given.value
            if mirrored or Fraction(text) == given.value or claim.printed.digits < significant + 2:
                continue
            # The decimal next to it must give other digits of the figure, else this one is a guess.
            here, beside = (
                values(np.array([x if g is given else float(g.value) for g in givens]))[givens.index(given)]
                for x in (float(text), float(text) + 10.0**-digits)
            )
            if abs(here - goal) <= unit:
                if not abs(beside - goal) <= 10 * unit:
                    yield given, text
                break


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
