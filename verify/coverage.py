"""The coverage table: what each deck says, page by page, and what became of it.

A row is a claim that is judged, or something on a page that cannot be judged, with the reason: a picture, an opinion,
a definition that the checks take as given. The second kind stands in ``decks/unchecked``, one file a deck, which also
lists the deck's pages in reading order where they have no numbers.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from verify.reading.example import Claim, Example, ExampleError
from verify.reading.figures import Verdict
from verify.reading.printed import FormulaClaim

UNCHECKED = Path(__file__).parent / "decks" / "unchecked"
NOT_CHECKED = "not checked"
REASONS: Mapping[str, str] = {
    "definition": "what the checks take as given",
    "experience": "a statement about practice, for experiments to decide",
    "opinion": "a judgement of taste or advice",
    "outline": "titles, agendas, links, people",
    "picture": "nothing, or nothing that can be read, is left of it in the text",
    "procedure": "steps to do, which are neither right nor wrong",
    "question": "a question",
}
"""Why something is not judged."""


class Judged(Protocol):
    """One judged claim, a figure's or a formula's."""

    @property
    def claim(self) -> Claim | FormulaClaim: ...

    @property
    def verdict(self) -> Verdict: ...


class JudgedExample(Protocol):
    """An example and the judgements on its claims."""

    @property
    def example(self) -> Example: ...

    @property
    def judgements(self) -> Sequence[Judged]: ...


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        deck: its number, as in ``000``; the example's id for an example that is of no deck.
        page: a slide's number, or the heading it stands under.
        claim: what is said.
        verdict: the verdict, or ``not checked``.
        reason: of ``not checked``, one of :data:`REASONS`; else the claim's note.
        id: of the judged claim, else empty.
    """

    deck: str
    page: str
    claim: str
    verdict: str
    reason: str = ""
    id: str = ""


@dataclass(frozen=True)
class Deck:
    """What ``decks/unchecked`` says about one deck: its title, its pages in order, what is not judged and why."""

    number: str
    title: str
    pages: tuple[str, ...]
    rows: tuple[Row, ...]


def table(judged: Iterable[JudgedExample], decks: Sequence[Deck] | None = None) -> tuple[Row, ...]:
    """The rows of judged examples and of what is not judged in their decks, by deck and page.

    Args:
        judged: examples with their judgements.
        decks: what is not judged; None for the decks that come with the package and that ``judged`` is about.

    Example:
        >>> from verify.coverage import table
        >>> from verify.reading.example import loads
        >>> from verify.judge import judge
        >>> half = loads('''
        ... id = "half"
        ... title = "A sigmoid"
        ... source = "blackboard"
        ... given = {z = "0"}
        ... compute = {a = "sigmoid(z)"}
        ... claims = [{slide = 1, what = "a", printed = "0.5"}]
        ... ''')
        >>> [(row.deck, row.page, row.claim, row.verdict) for row in table([judge(half, routes=False)])]
        [('half', '1', 'a = 0.5', 'right')]
    """
    rows = [_row(one.example, judgement) for one in judged for judgement in one.judgements]
    if decks is None:
        known = {row.deck for row in rows}
        decks = [deck for deck in unchecked() if deck.number in known]
    order = {(deck.number, page): i for deck in decks for i, page in enumerate(deck.pages)}
    rows += [row for deck in decks for row in deck.rows]
    last = len(order)

    def place(row: Row) -> tuple[str, int, int]:
        first = re.match(r"\d+", row.page)
        number = order.get((row.deck, row.page), int(first[0]) if first else last)
        return row.deck, number, rows.index(row)

    return tuple(sorted(rows, key=place))


def unchecked(folder: Path = UNCHECKED) -> tuple[Deck, ...]:
    """What is not judged, deck by deck.

    Raises:
        ExampleError: if a file is not as it should be.
    """
    return tuple(_deck(path) for path in sorted(folder.glob("*.toml")))


def counts(rows: Iterable[Row]) -> Mapping[str, int]:
    """How many rows there are of each verdict, the verdicts in the order of :class:`verify.reading.figures.Verdict`."""
    found = Counter(row.verdict for row in rows)
    known = [f"{verdict}{qualified}" for qualified in ("", ", as transcribed", ", as an answer") for verdict in Verdict]
    return {verdict: found[verdict] for verdict in [*known, NOT_CHECKED] if found[verdict]}


