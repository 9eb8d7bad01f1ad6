"""Figures in context: what follows from what is printed, and where a chain of wrong figures begins."""

from __future__ import annotations

from fractions import Fraction

from verify.checking import Checked, check
from verify.reading.example import loads
from verify.worked.context import worked_value

CHAIN = """
id = "chain"
title = "chain"
source = "blackboard"
given = {x = "3"}
compute = {a = "2*x", b = "a + 1", c = "b*b"}
"""


def chain(a: str, b: str, c: str, working: str = "") -> Checked:
    extra = f', working = "{working}"' if working else ""
    return check(
        loads(
            f'{CHAIN}claims = [{{slide = 1, what = "a", printed = "{a}"}}, '
            f'{{slide = 1, what = "b", printed = "{b}"{extra}}}, {{slide = 1, what = "c", printed = "{c}"}}]'
        ),
        routes=False,
    )


def test_a_chain_has_one_root_and_its_consequences() -> None:
    contexts = chain("9", "10", "100").contexts
    assert [contexts[name].root for name in ("s1-a", "s1-b", "s1-c")] == ["s1-a"] * 3
    assert [contexts[name].follows for name in ("s1-b", "s1-c")] == ["right", "right"]


def test_a_second_mistake_in_a_chain_is_a_root_of_its_own() -> None:
    contexts = chain("9", "12", "144").contexts
    assert contexts["s1-b"].follows == "wrong"
    assert contexts["s1-b"].root == "s1-b"
    assert contexts["s1-c"].root == "s1-b"


def test_a_right_figure_after_a_wrong_one_does_not_follow() -> None:
    contexts = chain("9", "7", "49").contexts
    assert contexts["s1-b"].follows == "wrong"
    assert contexts["s1-b"].root is None


def test_printed_arithmetic_is_what_a_figure_follows_from() -> None:
    contexts = chain("6", "17", "289", working="2*3 + 11").contexts
    assert contexts["s1-b"].follows == "right"
    assert contexts["s1-c"].root == "s1-b"


def test_worked_value() -> None:
    assert worked_value("0.55 - 0.05/2") == Fraction(525, 1000)
    assert worked_value("0.5 +") is None
    assert worked_value("1/(2 - 2)") is None


def test_the_deck(checked_two_two_two: Checked) -> None:
    contexts = checked_two_two_two.contexts
    assert contexts["s48-b2-after-1"].follows == "right"
    assert contexts["s56-b2-after-1"].root == "s48-dE_t/db2"
    assert contexts["s56-b1-after-1"].root == "s55-dE_t/db1"
    assert contexts["s48-dE_t/db2"].follows == "wrong"
    assert contexts["s44-a_1"].root is None
