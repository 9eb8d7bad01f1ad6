"""How values, places and verdicts are put into words."""

from __future__ import annotations

from verify.formulas.judging import FormulaJudgement
from verify.judge import Judgement
from verify.reading import figures
from verify.reading.figures import Verdict

DIGITS = 10


def trim(text: str) -> str:
    """Without the zeros that a short decimal ends in."""
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def plural(count: int, noun: str) -> str:
    """``1 claim``, ``2 claims``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def shown(judgement: Judgement) -> str:
    if judgement.exact is None:
        return f"undecided ({judgement.reason})"
    interval = (figures.read(judgement.exact).value,) * 2
    return trim(figures.decimal(interval, DIGITS) or judgement.exact)


def where(slide: str) -> str:
    return f"slide {slide}" if slide.isdigit() else f"« {slide} »"


def verdict(judgement: Judgement | FormulaJudgement) -> str:
    verdict = judgement.verdict.upper() if judgement.verdict == Verdict.WRONG else str(judgement.verdict)
    transcribed = isinstance(judgement, FormulaJudgement) and judgement.claim.transcribed
    return verdict + (", as transcribed" if transcribed else "")
