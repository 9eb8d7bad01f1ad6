"""Layer numbering: one shift that makes a deck's formulas right together, or the finding that none is needed."""

from __future__ import annotations

import pytest

from verify.formulas.conventions import numberings
from verify.reading.example import loads

HEAD = 'id = "t"\ntitle = "a test"\nsource = "here"\n'
LAYERS = """
[symbols]
x = {shape = [2]}
W1 = {shape = [2, 2]}
W2 = {shape = [2, 2]}
W3 = {shape = [2, 2]}
b1 = {shape = [2]}
b2 = {shape = [2]}
b3 = {shape = [2]}
[compute]
a1 = "1*x"
z2 = "W1@a1 + b1"
a2 = "phi(z2)"
z3 = "W2@a2 + b2"
a3 = "phi(z3)"
z4 = "W3@a3 + b3"
J = "sum(phi(z4))"
"""
RENUMBER = '[renumber]\nfamilies = ["W", "b"]\nclaims = ["back", "bias", "weight"]\n'


def deck(back: str, bias: str, weight: str) -> str:
    claims = (("back", "dJ/dz3", back), ("bias", "dJ/db2", bias), ("weight", "dJ/dW2[j,k]", weight))
    tables = [f'[[claims]]\nid = "{i}"\nslide = 1\nwhat = "{what}"\nformula = "{text}"\n' for i, what, text in claims]
    return HEAD + LAYERS + "".join(tables) + RENUMBER


def test_a_consistent_deck_needs_no_shift() -> None:
    found = numberings(loads(deck("(transpose(W3)@D(J, z4))*dphi(z3)", "D(J, z3)", "D(J, z3[j])*a2[k]")))
    assert [n.consistent for n in found] == [True]
    assert str(found[0]) == "back, bias, weight hold together as they are numbered"


@pytest.mark.parametrize(
    ("formulas", "shifts"),
    [
        (("(transpose(W3)@D(J, z4))*dphi(z3)", "D(J, z2)", "D(J, z3[j])*a2[k]"), {"W": 0, "b": -1}),
        (("(transpose(W2)@D(J, z4))*dphi(z3)", "D(J, z3)", "D(J, z4[j])*a3[k]"), {"W": 1, "b": 0}),
        (("(transpose(W2)@D(J, z4))*dphi(z3)", "D(J, z2)", "D(J, z4[j])*a3[k]"), {"W": 1, "b": -1}),
    ],
)
def test_the_shift_is_found_family_by_family(formulas: tuple[str, str, str], shifts: dict[str, int]) -> None:
    found = numberings(loads(deck(*formulas)))
    assert [dict(n.shifts) for n in found] == [shifts]
    assert not found[0].consistent


def test_no_shift_makes_a_wrong_sign_right() -> None:
    assert numberings(loads(deck("(transpose(W3)@D(J, z4))*dphi(z3)", "-D(J, z3)", "D(J, z3[j])*a2[k]"))) == ()


def test_no_table_no_numbering() -> None:
    assert numberings(loads(HEAD + LAYERS)) == ()
