"""The report for people: each step with its formula, the numbers in it, its value, and what is printed about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice

from verify import figures
from verify.algebra.ball import Undecided
from verify.checking import Checked
from verify.derivation import Derivation, Kind
from verify.example import What
from verify.expr import show
from verify.figures import Verdict
from verify.formulas import FormulaJudgement
from verify.hypothesis import Diagnosis, ties
from verify.judge import Judgement
from verify.report.document import summary
from verify.routes import Balls, quantity

DIGITS = 10
MAX_STEPS = 120
MAX_POINT = 6
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
    claims = _by_quantity(checked)
    if checked.figures and steps and len(checked.derivation.steps) <= MAX_STEPS:
        lines += _steps(checked, claims)
    else:
        for judgement in checked.figures:
            lines.append(f"  {judgement.claim.what} = {_value(judgement)}    {_printed(judgement)}")
    if checked.formulas:
        lines += ["", "  Formulas"]
    for formula in checked.formulas:
        lines.append(f"    {_where(formula.claim.slide)}: {formula.claim.text}    {_verdict(formula)}")
        lines.append(f"        {formula.proof}")
    return lines


def _by_quantity(checked: Checked) -> Mapping[tuple[str, int], list[Judgement]]:
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
    values = _values(derivation)
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
            yield f"    {judgement.claim.what} = {_value(judgement)}    {_printed(judgement)}"


def _values(derivation: Derivation) -> dict[str, str]:
    """Ten certain digits of every step, and the givens as they are printed."""
    balls = Balls(derivation)
    values = {given.name: given.text for given in derivation.given}
    for step in derivation.steps:
        try:
            found = balls.digits(What(step.name), DIGITS)
        except (ArithmeticError, Undecided):
            found = None
        values[step.name] = _trim(found[0]) if found else "undefined"
    return values


def _trim(text: str) -> str:
    """Without the zeros that a short decimal ends in."""
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _value(judgement: Judgement) -> str:
    if judgement.exact is None:
        return f"undecided ({judgement.reason})"
    interval = (figures.read(judgement.exact).value,) * 2
    return _trim(figures.decimal(interval, DIGITS) or judgement.exact)


def _printed(judgement: Judgement) -> str:
    return f"{_where(judgement.claim.slide)}: {judgement.claim.printed.text} {_verdict(judgement)}"


def _where(slide: str) -> str:
    return f"slide {slide}" if slide.isdigit() else f"« {slide} »"


def _verdict(judgement: Judgement | FormulaJudgement) -> str:
    verdict = judgement.verdict.upper() if judgement.verdict == Verdict.WRONG else str(judgement.verdict)
    transcribed = isinstance(judgement, FormulaJudgement) and judgement.claim.transcribed
    return verdict + (", as transcribed" if transcribed else "")


def errata(checked: Sequence[Checked]) -> list[str]:
    """Each figure that is not right, in two or three lines: what is printed, what is due, and the mistake."""
    lines: list[str] = []
    for one in checked:
        told = [line for judgement in one.figures for line in _erratum(one, judgement)]
        told += [line for formula in one.formulas for line in _formula_erratum(formula)]
        if told:
            lines += ["", f"Errata: {one.example.title} ({one.example.source})", *told]
    return lines


def _erratum(checked: Checked, judgement: Judgement) -> Iterator[str]:
    claim, verdict = judgement.claim, judgement.verdict
    if verdict == Verdict.RIGHT:
        return
    root = checked.contexts[claim.id].root
    known = ", as recorded" if claim.expected == verdict else ""
    yield (
        f"  {_where(claim.slide)}: {claim.what} = {claim.printed.text} is {verdict}{known}; "
        f"exactly {_value(judgement)}   [{claim.id}]"
    )
    if verdict == Verdict.UNDECIDED:
        yield f"      {judgement.reason}"
        return
    if root not in (None, claim.id):
        yield f"      follows from the wrong figure {root}"
        return
    diagnoses = checked.diagnoses.get(claim.id, ())
    if not diagnoses:
        yield "      no explanation found among those tried"
        return
    for line in explanation(diagnoses, claim.id):
        yield f"      {line}"


def _formula_erratum(judgement: FormulaJudgement) -> Iterator[str]:
    claim, witness = judgement.claim, judgement.counterexample
    if judgement.verdict == Verdict.RIGHT:
        return
    known = ", as recorded" if claim.expected == judgement.verdict else ""
    yield f"  {_where(claim.slide)}: {claim.text} is {_verdict(judgement).lower()}{known}   [{claim.id}]"
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


def explanation(diagnoses: Sequence[Diagnosis], own: str, most: int = 3) -> Iterator[str]:
    """The simplest explanations, and what would tell them apart."""
    best = _different(ties(diagnoses))[:most]
    for i, found in enumerate(best):
        others = [name for name in found.explains if name != own]
        details = [edit.detail for edit in found.edits] or [found.detail]
        yield f"{'or ' if i else ''}{found.mistake}:" + (f" {details[0]}" if len(details) == 1 else "")
        if len(details) > 1:
            yield from (f"   {detail}" for detail in details)
        if found.mistake not in ("padded", "truncated"):
            also = f"; explains also {', '.join(others)}" if others else ""
            yield f"   gives {_trim(found.value)}{also}{_odds(found)}"
    if len(best) > 1:
        apart = digits_apart(best)
        yield (
            f"   {apart} digits would tell them apart"
            if apart
            else "   they give the same value: no digits tell them apart"
        )
    if len(diagnoses) > len(best):
        yield f"   ({len(diagnoses) - len(best)} more that are alike or less simple: --json lists them)"


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
    return f" (by accident: {found.chance:.0e} expected among {found.tried:,} tried)"


def closing(checked: Sequence[Checked]) -> list[str]:
    """The count of verdicts, whether the three routes agree, and what differs from what was recorded."""
    totals = summary(checked)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in totals["verdicts"].items())
    agreements = [j.agreement for one in checked for j in one.figures if j.agreement]
    lines = ["", f"{totals['claims']} claims in {totals['examples']} examples: {counts}."]
    if agreements:
        agreed = sum(a.agree for a in agreements)
        lines.append(f"SymPy, Arb balls and JAX agree on {agreed} of {len(agreements)} figures.")
    if totals["as_expected"]:
        lines.append("Every verdict is right or as recorded.")
    else:
        lines.append("Not as recorded: " + ", ".join(totals["unexpected"]))
    return lines


def explain(checked: Checked, judgement: Judgement | FormulaJudgement) -> list[str]:
    """One claim in full: the derivation of a figure beside the mistaken one, or the proof about a formula."""
    if isinstance(judgement, FormulaJudgement):
        head = f"  {_where(judgement.claim.slide)}: {judgement.claim.text} is {_verdict(judgement)}"
        told = list(_formula_erratum(judgement))
        return [
            *(told or [head]),
            f"      {judgement.proof}",
            f"      true: {judgement.claim.side} = {judgement.exact}",
        ]
    claim = judgement.claim
    lines = [*_erratum(checked, judgement)] or [
        f"  {_where(claim.slide)}: {claim.what} = {claim.printed.text} is right; exactly {_value(judgement)}"
    ]
    right = _values(checked.derivation)
    own = [d for d in checked.diagnoses.get(claim.id, ()) if d.edits]
    wrong = own[0].rebuild(checked.derivation) if own else None
    mistaken = _values(wrong) if wrong else right
    lines += ["", f"  The steps that lead to {claim.what}" + (", right | with the mistake:" if wrong else ":")]
    for step in _leading(checked.derivation, wrong, quantity(claim.what)):
        lines.append(f"    {step} = {checked.derivation.by_name[step].expr} = {right[step]}")
        if wrong and (
            wrong.by_name[step].expr != checked.derivation.by_name[step].expr or mistaken[step] != right[step]
        ):
            lines.append(f"    {' ' * len(step)} | {wrong.by_name[step].expr} = {mistaken[step]}")
    if own and own[0].after is not None:
        lines.append(f"  and {own[0].after} updates of this kind give {_trim(own[0].value)}")
    elif own and claim.what.after:
        lines.append(f"  and after {claim.what.after} update(s) of this kind {claim.what} is {_trim(own[0].value)}")
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