def to_text(rows: Sequence[Row]) -> str:
    """The table for a terminal: a line a row, and the counts."""
    lines: list[str] = []
    for deck in dict.fromkeys(row.deck for row in rows):
        mine = [row for row in rows if row.deck == deck]
        lines += ["", f"deck {deck}: {_counted(mine)}", ""]
        for row in mine:
            why = f" ({row.reason})" if row.verdict == NOT_CHECKED else ""
            lines.append(f"  {row.page:>5}  {row.verdict}{why}: {row.claim}")
    lines += ["", f"all: {_counted(rows)}"]
    return "\n".join(lines).lstrip("\n")


def to_markdown(rows: Sequence[Row], decks: Sequence[Deck] | None = None) -> str:
    """The table as a Markdown page."""
    titles = {deck.number: deck.title for deck in (unchecked() if decks is None else decks)}
    lines = [
        "# Coverage of the five lecture decks",
        "",
        "Every claim of the decks that can be checked, with its verdict, and what cannot be checked, with the reason.",
        "Made by `verify.coverage.to_markdown`; a test compares it with what the program says.",
        "",
        "A formula is *right* only if it is proved for all values of its names, for arrays at the sizes that its file",
        "states, and *wrong* only with a counterexample; *as transcribed* means that the conversion of the deck to",
        "text may have changed it; *as an answer*, that the deck asks for the formula or says it in words, and does",
        "not print it. Proofs of the general formulas for every size are made in `verify.indexed`.",
        "",
        f"In all: {_counted(rows)}.",
        "",
        "Reasons for *not checked*:",
        "",
        *(f"- {name}: {meaning};" for name, meaning in REASONS.items()),
    ]
    for deck in dict.fromkeys(row.deck for row in rows):
        mine = [row for row in rows if row.deck == deck]
        lines += ["", f"## Deck {deck}: {titles.get(deck, deck)}", "", f"{_counted(mine)}.", ""]
        lines += ["| page | claim | verdict | note |", "| --- | --- | --- | --- |"]
        for row in mine:
            claim = f"`{row.claim}`" if row.id else row.claim
            lines.append(f"| {_cell(row.page)} | {_cell(claim)} | {row.verdict} | {_cell(row.reason)} |")
    return "\n".join(lines) + "\n"


def _row(example: Example, judgement: Judged) -> Row:
    claim = judgement.claim
    text = claim.text if isinstance(claim, FormulaClaim) else f"{claim.what} = {claim.printed.text}"
    answer = isinstance(claim, FormulaClaim) and claim.answer
    qualified = ", as transcribed" if claim.transcribed else ", as an answer" if answer else ""
    verdict = str(judgement.verdict) + qualified
    return Row(deck_number(example), claim.slide, text, verdict, claim.note, claim.id)


def deck_number(example: Example) -> str:
    """The number of the deck that an example is from; its id where it is from none."""
    match = re.match(r"deck(\d{3})-", example.id)
    return match[1] if match else example.id


def _counted(rows: Sequence[Row]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in counts(rows).items())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _deck(path: Path) -> Deck:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ExampleError(f"{path}: {error}") from None
    number, title = _text(path, document, "deck"), _text(path, document, "title")
    pages = document.get("pages", [])
    if not isinstance(pages, list) or not all(isinstance(page, str) for page in pages):
        raise ExampleError(f"{path}: pages: expected a list of strings, got {pages!r}")
    items = document.get("items", [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ExampleError(f"{path}: items: expected [[items]] tables")
    rows = []
    for item in items:
        why = _text(path, item, "why")
        if why not in REASONS:
            raise ExampleError(f"{path}: why: {why!r} is none of {', '.join(REASONS)}")
        rows.append(Row(number, _text(path, item, "page"), _text(path, item, "what"), NOT_CHECKED, why))
    return Deck(number, title, tuple(pages), tuple(rows))


def _text(path: Path, table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise ExampleError(f"{path}: {key}: expected a string, got {value!r}")
    return value
