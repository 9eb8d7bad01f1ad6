"""Judge a printed formula: proved, refuted by a counterexample, or not decided.

The formula is held against what the example's own forward formulas and reverse mode give, entry by entry, for all
values of the free names. Sizes of arrays are the concrete ones of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from verify.expr import Expr, Num, Var
from verify.formulas.conventions import numberings
from verify.formulas.edits import Edit, small_edits
from verify.formulas.identity import Answer, Identity, compare, within
from verify.formulas.points import Witness
from verify.formulas.truths import Truths
from verify.reading.example import Example
from verify.reading.figures import Interval, Verdict, decimal, machine
from verify.reading.printed import Entry, FormulaClaim, related

SHOWN_DIGITS = 6
MAX_SHOWN = 120
"""A true formula longer than this gives way to a shorter one that is proved equal to it."""


@dataclass(frozen=True)
class Counterexample:
    """A point where a printed formula is wrong: the entry, the names' values, the printed and the true value there."""

    entry: str
    point: Mapping[str, str]
    printed: str
    exact: str
    note: str = ""


@dataclass(frozen=True)
class FormulaJudgement:
    """One printed formula judged.

    Attributes:
        claim: what is printed.
        verdict: ``right``, ``wrong`` or ``undecided``.
        exact: the true formula as text; of the wrong entry, where the claim has several.
        proof: how the verdict was reached.
        counterexample: where it is wrong.
        condition: where a wrong or right formula holds, if that is one condition (``alpha - 1 <= 0``).
        edits: the small edits that make a wrong formula right, the plainest first.
        sizes: of the arrays that the verdict is about, empty where there are none.
        numbering: of a wrong formula whose layers are numbered otherwise than in the forward equations: how all the
            formulas of its group are right together.
    """

    claim: FormulaClaim
    verdict: Verdict
    exact: str
    proof: str
    counterexample: Counterexample | None = None
    condition: str = ""
    edits: tuple[Edit, ...] = ()
    sizes: str = ""
    numbering: str = ""

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the recorded one, or ``right`` where none is recorded."""
        return self.verdict == (self.claim.expected or Verdict.RIGHT)


def judge_formulas(example: Example, edits: bool = True) -> tuple[FormulaJudgement, ...]:
    """Judge every formula of an example, in the file's order, and the numbering of its layers."""
    truths = Truths(example)
    judged = [judge_formula(example, claim, truths, edits) for claim in example.formula_claims]
    found = [numbering for numbering in numberings(example, truths) if not numbering.consistent]
    if len(found) == 1:
        judged = [
            replace(j, numbering=str(found[0])) if j.verdict == Verdict.WRONG and j.claim.id in found[0].claims else j
            for j in judged
        ]
    return tuple(judged)


def judge_formula(
    example: Example, claim: FormulaClaim, truths: Truths | None = None, edits: bool = True
) -> FormulaJudgement:
    """Judge one formula.

    Args:
        example: the file that the claim is from.
        claim: the printed formula.
        truths: those of the example, where several of its claims are judged.
        edits: whether to look for small edits that make a wrong formula right.

    Example:
        >>> from verify.reading.example import loads
        >>> from verify.formulas.judging import judge_formulas
        >>> neuron = loads('''
        ... id = "neuron"
        ... title = "one neuron"
        ... source = "blackboard"
        ... symbols = {x = "real", y = "real", w = "real", b = "real"}
        ... compute = {z = "w*x + b", a = "sigmoid(z)", E = "1/2*(y - a)**2"}
        ... [[claims]]
        ... slide = 43
        ... what = "dE/dw"
        ... formula = "(a - y)*a*(1 - y)*x"
        ... ''')
        >>> judged = judge_formulas(neuron)[0]
        >>> str(judged.verdict), judged.exact, judged.edits[0].mistake, judged.edits[0].formula
        ('wrong', '(a - y)*a*(1 - a)*x', 'wrong-variable', '(a - y)*a*(1 - a)*x')
    """
    return replace(_judged(example, claim, truths or Truths(example), edits), sizes=_sizes(example, claim))


