"""Expressions: neutral elements, printing, differentiation."""

from __future__ import annotations

from fractions import Fraction

import pytest

from verify.expr import (
    ONE,
    ZERO,
    Call,
    Expr,
    Num,
    Product,
    Sum,
    Var,
    call,
    partial,
    rewrites,
    show,
    substitute,
    tidy,
    variables,
)
from verify.reading.formula import parse

x, y, z = Var("x"), Var("y"), Var("z")
NAMES = {"x": x, "y": y, "z": z}


def read(text: str) -> Expr:
    expr = parse(text, NAMES)
    assert isinstance(expr, Expr)
    return expr


def test_neutral_elements_vanish() -> None:
    assert x + 0 == x == 0 + x == x * 1 == 1 * x == x / 1 == x**1
    assert 0 * x == ZERO
    assert x**0 == ONE


def test_sums_and_products_are_flat() -> None:
    assert (x + y) + z == Sum((x, y, z))
    assert (x * y) * z == Product((x, y, z))


@pytest.mark.parametrize(
    "text",
    [
        "x + y*z",
        "(x + y)*z",
        "x - (y - z)",
        "-x*y",
        "x/(y*z)",
        "x/y/z",
        "(-x)**2",
        "exp(-x)",
        "x - -2*y",
        "(x - y)**-2",
    ],
)
def test_printed_text_reads_back_as_the_same_function(text: str) -> None:
    expr = read(text)
    again = read(str(expr))
    values = {"x": Num(Fraction(3, 2)), "y": Num(Fraction(-5, 7)), "z": Num(Fraction(2, 3))}
    from verify.worked.derivation import Derivation, Kind, Step
    from verify.worked.scalars import BALL
    from verify.worked.tape import Tape

    def value(e: Expr) -> object:
        step = Step("v", Kind.FORWARD, substitute(e, values))
        return Tape(Derivation((), (step,), {}), ["v"]).run(BALL)[0]

    assert value(expr).overlaps(value(again))  # type: ignore[attr-defined]


def test_values_in_place_of_names_keep_their_signs_in_brackets() -> None:
    assert show(read("x*y - z"), {"x": "0.5", "y": "-2", "z": "-1"}) == "0.5*(-2) - (-1)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x*x", "x + x"),
        ("x**3", "3*x**2"),
        ("1/x", "-1/x**2"),
        ("y/(1 + x)", "-y/(1 + x)**2"),
        ("sigmoid(x)", "sigmoid(x)*(1 - sigmoid(x))"),
        ("1/2*(y - x)**2", "x - y"),
        ("relu(x)", "heaviside(x)"),
        ("exp(2*x)", "2*exp(2*x)"),
        ("y", "0"),
    ],
)
def test_partial(text: str, expected: str) -> None:
    assert str(tidy(partial(read(text), "x"))).replace("exp(2*x)*2", "2*exp(2*x)") == expected


def test_partial_uses_the_name_of_the_value() -> None:
    assert str(partial(call("tanh", z), "z", Var("a"))) == "1 - a*a"


def test_rewrites_reach_every_place_once() -> None:
    def drop(node: Expr):  # type: ignore[no-untyped-def]
        if isinstance(node, Call):
            yield "drop", node.args[0]

    found = dict(rewrites(read("exp(log(x)) + exp(y)"), drop))
    assert {str(e) for e in found.values()} == {"log(x) + exp(y)", "exp(x) + exp(y)", "exp(log(x)) + y"}
    assert len(found) == 3


def test_variables_and_substitute() -> None:
    expr = read("x*y + x")
    assert list(variables(expr)) == ["x", "y", "x"]
    assert substitute(expr, {"x": ZERO}) == ZERO
