"""Planted errors: every wrong rule is found wrong, every correct twin passes."""

import pytest

from benchmarks.planted_gradients import FUNCTIONS, GENERAL, draw, example, right
from verify.gradients.prove import prove_gradient

COUNT = 220
PLANTED = draw(seed=0, count=COUNT)


def everything(function):
    return tuple(range(len(function.shapes)))


def test_the_draw_is_wide_and_repeats():
    assert len(PLANTED) == COUNT
    assert len({planted.function.name for planted in PLANTED}) >= 20
    assert len({planted.kind for planted in PLANTED}) >= 30
    assert set(GENERAL) <= {planted.kind for planted in PLANTED}
    assert [planted.name for planted in draw(seed=0, count=60)] == [planted.name for planted in PLANTED[:60]]
    assert len({planted.name for planted in PLANTED}) == COUNT


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_correct_twins_pass(function):
    proof = prove_gradient(right(function), *example(function), argnums=everything(function))
    assert proof.verdict == ("CERTIFIED" if function.name == "cosine" else "PROVED"), str(proof)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_wrong_rules_are_wrong(planted):
    proof = prove_gradient(planted.apply, *example(planted.function), argnums=everything(planted.function))
    assert proof.verdict == "WRONG", str(proof)
    assert proof.witness is not None
    if planted.kind in GENERAL and "cotangent" not in planted.kind and planted.kind != "stale value":
        assert proof.witness.leaf == f"args[{planted.argument}]"
