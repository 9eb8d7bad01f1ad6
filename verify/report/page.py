"""The report as one web page: every step in a table, verdicts in colour, the mistaken derivation beside the right one.

The page is a single file: no script, nothing fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from verify.checking import Checked
from verify.expr import show
from verify.judge import Judgement
from verify.reading.figures import Verdict
from verify.report import errata, text
from verify.report.document import summary
from verify.report.wording import shown, where
from verify.worked.derivation import Derivation

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1f }
h2 { margin-top: 3rem; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e4e4e8; vertical-align: top }
th { font-weight: 600; background: #f6f6f8 }
code, pre { font: 14px/1.45 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap }
.source { color: #666 }
.verdict { border-radius: .3rem; padding: 0 .4rem; white-space: nowrap; color: #fff }
.right { background: #1a7f37 } .wrong { background: #b42318 } .undecided { background: #6e7781 }
.padded, .truncated, .last-digit { background: #9a6700 }
.changed { background: #fdecea }
.bar { display: flex; height: 1.2rem; border-radius: .3rem; overflow: hidden; margin: 1rem 0 }
"""
ORDER = tuple(Verdict)


def page(checked: Sequence[Checked]) -> str:
    """The whole report as HTML.

    Example:
        >>> from pathlib import Path
        >>> import verify
        >>> from verify.checking import deck_files
        >>> from verify.report.page import page
        >>> softmax = [file for file in deck_files() if file.stem == "000_softmax"]
        >>> '<span class="verdict right">right</span>' in page([verify.check(softmax[0], routes=False)])
        True
    """
    totals = summary(checked)
    body = [
        "<h1>Worked examples, judged</h1>",
        _bar(totals["verdicts"]),
        *(f"<p>{escape(line)}</p>" for line in text.closing(checked) if line),
    ]
    for one in checked:
        body += _example(one)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n<title>Worked examples, judged</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _bar(verdicts: Mapping[str, int]) -> str:
    parts = [
        f'<div class="{name}" style="flex: {verdicts[name]}" title="{verdicts[name]} {name}"></div>'
        for name in ORDER
        if name in verdicts
    ]
    return f'<div class="bar">{"".join(parts)}</div>'


def _example(checked: Checked) -> Iterator[str]:
    example = checked.example
    yield f'<h2 id="{escape(example.id)}">{escape(example.title)}</h2>'
    yield f'<p class="source">{escape(example.source)}</p>'
    if example.note:
        yield f"<p>{escape(example.note)}</p>"
    if checked.figures:
        yield from _steps(checked)
        yield from _mistaken(checked)
    if checked.formulas:
        yield "<table><tr><th>where</th><th>printed formula</th><th>verdict</th><th>how it was decided</th></tr>"
        for formula in checked.formulas:
            yield (
                f"<tr><td>{escape(where(formula.claim.slide))}</td><td><code>{escape(formula.claim.text)}</code></td>"
                f"<td>{_badge(formula.verdict)}</td><td>{escape(formula.proof)}</td></tr>"
            )
        yield "</table>"
    told = errata.errata([checked])[2:]
    if told:
        yield f"<h3>Errata</h3><pre>{escape(chr(10).join(told))}</pre>"


def _steps(checked: Checked) -> Iterator[str]:
    derivation, values = checked.derivation, text.step_values(checked.derivation)
    claims = text.by_quantity(checked)
    yield "<table><tr><th>step</th><th>in numbers</th><th>value</th><th>printed</th></tr>"
    for step in derivation.steps if len(derivation.steps) <= text.MAX_STEPS else ():
        numbers = show(step.expr, values)
        told = claims.get((step.name, 0), ())
        yield (
            f"<tr><td><code>{escape(str(step))}</code></td><td><code>{escape(numbers)}</code></td>"
            f"<td>{escape(values[step.name])}</td><td>{_told(told)}</td></tr>"
        )
    steps = {step.name for step in derivation.steps}
    for (name, after), told in claims.items():
        if after or name not in steps or len(steps) > text.MAX_STEPS:
            yield (
                f"<tr><td><code>{escape(str(told[0].claim.what))}</code></td><td></td>"
                f"<td>{escape(shown(told[0]))}</td><td>{_told(told)}</td></tr>"
            )
    yield "</table>"


def _told(judgements: Sequence[Judgement]) -> str:
    return "<br>".join(
        f"{escape(where(j.claim.slide))}: {escape(j.claim.printed.text)} {_badge(j.verdict)}" for j in judgements
    )


def _badge(name: Verdict) -> str:
    return f'<span class="verdict {name}">{name}</span>'


def _mistaken(checked: Checked) -> Iterator[str]:
    """For each wrong figure with an edited derivation: the steps that differ, side by side."""
    right = text.step_values(checked.derivation)
    for judgement in checked.figures:
        claim = judgement.claim
        own = [d for d in checked.diagnoses.get(claim.id, ()) if d.edits]
        if judgement.verdict != Verdict.WRONG or not own or checked.contexts[claim.id].root not in (None, claim.id):
            continue
        wrong = own[0].rebuild(checked.derivation)
        yield f"<h3>{escape(str(claim.what))} = {escape(claim.printed.text)}: {escape(own[0].mistake)}</h3>"
        yield "<table><tr><th>step</th><th>right</th><th>with the mistake</th></tr>"
        yield from _differences(checked.derivation, wrong, right)
        yield "</table>"
        updates = claim.what.after if own[0].after is None else own[0].after
        yield f"<p>After {updates} update(s): {escape(own[0].value)}</p>" if updates else ""


def _differences(derivation: Derivation, wrong: Derivation, right: Mapping[str, str]) -> Iterator[str]:
    mistaken = text.step_values(wrong)
    for step in derivation.steps:
        other = wrong.by_name[step.name]
        if right[step.name] != mistaken[step.name] or other.expr != step.expr:
            changed = ' class="changed"' if other.expr != step.expr else ""
            yield (
                f"<tr><td><code>{escape(step.name)}</code></td>"
                f"<td><code>{escape(str(step.expr))}</code> = {escape(right[step.name])}</td>"
                f"<td{changed}><code>{escape(str(other.expr))}</code> = {escape(mistaken[step.name])}</td></tr>"
            )
