"""The formula reader: what it reads, and that it refuses everything else in one line."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from verify.expr import Num, Var
from verify.reading.formula import FormulaError, Value, number, parse

X = np.array([Var("x[1]"), Var("x[2]")], dtype=object)
W = np.array([[Var("W[1,1]"), Var("W[1,2]")], [Var("W[2,1]"), Var("W[2,2]")]], dtype=object)
NAMES: dict[str, Value] = {"w": Var("w"), "x": X, "W": W, "b": Var("b"), "v": Var("v"), "alpha": Var("alpha")}


def shown(text: str, **options: object) -> object:
    value = parse(text, NAMES, **options)  # type: ignore[arg-type]
    return [str(entry) for entry in value.flat] if isinstance(value, np.ndarray) else str(value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2*w + .50", "2*w + .50"),
        ("2*(w - b)**2/3", "2*(w - b)**2/3"),
        ("W @ x", ["W[1,1]*x[1] + W[1,2]*x[2]", "W[2,1]*x[1] + W[2,2]*x[2]"]),
        ("transpose(W)@x", ["W[1,1]*x[1] + W[2,1]*x[2]", "W[1,2]*x[1] + W[2,2]*x[2]"]),
        ("W[2,1]*x[2]", "W[2,1]*x[2]"),
        ("W[1]", ["W[1,1]", "W[1,2]"]),
        ("sum(x**2)", "x[1]**2 + x[2]**2"),
        ("mean(x)", "(x[1] + x[2])/2"),
        ("outer(x, x)[1,2]", "x[1]*x[2]"),
        ("max(w, 0)", "max(w, 0)"),
        ("leaky_relu(v)", "leaky_relu(v, 0.01)"),
        ("diag(x)", ["x[1]", "0", "0", "x[2]"]),
        ("v if v > 0 else alpha*v", "step(v)*v + (1 - step(v))*alpha*v"),
        ("1 if v >= 0 else 0", "1 - step(-v)"),
        ("sum(W[k,1]*x[k] for k in x)", "W[1,1]*x[1] + W[2,1]*x[2]"),
        ("sum(x[k] for k in x if k != 1)", "x[2]"),
        ("sum(x[k] for k in [2, 2])", "x[2] + x[2]"),
        ("sum(x[k] for k in x if k > 5)", "0"),
        ("sum(sum(W[i,j] for j in x if j != i) for i in x)", "W[1,2] + W[2,1]"),
        ("phi(w)", "phi(w)"),
    ],
)
def test_reads(text: str, read: object) -> None:
    assert shown(text) == read


def test_indices_and_derivatives_stand_in_printed_formulas() -> None:
    assert shown("W[j,i] if i == j else -x[i]", indices={"i": 1, "j": 2}) == "-x[1]"
    assert shown("W[j,i] if i == j else -x[i]", indices={"i": 2, "j": 2}) == "W[2,2]"
    assert shown("x[i + 1] - x[i]", indices={"i": 1}) == "x[2] - x[1]"
    assert shown("D(w, x)", indices={}) == ["dw/dx[1]", "dw/dx[2]"]
    assert shown("D(w, W)[1,2]", indices={}) == "dw/dW[1,2]"


def test_decimals_are_exact() -> None:
    assert parse("0.1", {}) == Num(Fraction(1, 10))
    assert parse("1e-3", {}) == Num(Fraction(1, 1000))
    assert number("-.50") == Fraction(-1, 2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("q + 1", "unknown name q"),
        ("wx", "did you mean"),
        ("__import__('os')", "unknown function __import__"),
        ("eval(w)", "unknown function eval"),
        ("w.real", "attribute .real is not allowed"),
        ("x.__class__", "attribute .__class__ is not allowed"),
        ("9**9**9**9", "an exponent must be a whole number"),
        ("w**65", "an exponent must be a whole number of at most 64"),
        ("w**b", "an exponent must be a whole number"),
        ("(" * 10_000 + "w" + ")" * 10_000, "characters, at most"),
        ("(" * 900 + "w" + ")" * 900, "brackets nested 900 deep"),
        ("[" * 70 + "w", "brackets nested 70 deep"),
        ("-" * 1_500 + "w", "parts, at most 2000"),
        ("w" + "+w" * 1_200, "characters, at most"),
        ("w+" * 900 + "w", "parts, at most"),
        ("w +", "not a formula"),
        ("w = 1", "not a formula"),
        ("w; b", "not a formula"),
        ("w/0", "division by zero"),
        ("w/0.00", "division by zero"),
        ("'text'", "is not a number"),
        ("True", "is not a number"),
        ("1j", "is not a number"),
        ("0x10", "is not a plain decimal number"),
        ("1_000", "is not a plain decimal number"),
        ("w and b", "BoolOp is not allowed"),
        ("lambda: w", "Lambda is not allowed"),
        ("w % b", "operator Mod is not allowed"),
        ("W @ b", "@ stands between vectors and matrices"),
        ("x @ outer(x, x)[1,1]", "@ stands between vectors and matrices"),
        ("W + x", "shapes (2, 2) and (2,) differ"),
        ("[w, x]", "the rows of a list differ"),
        ("[]", "an empty list"),
        ("x[3]", "index [3] is outside of shape (2,)"),
        ("x[0]", "index [0] is outside"),
        ("x[w]", "an index is one whole number"),
        ("x[1:2]", "an index is one whole number"),
        ("exp()", "exp takes 1 argument(s), got 0"),
        ("exp(w, b)", "exp takes 1 argument(s), got 2"),
        ("exp(*x)", "exp takes plain arguments only"),
        ("elu(w, alpha=b)", "elu takes plain arguments only"),
        ("exp(exp)", "unknown name exp"),
        ("D(w, b)", "D stands in printed formulas only"),
        ("w if w else b", "a condition is one comparison"),
        ("w if 0 < v < 1 else b", "a condition is one comparison"),
        ("w if v == b else b", "a condition on numbers is one of > >= < <="),
        ("sum(w for k in range(10))", "unknown function range"),
        ("sum(w for k in w)", "a sum runs over the indices of an array"),
        ("sum(w for w in x)", "the index w is the name of something else"),
        ("sum(w for k in x if w > 0)", "the condition of a sum is a comparison between indices"),
        ("sum(w for k in x for m in x)", "not allowed"),
        ("[w for k in x]", "ListComp is not allowed"),
        ("sum(k for k in x)", "k is an index"),
        ("sum(sum(sum(sum(sum(w for a in L) for c in L) for d in L) for e in L) for f in L)", "unknown name L"),
        ("pad(W, 1000)", "pad takes a matrix and a whole number"),
        ("", "not a formula"),
    ],
)
def test_refuses(text: str, why: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(text, NAMES)
    message = str(caught.value)
    assert why in message
    assert "\n" not in message
    assert len(message) < 200


def test_refuses_more_terms_than_are_made() -> None:
    long = np.array([Var(f"u[{i}]") for i in range(1, 101)], dtype=object)
    text = "sum(sum(sum(u[i] for i in u) for j in u) for k in u)"
    with pytest.raises(FormulaError, match="more than 10000 terms"):
        parse(text, {"u": long})


def test_refuses_derivatives_of_formulas() -> None:
    for text in ("D(w*2, b)", "D(D(w, b), v)", "D(W, x)"):
        with pytest.raises(FormulaError, match="D"):
            parse(text, NAMES, {})
