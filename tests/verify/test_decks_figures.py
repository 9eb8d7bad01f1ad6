"""The figures of the decks: what is printed is as transcribed, and the verdicts are the recorded ones."""

from __future__ import annotations

from collections import Counter

from tests.verify.conftest import DECKS
from verify.checking import Checked, check
from verify.reading.example import load


def test_the_network_of_deck_000(checked_two_two_two: Checked) -> None:
    counts = Counter(str(j.verdict) for j in checked_two_two_two.figures)
    assert counts == {"right": 35, "wrong": 9, "padded": 5, "last-digit": 1}
    assert all(j.as_expected for j in checked_two_two_two.figures)


def test_softmax_and_four_pixels() -> None:
    for name in ("000_softmax", "000_four_pixels"):
        assert all(j.verdict == "right" for j in check(load(DECKS / f"{name}.toml")).judgements)


def test_the_verdicts_do_not_depend_on_what_is_expected(checked_two_two_two: Checked) -> None:
    text = (DECKS / "000_two_two_two.toml").read_text(encoding="utf-8")
    from verify.judge import judge
    from verify.reading.example import loads

    turned = loads(text.replace('expected = "wrong"', 'expected = "right"').replace('expected = "padded"', ""))
    verdicts = [j.verdict for j in judge(turned, routes=False).judgements]
    assert verdicts == [j.verdict for j in checked_two_two_two.figures]
