"""Working by hand: every result rounded before it is used again."""

from __future__ import annotations

from fractions import Fraction

from verify.reading.example import What, loads
from verify.worked.derivation import build
from verify.worked.rounding import round_half_away, rounded

HALVES = """
id = "t"
title = "t"
source = "t"
given = {x = "0.333", w = "0.5"}
compute = {a = "x*x", b = "10*a", E = "w*w*b"}
learn = {loss = "E", rate = "1", parameters = ["w"]}
"""


def test_each_result_is_rounded_before_it_is_used() -> None:
    derivation = build(loads(HALVES))
    values = rounded(derivation, 1, [What("b"), What("a"), What("w", None, 1)])
    assert values[What("a")] == Fraction("0.110889")  # itself as the step gives it
    assert values[What("b")] == 1  # 10 times 0.1
    assert values[What("w", None, 1)] == Fraction("0.5") - 1  # 2*w*b = 1


def test_round_half_away() -> None:
    assert [round_half_away(Fraction(n, 4), 1) for n in (1, -1, 3)] == [
        Fraction(3, 10),
        Fraction(-3, 10),
        Fraction(8, 10),
    ]
