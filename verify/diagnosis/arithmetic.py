"""Slips of arithmetic: results rounded on the way, and printed arithmetic that does not give what stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from verify.diagnosis.hypothesis import EXPLAINING, Diagnosis, Hypothesis, explains, simplest
from verify.diagnosis.search import MAX_UNROLLED, Search
from verify.diagnosis.slips import add_factors, drop_factors, drop_terms, flip_signs, multiply_terms
from verify.expr import Expr, Num, rewrites
from verify.reading import figures
from verify.reading.example import Claim, What
from verify.reading.figures import Verdict
from verify.worked.context import Context, worked_expr, worked_value
from verify.worked.rounding import round_half_away, rounded


def roundings(search: Search, base: Hypothesis) -> None:
    judged = [j for j in search.judgements if j.claim.what.after <= MAX_UNROLLED]
    claims = [j.claim for j in judged if j.verdict not in (Verdict.RIGHT, Verdict.UNDECIDED)]
    for places in range(12, 0, -1):
        values = rounded(base.derivation, places, [j.claim.what for j in judged])
        search.tried += 1
        given = {j.claim.id: explains_rounded_value(j.claim, values, places) for j in judged}
        hits = [claim for claim in claims if given[claim.id]]
        spoilt = sum(j.verdict in EXPLAINING and not given[j.claim.id] for j in judged)
        for claim in hits:
            search.add(
                claim,
                Diagnosis(
                    "rounded-intermediates",
                    f"every result on the way rounded to {places} decimals",
                    figures.decimal((values[claim.what],) * 2, 15) or "",
                    tuple(c.id for c in hits),
                    spoilt,
                    search.tried,
                    _chance_of_one(claim, search),
                ),
            )


def explains_rounded_value(claim: Claim, values: Mapping[What, Fraction], places: int) -> bool:
    """Whether the printed digits are those of the value, as the last step gives it or rounded like all others."""
    value = values.get(claim.what)
    if value is None:
        return False
    if round_half_away(value, places) == claim.printed.value:
        return True
    return figures.judge(claim.printed, lambda bits: (value, value)) == Verdict.RIGHT


def _chance_of_one(claim: Claim, search: Search) -> float:
    """A rounding changes a figure by some units in its last place; about one in ten such changes hits by accident."""
    return 0.1 * (search.verdict(claim) == Verdict.LAST_DIGIT)


def worked(search: Search, explain: Callable[[Search], None]) -> None:
    """A slip in the arithmetic printed beside a figure: the right numbers, put together wrongly.

    ``explain`` searches for what makes the printed arithmetic another quantity than the one it is printed for.
    """
    rules = {
        "product-for-sum": multiply_terms,
        "sum-for-product": add_factors,
        "sign": flip_signs,
        "missing-term": drop_terms,
        "missing-factor": drop_factors,
    }
    for claim in search.wrong:
        expr = worked_expr(claim.working) if claim.working else None
        value = worked_value(claim.working) if expr is not None else None
        if expr is None or value is None or explains(claim.printed, value):
            continue
        tried = [(name, edited) for name, rule in rules.items() for _, edited in rewrites(expr, rule)]
        search.tried += len(tried)
        before = _behind(search, claim, value, explain) if search.verdict(claim) == Verdict.WRONG else None
        for mistake, edited in tried:
            result = _number(edited)
            if result is not None and explains(claim.printed, result):
                slip = _slip(search, claim, mistake, expr, edited, result, len(tried))
                if before is not None:
                    slip = replace(
                        slip,
                        mistake=f"{before.mistake} + {mistake}",
                        detail=f"{before.detail}; {slip.detail}",
                    )
                search.add(claim, slip)


def _behind(search: Search, claim: Claim, value: Fraction, explain: Callable[[Search], None]) -> Diagnosis | None:
    """What makes the printed arithmetic itself another quantity than the one it is printed for; None if nothing does.

    Its value is taken as a figure of seven digits (its inputs are rounded), and explained like any other.
    """
    text = figures.decimal((value, value), 7)
    judgement = next(j for j in search.judgements if j.claim is claim)
    if text is None or explains(figures.read(text), Fraction(judgement.exact or 0)):
        return None
    aside = replace(claim, printed=figures.read(text), working="")
    inner = Search(
        search.derivation,
        [replace(judgement, claim=aside)],
        {claim.id: Context(None, (), claim.id)},
        shared_edits=search.shared_edits,
    )
    explain(inner)
    search.tried += inner.tried
    return next(iter(simplest(inner.found.get(claim.id, []))), None)


def _slip(
    search: Search, claim: Claim, mistake: str, expr: Expr, edited: Expr, value: Fraction, tried: int
) -> Diagnosis:
    chance = tried * float(claim.printed.unit / abs(claim.printed.value)) if claim.printed.value else 1.0
    return Diagnosis(
        mistake,
        f"in the printed arithmetic: {edited}, not {expr}",
        figures.decimal((value, value), 15) or "",
        (claim.id,),
        0,
        search.tried,
        min(1.0, chance),
    )


def _number(expr: Expr) -> Fraction | None:
    if isinstance(expr, Num):
        return expr.value
    return worked_value(str(expr))
