"""Do the formulas of a deck number their layers as its forward equations do?

Where they do not, one renumbering of a family of names (``W^l`` read as the forward equations' ``W^{l-1}``) that makes
all of them right together is worth more than an edit of each.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from verify.formulas.identity import Answer, prove
from verify.formulas.points import Screen
from verify.formulas.truths import Truths
from verify.reading import printed
from verify.reading.example import Example
from verify.reading.formula import FormulaError
from verify.reading.printed import FormulaClaim, base_name

SHIFTS = (0, -1, 1)


@dataclass(frozen=True)
class Numbering:
    """One way to read the layer numbers of a group of formulas under which all of them are right.

    Attributes:
        claims: the ids of the formulas.
        shifts: for each family, what is added to its numbers in the formulas to get those of the forward equations;
            all 0 where the deck is consistent.
        forward: the forward equations that use a shifted family, as the file has them.
        renamed: the same equations in the numbering of the formulas.
    """

    claims: tuple[str, ...]
    shifts: Mapping[str, int]
    forward: tuple[str, ...]
    renamed: tuple[str, ...]

    @property
    def consistent(self) -> bool:
        """Whether no renumbering is needed."""
        return not any(self.shifts.values())

    def __str__(self) -> str:
        together = ", ".join(self.claims)
        if self.consistent:
            return f"{together} hold together as they are numbered"
        shifted = " and ".join(f"{name}^l as {name}^(l{shift:+d})" for name, shift in self.shifts.items() if shift)
        return f"{together} hold together with {shifted}: under {self.renamed[0]}, where the deck has {self.forward[0]}"


def numberings(example: Example, truths: Truths | None = None) -> tuple[Numbering, ...]:
    """The renumberings, by one at most in each family, under which the example's ``[renumber]`` claims all hold.

    Returns:
        Those with the fewest shifted families; empty where the file has no ``[renumber]`` table or none does.

    Example:
        >>> from pathlib import Path
        >>> import verify
        >>> from verify.formulas.conventions import numberings
        >>> from verify.reading.example import load
        >>> deck = load(Path(verify.__file__).parent / "decks" / "004_backprop.toml")
        >>> print(*numberings(deck))
        BP1, BP2, BP3, BP4 hold together with W^l as W^(l-1) and b^l as b^(l-1): under z2 = W2@a1 + b2, where the deck has z2 = W1@a1 + b1
    """  # noqa: E501
    if example.renumber is None:
        return ()
    truths = truths or Truths(example)
    claims = [claim for claim in example.formula_claims if claim.id in example.renumber.claims]
    found: list[Numbering] = []
    for shifts in _shifts(example.renumber.families):
        if found and sum(map(bool, shifts.values())) > sum(map(bool, found[0].shifts.values())):
            break
        if all(_holds(example, claim, shifts, truths) for claim in claims):
            found.append(_numbering(example, claims, shifts))
    return tuple(found)


def _shifts(families: tuple[str, ...]) -> Iterator[Mapping[str, int]]:
    runs = itertools.product(SHIFTS, repeat=len(families))
    for run in sorted(runs, key=lambda shifts: sum(map(bool, shifts))):
        yield dict(zip(families, run, strict=True))


def _renumber(text: str, shifts: Mapping[str, int]) -> str:
    """``W2`` with W shifted by -1 is ``W1``; names that merely contain a family's name are left alone."""
    names = "|".join(map(re.escape, shifts))
    # A derivative's left side runs the d into the name: dJ/db2.
    pattern = rf"(?<![A-Za-z_\d])(d?)({names})(\d+)(?!\w)"
    return re.sub(pattern, lambda m: f"{m[1]}{m[2]}{int(m[3]) + shifts[m[2]]}", text)


def _holds(example: Example, claim: FormulaClaim, shifts: Mapping[str, int], truths: Truths) -> bool:
    try:
        side = printed.read_side(_renumber(str(claim.side), shifts))
        entries = printed.entries(side, _renumber(claim.formula, shifts), example.names)
    except FormulaError:
        return False  # the renumbering leads to a layer that is not there
    screen = Screen(truths.setting)
    pairs = [(truths.side(entry.side), truths.formula(entry.printed)) for entry in entries]
    if not all(screen.matches(screen.values(true), stated) for true, stated in pairs):
        return False
    return all(prove(true, stated, truths.setting).answer == Answer.PROVED for true, stated in pairs)


def _numbering(example: Example, claims: list[FormulaClaim], shifts: Mapping[str, int]) -> Numbering:
    lines = dict.fromkeys((base_name(formula.name), formula.line) for formula in example.formulas)
    moved = {name: shift for name, shift in shifts.items() if shift}
    forward, renamed = [], []
    for name, line in lines:
        other = _renumber(line, {family: -shift for family, shift in moved.items()}) if moved else line
        if other != line:
            forward.append(f"{name} = {line}")
            renamed.append(f"{name} = {other}")
    return Numbering(tuple(claim.id for claim in claims), dict(shifts), tuple(forward), tuple(renamed))
