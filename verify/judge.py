"""Judge every claim of a worked example: the plain data that every report takes."""

from __future__ import annotations

from dataclasses import dataclass

from verify.formulas.judging import FormulaJudgement, judge_formulas
from verify.reading import figures
from verify.reading.example import Claim, Example, ExampleError
from verify.reading.figures import Verdict
from verify.worked.autodiff import Autodiff
from verify.worked.derivation import Derivation, build
from verify.worked.routes import Agreement, Balls, Symbolic, compare
from verify.worked.scalars import Kink

EXACT_DIGITS = 20


@dataclass(frozen=True)
class Judgement:
    """One claim judged.

    Attributes:
        claim: what is printed.
        verdict: from the enclosure and the printed digits alone.
        exact: the value to 20 significant digits, each certain; None where no enclosure is narrow enough.
        agreement: the same quantity by the other routes; None where the routes were not asked.
        reason: why a verdict is ``undecided``, else empty.
    """

    claim: Claim
    verdict: Verdict
    exact: str | None
    agreement: Agreement | None
    reason: str = ""

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the recorded one, or ``right`` where none is recorded."""
        return self.verdict == (self.claim.expected or Verdict.RIGHT)


@dataclass(frozen=True)
class Judged:
    """An example, its derivation, and a judgement for each claim: figures, then formulas, each in the file's order."""

    example: Example
    derivation: Derivation
    judgements: tuple[Judgement | FormulaJudgement, ...]
    balls: Balls


def judge(example: Example, routes: bool = True) -> Judged:
    """Judge every claim of an example.

    Args:
        example: as read by :func:`verify.reading.example.load`.
        routes: also compute every figure with SymPy and with JAX; a figure on which they disagree with the enclosure
            is ``undecided``.

    Raises:
        ExampleError: where a claimed value does not exist (a division by zero, a logarithm of zero).

    Example:
        >>> from verify.reading.example import loads
        >>> from verify.judge import judge
        >>> judged = judge(loads('''
        ... id = "half"
        ... title = "A sigmoid"
        ... source = "blackboard"
        ... given = {z = "1"}
        ... compute = {a = "sigmoid(z)"}
        ... claims = [{slide = 1, what = "a", printed = "0.731"}, {slide = 1, what = "da/dz", printed = "0.176"}]
        ... '''), routes=False)
        >>> [(str(j.verdict), j.exact) for j in judged.judgements]
        [('right', '0.73105857863000487925'), ('wrong', '0.19661193324148185254')]
    """
    derivation = build(example)
    balls = Balls(derivation)
    others = (Symbolic(derivation), Autodiff(derivation)) if routes and example.claims else None
    judged = tuple(_judge(example, claim, balls, others) for claim in example.claims)
    return Judged(example, derivation, (*judged, *judge_formulas(example)), balls)


def _judge(example: Example, claim: Claim, balls: Balls, others: tuple[Symbolic, Autodiff] | None) -> Judgement:
    try:
        verdict = figures.judge(claim.printed, lambda bits: balls.known(claim.what, bits))
        found = balls.digits(claim.what, EXACT_DIGITS)
    except Kink as kink:
        return Judgement(claim, Verdict.UNDECIDED, None, None, str(kink))
    except (ZeroDivisionError, OverflowError) as error:
        too_large = isinstance(error, OverflowError)
        why = "too large a number" if too_large else "division by zero, or a function outside of its domain"
        raise ExampleError(f"example {example.id}: claim {claim.id}: {claim.what} has no value: {why}") from None
    if found is None:
        return Judgement(claim, Verdict.UNDECIDED, None, None, "no enclosure is narrow enough")
    exact, enclosure = found
    if others is None:
        return Judgement(claim, verdict, exact, None)
    agreement = compare(claim.what, enclosure, *others)
    if not agreement.agree:
        reason = f"the routes disagree: balls {exact}, SymPy {agreement.sympy}, JAX {agreement.jax!r}"
        return Judgement(claim, Verdict.UNDECIDED, exact, agreement, reason)
    return Judgement(claim, verdict, exact, agreement)
