"""The JSON document: plain dicts, one entry for each claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from verify.checking import Checked
from verify.diagnosis.hypothesis import Diagnosis
from verify.formulas.judging import FormulaJudgement
from verify.judge import Judgement
from verify.worked.context import Context

NO_CONTEXT = Context(None, (), None)


def document(checked: Sequence[Checked]) -> dict[str, Any]:
    """``{"examples": [{"id", "title", "source", "claims": [...]}], "summary": {...}}``, ready for ``json.dumps``."""
    return {
        "examples": [
            {
                "id": one.example.id,
                "title": one.example.title,
                "source": one.example.source,
                "claims": [claim(one, judgement) for judgement in one.judgements],
            }
            for one in checked
        ],
        "summary": summary(checked),
    }


def claim(checked: Checked, judgement: Judgement | FormulaJudgement) -> dict[str, Any]:
    """One judged claim as plain data; figures and formulas have the same first keys."""
    return formula(judgement) if isinstance(judgement, FormulaJudgement) else figure(checked, judgement)


def figure(checked: Checked, judgement: Judgement) -> dict[str, Any]:
    """One judged figure."""
    printed = judgement.claim
    context = checked.contexts.get(printed.id, NO_CONTEXT)
    agreement = judgement.agreement
    return {
        "id": printed.id,
        "slide": printed.slide,
        "kind": "figure",
        "what": str(printed.what),
        "printed": printed.printed.text,
        "verdict": str(judgement.verdict),
        "exact": judgement.exact,
        "expected": printed.expected,
        "follows": None if context.follows is None else str(context.follows),
        "root": context.root,
        "diagnoses": [diagnosis(d) for d in checked.diagnoses.get(printed.id, ())],
        "routes": None
        if agreement is None
        else {"balls": judgement.exact, "sympy": agreement.sympy, "jax": agreement.jax, "agree": agreement.agree},
        "reason": judgement.reason or None,
        "note": printed.note or None,
    }


def formula(judgement: FormulaJudgement) -> dict[str, Any]:
    """One judged formula: ``exact`` is the true formula, each edit makes the printed one right."""
    printed, witness = judgement.claim, judgement.counterexample
    return {
        "id": printed.id,
        "slide": printed.slide,
        "kind": "formula",
        "what": str(printed.side),
        "printed": printed.formula or printed.text,
        "verdict": str(judgement.verdict),
        "exact": judgement.exact,
        "expected": printed.expected,
        "transcribed": printed.transcribed,
        "proof": judgement.proof,
        "condition": judgement.condition or None,
        "sizes": judgement.sizes or None,
        "numbering": judgement.numbering or None,
        "counterexample": None
        if witness is None
        else {
            "entry": witness.entry,
            "point": dict(witness.point),
            "printed": witness.printed,
            "exact": witness.exact,
            "note": witness.note or None,
        },
        "diagnoses": [
            {
                "mistake": edit.mistake,
                "detail": edit.detail,
                "value": f"{edit.side} = {edit.formula}",
                "explains": [printed.id],
            }
            for edit in judgement.edits
        ],
        "follows": None,
        "root": None,
        "note": printed.note or None,
    }


def diagnosis(found: Diagnosis) -> dict[str, Any]:
    """One explanation as plain data."""
    return {
        "mistake": found.mistake,
        "detail": found.detail,
        "value": found.value,
        "explains": list(found.explains),
        "tried": found.tried,
        "chance": found.chance,
    }


def summary(checked: Sequence[Checked]) -> dict[str, Any]:
    """Counts, and the claims whose verdict is not the recorded one."""
    pairs = [(one.example.id, judgement) for one in checked for judgement in one.judgements]
    return {
        "examples": len(checked),
        "claims": len(pairs),
        "verdicts": dict(sorted(Counter(str(judgement.verdict) for _, judgement in pairs).items())),
        "as_expected": all(judgement.as_expected for _, judgement in pairs),
        "unexpected": [f"{name}: {judgement.claim.id}" for name, judgement in pairs if not judgement.as_expected],
    }