def _judged(example: Example, claim: FormulaClaim, truths: Truths, edits: bool) -> FormulaJudgement:
    by_of: dict[str, list[str]] = {}
    for entry in claim.entries:
        if entry.side.by is not None:
            by_of.setdefault(entry.side.of, []).append(entry.side.by)
    for of, names in by_of.items():
        truths.prepare(of, names)
    first: FormulaJudgement | None = None
    undecided: FormulaJudgement | None = None
    found: list[Identity] = []
    for entry in claim.entries:
        true = truths.side(entry.side)
        identity = _decide(claim, entry, true, truths)
        found.append(identity)
        text = _shown(entry, true, truths)
        if identity.answer == Answer.WRONG:
            assert identity.witness is not None
            example_of = _counterexample(entry, identity.witness, true, truths)
            corrections = small_edits(example, claim, entry, truths) if edits and claim.between is None else ()
            if not corrections and identity.condition:
                where = f"right where {identity.condition}"
                corrections = (Edit("missing-condition", where, claim.formula, str(claim.side)),)
            elif corrections and len(text) > MAX_SHOWN:
                text = corrections[0].formula
            return FormulaJudgement(
                claim, Verdict.WRONG, text, identity.how, example_of, identity.condition, corrections
            )
        if identity.answer == Answer.PROVED and len(text) > MAX_SHOWN:
            text = min(text, str(entry.printed), key=len)  # they are equal
        if first is None:
            first = FormulaJudgement(claim, Verdict.RIGHT, text, "")
        if identity.answer == Answer.INCONCLUSIVE and undecided is None:
            undecided = FormulaJudgement(claim, Verdict.UNDECIDED, text, identity.how, None, identity.condition)
    if undecided is not None:
        return undecided
    assert first is not None
    hows = dict.fromkeys(identity.how for identity in found)
    conditions = dict.fromkeys(identity.condition for identity in found if identity.condition)
    return FormulaJudgement(
        claim,
        Verdict.RIGHT,
        first.exact if len(claim.entries) == 1 else f"{first.exact} (the first of {len(claim.entries)} entries)",
        "; ".join(hows),
        condition="; ".join(conditions),
    )


def _sizes(example: Example, claim: FormulaClaim) -> str:
    shapes = {name: np.shape(np.asarray(example.names[name], dtype=object)) for name in related(example.names, claim)}
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items() if shape)


def _decide(claim: FormulaClaim, entry: Entry, true: Expr, truths: Truths) -> Identity:
    if claim.between is not None:
        return within(true, *claim.between, truths.setting)
    printed = truths.formula(entry.printed)
    return compare(true, printed, truths.setting)


def _shown(entry: Entry, true: Expr, truths: Truths) -> str:
    """The true formula; a value's is its definition."""
    return str(truths.defined(true.name) if isinstance(true, Var) and entry.side.by is None else true)


def _counterexample(entry: Entry, witness: Witness, true: Expr, truths: Truths) -> Counterexample:
    unknown = {"phi", "dphi"} & truths.setting.functions(true, truths.formula(entry.printed))
    return Counterexample(
        str(entry.side),
        {name: str(value) for name, value in witness.point.items()},
        _digits(witness.right),
        _digits(witness.left),
        "phi is the sigmoid here" if unknown else "",
    )


def _digits(interval: Interval) -> str:
    low, high = interval
    if low == high and low.denominator < 1000 and abs(low) < 10**SHOWN_DIGITS:
        return str(Num(low))
    return decimal(interval, SHOWN_DIGITS) or f"between {_rounded(low)} and {_rounded(high)}"


def _rounded(value: Fraction) -> str:
    return f"{machine(value):.{SHOWN_DIGITS}g}"
