"""Mistakes planted at random are named; right examples are left alone. The whole count is in benchmarks/diagnosis."""

from __future__ import annotations

import pytest

from benchmarks.diagnosis import examples, names
from benchmarks.planted_figures import KINDS, Planted, draw
from verify.checking import check
from verify.reading.example import loads

NINE = list(examples(len(KINDS), 9, planted=True))


@pytest.mark.parametrize("planted", NINE, ids=[str(p.kind) for p in NINE])
def test_a_planted_mistake_is_among_the_best_explanations(planted: Planted) -> None:
    found, wrong, _ = names(planted)
    assert wrong
    assert planted.mistake in found


def test_at_four_digits_the_ties_are_honest() -> None:
    drawn = list(examples(10, 4, planted=True, seed=500))
    assert sum(planted.mistake in names(planted)[0] for planted in drawn) >= 9


@pytest.mark.parametrize("digits", [4, 9])
def test_a_right_example_raises_no_alarm(digits: int) -> None:
    for planted in examples(15, digits, planted=False, seed=10**6):
        assert all(j.verdict == "right" for j in check(loads(planted.toml), routes=False).judgements)


def test_the_generator_gives_every_kind() -> None:
    for kind in KINDS:
        assert any(draw(seed, kind) for seed in range(100)), kind


def test_the_generator_is_seeded() -> None:
    first, second = draw(7, KINDS[0]), draw(7, KINDS[0])
    assert first is not None
    assert first == second
