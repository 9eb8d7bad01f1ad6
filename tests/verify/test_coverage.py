"""The coverage table: what is in it, its order, and that the page in the documentation is its output."""

from __future__ import annotations

from pathlib import Path

import pytest

from verify import coverage
from verify.checking import deck_files
from verify.judge import judge
from verify.reading.example import ExampleError, load

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


@pytest.fixture(scope="module")
def rows() -> tuple[coverage.Row, ...]:
    return coverage.table([judge(load(path), routes=False) for path in deck_files()])


def test_the_page_is_what_the_program_says(rows: tuple[coverage.Row, ...]) -> None:
    assert coverage.to_markdown(rows) == PAGE.read_text(encoding="utf-8"), "make docs/coverage.md again"


def test_every_claim_of_every_deck_is_in_it_once(rows: tuple[coverage.Row, ...]) -> None:
    examples = [load(path) for path in deck_files()]
    claims = sum(len(example.claims) + len(example.formula_claims) for example in examples)
    assert sum(bool(row.id) for row in rows) == claims
    assert {row.deck for row in rows} == {"000", "001", "002", "003", "004"}
    listed = sum(len(deck.rows) for deck in coverage.unchecked())
    assert coverage.counts(rows)[coverage.NOT_CHECKED] == listed
    assert len(rows) == claims + listed


def test_rows_are_in_reading_order(rows: tuple[coverage.Row, ...]) -> None:
    pages = [int(row.page.split("-")[0]) for row in rows if row.deck == "000"]
    assert pages == sorted(pages)
    for deck in coverage.unchecked():
        if deck.pages:
            mine = [row.page for row in rows if row.deck == deck.number]
            assert set(mine) <= set(deck.pages), deck.number
            assert mine == sorted(mine, key=deck.pages.index)


def test_every_reason_is_a_known_one(rows: tuple[coverage.Row, ...]) -> None:
    for row in rows:
        assert (row.verdict == coverage.NOT_CHECKED) == (row.id == "")
        if not row.id:
            assert row.reason in coverage.REASONS


def test_texts(rows: tuple[coverage.Row, ...]) -> None:
    text = coverage.to_text(rows)
    assert "wrong: dE/dw = (a - y)*a*(1 - y)*x" in text
    assert "wrong, as transcribed: f = f*(1 - f)" in text
    assert "right, as an answer: dL/da[i] = sigma[i] - y[i]" in text
    assert "not checked (opinion)" in text


def test_an_example_of_no_deck_stands_under_its_own_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'id = "mine"\ntitle = "t"\nsource = "s"\n[given]\nw = "1"\n[[claims]]\nslide = 2\nwhat = "w"\nprinted = "1"\n'
    )
    found = coverage.table([judge(load(file), routes=False)])
    assert [(row.deck, row.page, row.claim, row.verdict) for row in found] == [("mine", "2", "w = 1", "right")]
    assert "| 2 | `w = 1` | right |" in coverage.to_markdown(found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("deck =", "Invalid value"),
        ('title = "t"', "deck: expected a string, got None"),
        ('deck = "9"\ntitle = "t"\npages = 3', "pages: expected a list of strings"),
        ('deck = "9"\ntitle = "t"\nitems = 3', "items: expected"),
        ('deck = "9"\ntitle = "t"\n[[items]]\npage = "1"\nwhat = "w"\nwhy = "laziness"', "'laziness' is none of"),
        ('deck = "9"\ntitle = "t"\n[[items]]\npage = "1"\nwhy = "opinion"', "what: expected a string"),
    ],
)
def test_bad_lists_of_what_is_not_checked(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "9.toml").write_text(text)
    with pytest.raises(ExampleError) as caught:
        coverage.unchecked(tmp_path)
    assert why in str(caught.value)
