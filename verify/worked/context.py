"""Figures in context: does a figure follow from the others as printed, and where does a chain of wrong ones begin?

A figure may be wrong only because it was computed from a wrong one. So each is judged a second time, against what the
other printed figures give: the arithmetic printed beside it where there is one, else the derivation's own steps with
every printed figure in the place of the exact value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from verify.algebra.ball import Undecided
from verify.expr import Expr, Var, substitute, variables
from verify.judge import Judgement
from verify.reading import figures, formula
from verify.reading.example import Claim, Given, What
from verify.reading.figures import Verdict
from verify.reading.formula import FormulaError
from verify.worked.derivation import Derivation, Kind, Step
from verify.worked.routes import Balls, quantity

MAX_UNROLLED = 20
"""Figures after more updates than this are not followed back through every update."""

_LITERAL = re.compile(r"\d*\.?\d+")


@dataclass(frozen=True)
class Context:
    """How a figure stands among the others.

    Attributes:
        follows: the verdict on it, given the others as printed; None where nothing printed leads to it.
        inputs: ids of the printed figures that it is computed from.
        root: for a wrong figure, the id of the figure where the chain of wrong ones begins (its own, if there); None
            for a figure that is not wrong.
    """

    follows: Verdict | None
    inputs: tuple[str, ...]
    root: str | None


def contexts(derivation: Derivation, judgements: Sequence[Judgement]) -> Mapping[str, Context]:
    """The context of every claim, by id."""
    follows: dict[str, tuple[Verdict | None, tuple[str, ...]]] = {}
    for i, judgement in enumerate(judgements):
        follows[judgement.claim.id] = _follows(derivation, judgements, i)
    verdicts = {j.claim.id: j.verdict for j in judgements}
    first: dict[tuple[What, Fraction], str] = {}
    for judgement in judgements:
        first.setdefault((judgement.claim.what, judgement.claim.printed.value), judgement.claim.id)

    def root(claim: Claim, seen: frozenset[str]) -> str:
        earlier = first[claim.what, claim.printed.value]
        if earlier != claim.id and earlier not in seen:
            return root(by_id[earlier], seen | {claim.id})  # the same wrong figure, printed again
        verdict, inputs = follows[claim.id]
        if verdict not in (None, Verdict.WRONG, Verdict.UNDECIDED):
            for name in inputs:
                if verdicts[name] == Verdict.WRONG and name not in seen:
                    return root(by_id[name], seen | {claim.id})
        return claim.id

    by_id = {j.claim.id: j.claim for j in judgements}
    return {
        j.claim.id: Context(*follows[j.claim.id], root(j.claim, frozenset()) if j.verdict == Verdict.WRONG else None)
        for j in judgements
    }


def _follows(
    derivation: Derivation, judgements: Sequence[Judgement], index: int
) -> tuple[Verdict | None, tuple[str, ...]]:
    claim = judgements[index].claim
    if claim.working:
        value = worked_value(claim.working)
        inputs = tuple(_quoted(claim, judgements))
        return (None if value is None else figures.judge(claim.printed, lambda bits: (value, value))), inputs
    if claim.what.after > MAX_UNROLLED:
        return None, ()
    printed = _printed_before(judgements, index)
    unrolled, used = _with_printed(unroll(derivation, claim.what.after), claim.what, printed)
    if not used:
        return None, ()
    balls, target = Balls(unrolled), What(at(quantity(claim.what), claim.what.after))
    try:
        verdict = figures.judge(claim.printed, lambda bits: balls.known(target, bits))
    except Undecided:
        return Verdict.UNDECIDED, used
    except ArithmeticError:
        return None, used
    return verdict, used


def worked_value(working: str) -> Fraction | None:
    """The exact value of printed arithmetic, or None where it is not plain arithmetic on rationals."""
    expr = worked_expr(working)
    if expr is None:
        return None
    try:
        low, high = Balls(Derivation((), (Step("_", Kind.FORWARD, expr),), {})).enclose(What("_"), 128)
    except (ArithmeticError, Undecided):
        return None
    return (low + high) / 2


def worked_expr(working: str) -> Expr | None:
    """Printed arithmetic as an expression of numbers, or None where it is not readable as such."""
    try:
        expr = formula.parse(working, {})
    except FormulaError:
        return None
    return expr if isinstance(expr, Expr) else None


def _quoted(claim: Claim, judgements: Sequence[Judgement]) -> Iterator[str]:
    """Ids of the other figures whose digits stand in the claim's printed arithmetic."""
    # A short number (1, 0.5) may stand there for itself; three digits or more were taken from somewhere.
    digits = {Fraction(text) for text in _LITERAL.findall(claim.working) if len(text.strip("0.")) >= 3}
    seen: set[Fraction] = set()
    for judgement in judgements:
        other = judgement.claim
        size = abs(other.printed.value)
        if other.id != claim.id and size in digits and size not in seen and other.what != claim.what:
            seen.add(size)
            yield other.id


def _printed_before(judgements: Sequence[Judgement], index: int) -> Mapping[str, Claim]:
    """The printed figure to be used for each quantity: the last one before this claim, else the first one after."""
    printed: dict[str, Claim] = {}
    for judgement in (*judgements[index + 1 :][::-1], *judgements[:index]):
        what = judgement.claim.what
        printed[at(quantity(what), what.after)] = judgement.claim
    return printed


def at(name: str, after: int) -> str:
    """The name of a value after so many updates, in an unrolled derivation."""
    return f"{name} after {after}" if after else name


def unroll(derivation: Derivation, after: int) -> Derivation:
    """All iterations up to ``after`` as one list of steps; what is carried becomes a step of the next iteration."""
    steps: list[Step] = []
    own = set(derivation.by_name)
    for k in range(after + 1):
        names: dict[str, Expr] = {name: Var(at(name, k)) for name in (*own, *derivation.carried)}
        steps.extend(
            replace(step, name=at(step.name, k), expr=substitute(step.expr, names)) for step in derivation.steps
        )
        if k < after:
            steps.extend(
                replace(derivation.by_name[new], name=at(name, k + 1), expr=Var(at(new, k)))
                for name, new in derivation.carried.items()
            )
    return Derivation(derivation.given, tuple(steps), {}, derivation.loss)


def _with_printed(
    unrolled: Derivation, target: What, printed: Mapping[str, Claim]
) -> tuple[Derivation, tuple[str, ...]]:
    """The unrolled steps that lead to the target, printed figures taken as given; and the ids of those figures."""
    goal = at(quantity(target), target.after)
    steps, waiting, kept, used = unrolled.by_name, [goal], set(), {}
    while waiting:
        name = waiting.pop()
        if name in kept or name not in steps:
            continue
        kept.add(name)
        for variable in variables(steps[name].expr):
            if variable in printed and variable in steps:
                used[variable] = printed[variable]
            else:
                waiting.append(variable)
    given = tuple(Given(name, claim.printed.value, claim.printed.text) for name, claim in used.items())
    chosen = tuple(step for step in unrolled.steps if step.name in kept)
    return Derivation((*unrolled.given, *given), chosen, {}), tuple(claim.id for claim in used.values())
