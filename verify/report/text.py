"""The report for people: each step with its formula, the numbers in it, its value, and what is printed about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from verify.algebra.ball import Undecided
from verify.checking import Checked
from verify.expr import show
from verify.formulas.judging import FormulaJudgement
from verify.judge import Judgement
from verify.reading.example import What
from verify.report.document import summary
from verify.report.errata import errata, erratum, formula_erratum
from verify.report.wording import DIGITS, plural, shown, trim, verdict, where
from verify.worked.derivation import Derivation, Kind
from verify.worked.routes import Balls, quantity

MAX_STEPS = 120
HEADINGS = {Kind.FORWARD: "Forward", Kind.BACKWARD: "Backward", Kind.UPDATE: "Update"}


def report(checked: Sequence[Checked], *, steps: bool = True) -> str:
    """Everything: each example's steps, then the errata of all, then a summary."""
    lines: list[str] = []
    for one in checked:
        lines += example(one, steps=steps)
    lines += errata(checked)
    lines += closing(checked)
    return "\n".join(lines)


def example(checked: Checked, *, steps: bool = True) -> list[str]:
    """One example: its title, and each step beside what is printed about it."""
    title = f"{checked.example.id}: {checked.example.title}"
    lines = ["", title, "=" * len(title), checked.example.source]
    if checked.example.note:
        lines.append(checked.example.note)
    claims = by_quantity(checked)
    if checked.figures and steps and len(checked.derivation.steps) <= MAX_STEPS:
        lines += _steps(checked, claims)
    else:
        for judgement in checked.figures:
            lines.append(f"  {judgement.claim.what} = {shown(judgement)}    {_printed(judgement)}")
    if checked.formulas:
        lines += ["", "  Formulas"]
    for formula in checked.formulas:
        lines.append(f"    {where(formula.claim.slide)}: {formula.claim.text}    {verdict(formula)}")
        lines.append(f"        {formula.proof}")
    return lines


def by_quantity(checked: Checked) -> Mapping[tuple[str, int], list[Judgement]]:
    """The judgements by the step that they are about; a parameter after one update is that update's step."""
    found: dict[tuple[str, int], list[Judgement]] = {}
    carried = checked.derivation.carried
    for judgement in checked.figures:
        what = judgement.claim.what
        name = quantity(what)
        key = (carried[name], what.after - 1) if what.after and name in carried else (name, what.after)
        found.setdefault(key, []).append(judgement)
    return found


def _steps(checked: Checked, claims: Mapping[tuple[str, int], list[Judgement]]) -> Iterator[str]:
    derivation = checked.derivation
    values = step_values(derivation)
    for kind, steps in groupby(derivation.steps, key=lambda step: step.kind):
        yield ""
        yield f"  {HEADINGS[kind]}"
        for step in steps:
            yield f"    {step.name} = {step.expr}"
            numbers = show(step.expr, values)
            indent = " " * (4 + len(step.name))
            if numbers not in (str(step.expr), values[step.name]):
                yield f"{indent} = {numbers}"
            told = [_printed(judgement) for judgement in claims.get((step.name, 0), ())]
            yield f"{indent} = {values[step.name]}" + (f"    {'; '.join(told)}" if told else "")
    given = {g.name for g in derivation.given}
    rest = [(key, found) for key, found in claims.items() if key[1] > 0 or key[0] in given]
    for _, found in rest:
        for judgement in found:
            if judgement is found[0]:
                yield ""
            yield f"    {judgement.claim.what} = {shown(judgement)}    {_printed(judgement)}"


def step_values(derivation: Derivation) -> dict[str, str]:
    """Ten certain digits of every step, and the givens as they are printed."""
    balls = Balls(derivation)
    values = {given.name: given.text for given in derivation.given}
    for step in derivation.steps:
        try:
            found = balls.digits(What(step.name), DIGITS)
        except (ArithmeticError, Undecided):
            found = None
        values[step.name] = trim(found[0]) if found else "undefined"
    return values


def _printed(judgement: Judgement) -> str:
    return f"{where(judgement.claim.slide)}: {judgement.claim.printed.text} {verdict(judgement)}"


def closing(checked: Sequence[Checked]) -> list[str]:
    """The count of verdicts, whether the three routes agree, and what differs from what was recorded."""
    totals = summary(checked)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in totals["verdicts"].items())
    agreements = [j.agreement for one in checked for j in one.figures if j.agreement]
    amounts = " in ".join(plural(totals[name], name[:-1]) for name in ("claims", "examples"))
    lines = ["", f"{amounts}: {counts}."]
    if agreements:
        agreed = sum(a.agree for a in agreements)
        lines.append(f"SymPy, Arb balls and JAX agree on {agreed} of {len(agreements)} figures.")
    if totals["as_expected"]:
        lines.append("Every verdict is right or as recorded.")
    else:
        for words, recorded in (("Not right", False), ("Not as recorded", True)):
            found = [
                f"{one.example.id}: {j.claim.id}"
                for one in checked
                for j in one.judgements
                if not j.as_expected and (j.claim.expected is not None) == recorded
            ]
            if found:
                lines.append(f"{words}: {', '.join(found)}")
    return lines


def explain(checked: Checked, judgement: Judgement | FormulaJudgement) -> list[str]:
    """One claim in full: the derivation of a figure beside the mistaken one, or the proof about a formula."""
    if isinstance(judgement, FormulaJudgement):
        head = f"  {where(judgement.claim.slide)}: {judgement.claim.text} is {verdict(judgement)}"
        told = list(formula_erratum(judgement))
        return [
            *(told or [head]),
            f"      {judgement.proof}",
            f"      true: {judgement.claim.side} = {judgement.exact}",
        ]
    claim = judgement.claim
    lines = list(erratum(checked, [judgement])) or [
        f"  {where(claim.slide)}: {claim.what} = {claim.printed.text} is right; exactly {shown(judgement)}"
    ]
    right = step_values(checked.derivation)
    own = [d for d in checked.diagnoses.get(claim.id, ()) if d.edits]
    wrong = own[0].rebuild(checked.derivation) if own else None
    mistaken = step_values(wrong) if wrong else right
    lines += ["", f"  The steps that lead to {claim.what}" + (", right | with the mistake:" if wrong else ":")]
    for step in _leading(checked.derivation, wrong, quantity(claim.what)):
        lines.append(f"    {step} = {checked.derivation.by_name[step].expr} = {right[step]}")
        if wrong and (
            wrong.by_name[step].expr != checked.derivation.by_name[step].expr or mistaken[step] != right[step]
        ):
            lines.append(f"    {' ' * len(step)} | {wrong.by_name[step].expr} = {mistaken[step]}")
    if own and own[0].after is not None:
        lines.append(f"  and {own[0].after} updates of this kind give {trim(own[0].value)}")
    elif own and claim.what.after:
        lines.append(f"  and after {claim.what.after} update(s) of this kind {claim.what} is {trim(own[0].value)}")
    return lines


def _leading(right: Derivation, wrong: Derivation | None, name: str) -> list[str]:
    """The steps that a quantity needs, in either derivation; all updates too where it comes after one."""
    from verify.expr import variables

    wanted = {name, *right.carried.values()} if name not in right.by_name or right.carried else {name}
    for derivation in (right, wrong or right):
        for step in reversed(derivation.steps):
            if step.name in wanted:
                wanted.update(variables(step.expr))
    return [step.name for step in right.steps if step.name in wanted]
