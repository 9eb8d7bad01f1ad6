"""The errata: what is not right, what is due, and the mistake, in a few lines that the author would accept."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import islice

from verify.checking import Checked
from verify.diagnosis.diagnose import MAX_WORK, work
from verify.diagnosis.hypothesis import Diagnosis, ties
from verify.formulas.judging import FormulaJudgement
from verify.judge import Judgement
from verify.reading import figures
from verify.reading.figures import Verdict
from verify.report.wording import shown, trim, verdict, where

MAX_POINT = 6
WIDTH = 116
WORDS = {
    Verdict.PADDED: "is right to fewer digits, then zeros",
    Verdict.TRUNCATED: "is cut off, not rounded",
    Verdict.LAST_DIGIT: "is one off in the last digit",
    Verdict.WRONG: "is wrong",
    Verdict.UNDECIDED: "is undecided",
}


def errata(checked: Sequence[Checked]) -> list[str]:
    """Everything that is not right, by example. A figure printed twice is told once; a chain of wrong figures too."""
    lines: list[str] = []
    for one in checked:
        told = [line for group in _groups(one) for line in erratum(one, group)]
        told += [line for formula in one.formulas for line in formula_erratum(formula)]
        if told:
            lines += ["", f"Errata: {one.example.title} ({one.example.source})", *told]
    return lines


def _groups(checked: Checked) -> list[list[Judgement]]:
    """The figures that are not right and follow from no other wrong one, each with its reprints."""
    groups: dict[tuple[str, str], list[Judgement]] = {}
    for judgement in checked.figures:
        if judgement.verdict != Verdict.RIGHT:
            claim = judgement.claim
            groups.setdefault((str(claim.what), str(claim.printed.value)), []).append(judgement)
    return [group for group in groups.values() if checked.contexts[group[0].claim.id].root in (None, group[0].claim.id)]


def erratum(checked: Checked, group: Sequence[Judgement]) -> Iterator[str]:
    """One figure, printed once or several times: the verdict, the explanation, what follows from it."""
    judgement = group[0]
    claim = judgement.claim
    if judgement.verdict == Verdict.RIGHT:
        return
    known = ", as recorded" if judgement.as_expected else ""
    places = ", ".join(dict.fromkeys(where(j.claim.slide) for j in group))
    said = f"  {places}: {claim.what} = {claim.printed.text} {WORDS[judgement.verdict]}{known}"
    if judgement.verdict == Verdict.UNDECIDED:
        yield f"{said}: {judgement.reason}   [{claim.id}]"
        return
    yield f"{said}; exactly {shown(judgement)}   [{claim.id}]"
    context = checked.contexts[claim.id]
    if context.root not in (None, claim.id):
        yield f"      follows from the wrong figure {context.root}"
    diagnoses = checked.diagnoses.get(claim.id, ())
    if diagnoses and diagnoses[0].mistake in ("padded", "truncated"):
        return
    if not diagnoses:
        looked = work(checked.derivation) <= MAX_WORK
        yield "      no explanation found among those tried" if looked else "      too large an example to be explained"
    yield from explanation(diagnoses, {j.claim.id for j in group})
    for line in _consequences(checked, claim.id):
        yield f"      {line}"


def _consequences(checked: Checked, root: str) -> Iterator[str]:
    """The wrong figures that follow from this one."""
    told: dict[tuple[str, str], list[Judgement]] = {}
    for judgement in checked.figures:
        claim = judgement.claim
        if checked.contexts[claim.id].root == root and claim.id != root:
            told.setdefault((str(claim.what), claim.printed.text), []).append(judgement)
    own = next(j.claim for j in checked.figures if j.claim.id == root)
    for (what, printed), group in told.items():
        if what != str(own.what):
            places = ", ".join(dict.fromkeys(where(j.claim.slide) for j in group))
            yield f"and so {what} = {printed} ({places}); exactly {shown(group[0])}"


def explanation(diagnoses: Sequence[Diagnosis], own: set[str], most: int = 3) -> Iterator[str]:
    """The simplest explanations, what else they explain, and what would tell them apart."""
    best = _different(ties(diagnoses))[:most]
    for i, found in enumerate(best):
        details = found.detail.split("; ")
        head = f"{'or ' if i else ''}{found.mistake}:"
        yield from _wrapped(f"{head} {details[0]}" if len(details) == 1 else head, 6)
        if len(details) > 1:
            for detail in details:
                yield from _wrapped(f"- {detail}", 8)
        others = [name for name in found.explains if name not in own]
        also = f"; explains also {', '.join(others)}" if others else ""
        yield from _wrapped(f"gives {trim(found.value)}{also}{_odds(found)}", 8)
    if len(best) > 1:
        apart = digits_apart(best)
        yield "        " + (
            f"{apart} digits would tell them apart" if apart else "they give the same value: no digits tell them apart"
        )
    if len(diagnoses) > len(best):
        yield f"        ({len(diagnoses) - len(best)} more, alike or less simple, with --json)"


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def formula_erratum(judgement: FormulaJudgement) -> Iterator[str]:
    claim, witness = judgement.claim, judgement.counterexample
    if judgement.verdict == Verdict.RIGHT:
        return
    known = ", as recorded" if judgement.as_expected else ""
    yield f"  {where(claim.slide)}: {claim.text} is {verdict(judgement).lower()}{known}   [{claim.id}]"
    if judgement.verdict == Verdict.UNDECIDED:
        yield f"      {judgement.proof}"
        return
    for i, edit in enumerate(judgement.edits[:2]):
        then = "" if edit.mistake == "missing-condition" else f"; then {edit.side} = {edit.formula} is right"
        yield f"      {'or ' if i else ''}{edit.mistake}: {edit.detail}{then}"
    if not judgement.edits:
        yield f"      it is {judgement.exact}; no small edit of the printed formula makes it right"
    if judgement.numbering:
        yield f"      {judgement.numbering}"
    if witness is not None:
        point = ", ".join(f"{name} = {value}" for name, value in islice(witness.point.items(), MAX_POINT))
        point += ", ..." if len(witness.point) > MAX_POINT else ""
        yield f"      at {point}: printed {witness.printed}, truly {witness.exact}" + (
            f" ({witness.note})" if witness.note else ""
        )
    if claim.note:
        yield f"      {claim.note}"


def _different(diagnoses: Sequence[Diagnosis]) -> list[Diagnosis]:
    """One of each mistake and value: the same edit at one place or at all like places is not worth two lines."""
    kept: dict[tuple[str, str], Diagnosis] = {}
    for found in diagnoses:
        kept.setdefault((found.mistake, found.value[:12]), found)
    return list(kept.values())


def digits_apart(diagnoses: Sequence[Diagnosis]) -> int | None:
    """How many significant digits of the figure would tell all these explanations apart; None where none would."""
    values = [figures.read(d.value).value for d in diagnoses if d.value]
    gaps = [abs(a - b) for i, a in enumerate(values) for b in values[i + 1 :]]
    if not gaps or min(gaps) == 0:
        return None
    size, gap = max(abs(v) for v in values), min(gaps)
    digits = 1
    while size / 10**digits > gap and digits < 60:
        digits += 1
    return digits + 1


def _odds(found: Diagnosis) -> str:
    if not found.chance:
        return ""
    chance = f"{found.chance:.0e}" if found.chance < 1e-3 else f"{found.chance:.1g}"
    return f" (by accident: {chance} expected among {found.tried:,} tried)"
