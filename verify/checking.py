"""Check a worked example: judge each claim, set it in context, and name the mistake behind each wrong figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from verify.diagnosis.diagnose import diagnose
from verify.diagnosis.hypothesis import Diagnosis
from verify.formulas.judging import FormulaJudgement
from verify.judge import Judgement, judge
from verify.reading.example import Example, ExampleError, load
from verify.worked.context import Context, contexts
from verify.worked.derivation import Derivation


@dataclass(frozen=True)
class Checked:
    """Everything there is to say about one example: what every report is made from.

    Attributes:
        example: as read from its file.
        derivation: its forward, backward and update steps.
        judgements: one for each claim, in the file's order.
        contexts: for each figure, by claim id: does it follow from the others, and where does its chain begin?
        diagnoses: for each figure that is not right, by claim id: every explanation found, simplest first.
    """

    example: Example
    derivation: Derivation
    judgements: tuple[Judgement | FormulaJudgement, ...]
    contexts: Mapping[str, Context]
    diagnoses: Mapping[str, tuple[Diagnosis, ...]]

    @property
    def figures(self) -> tuple[Judgement, ...]:
        return tuple(j for j in self.judgements if isinstance(j, Judgement))

    @property
    def formulas(self) -> tuple[FormulaJudgement, ...]:
        return tuple(j for j in self.judgements if isinstance(j, FormulaJudgement))


def check(example: Example | Path, *, routes: bool = True) -> Checked:
    """Check one worked example.

    Args:
        example: an example, or the path of its file.
        routes: also compute every figure by SymPy and by JAX (see :mod:`verify.worked.routes`).

    Raises:
        ExampleError: if the file cannot be used, or a claimed value does not exist.

    Example:
        >>> from pathlib import Path
        >>> import verify
        >>> checked = verify.check(Path(verify.__file__).parent / "decks" / "000_softmax.toml", routes=False)
        >>> [str(j.verdict) for j in checked.judgements]
        ['right', 'right', 'right']
    """
    loaded = load(example) if isinstance(example, Path) else example
    try:
        judged = judge(loaded, routes)
    except ExampleError as error:
        raise ExampleError(f"{example}: {error}" if isinstance(example, Path) else str(error)) from None
    figures = tuple(j for j in judged.judgements if isinstance(j, Judgement))
    around = contexts(judged.derivation, figures)
    return Checked(
        judged.example, judged.derivation, judged.judgements, around, diagnose(judged.derivation, figures, around)
    )


def deck_files() -> list[Path]:
    """The worked-example files that come with the package: the five lecture decks."""
    return sorted((Path(__file__).parent / "decks").glob("0*.toml"))
