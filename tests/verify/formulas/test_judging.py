"""Printed formulas judged: every kind of left side, every verdict, what a judgement says."""

from __future__ import annotations

import pytest

from verify.formulas.judging import FormulaJudgement, judge_formulas
from verify.judge import judge
from verify.reading.example import Example, loads
from verify.reading.printed import Side, read_side

HEAD = 'id = "t"\ntitle = "a test"\nsource = "here"\n'
NETWORK = """
[symbols]
x = {shape = [2]}
y = {shape = [2]}
W1 = {shape = [2, 2]}
b1 = {shape = [2]}
eta = "positive"
u = "unit"
[given]
two = "2"
[compute]
z1 = "W1@x + b1"
a1 = "phi(z1)"
p = "softmax(z1)"
E = "1/two*sum((a1 - y)**2)"
q = "sigmoid(x[1])"
r = "relu(x[1])"
[learn]
loss = "E"
rate = "eta"
parameters = ["W1", "b1"]
"""


def example(*claims: tuple[str, str]) -> Example:
    tables = [
        f'[[claims]]\nslide = {i}\nwhat = "{what}"\nformula = "{text}"\n' for i, (what, text) in enumerate(claims)
    ]
    return loads(HEAD + NETWORK + "\n".join(tables))


def verdict(what: str, text: str) -> FormulaJudgement:
    return judge_formulas(example((what, text)), edits=False)[0]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("E", "1/2*(a1[1] - y[1])**2 + 1/2*(a1[2] - y[2])**2"),
        ("a1", "phi(W1@x + b1)"),
        ("dE/da1", "a1 - y"),
        ("dE/dz1", "(a1 - y)*dphi(z1)"),
        ("dE/dW1", "outer((a1 - y)*dphi(z1), x)"),
        ("dE/dW1[j,i]", "(a1[j] - y[j])*dphi(z1[j])*x[i]"),
        ("dE/dx", "transpose(W1)@D(E, z1)"),
        ("da1/dz1", "diag(dphi(z1))"),
        ("dp/dz1", "diag(p) - outer(p, p)"),
        ("dp[i]/dz1[j]", "p[i]*(1 - p[i]) if i == j else -p[i]*p[j]"),
        ("da1[2]/dz1[1]", "0"),
        ("dE/dE", "1"),
        ("dE/du", "0"),
        ("W1 after 1", "W1 - eta*outer(D(E, z1), x)"),
        ("b1[k] after 1", "b1[k] - eta*D(E, b1[k])"),
        ("dq/dx[1]", "q*(1 - q)"),
        ("u", "u"),
    ],
)
def test_right(what: str, text: str) -> None:
    found = verdict(what, text)
    assert str(found.verdict) == "right", found.proof
    assert found.proof
    assert found.counterexample is None


@pytest.mark.parametrize(
    ("what", "text", "entry"),
    [
        ("dE/da1", "y - a1", "dE/da1[1]"),
        ("dE/dz1", "(a1 - y)*phi(z1)", "dE/dz1[1]"),
        ("dE/dW1", "outer(x, (a1 - y)*dphi(z1))", "dE/dW1[1,2]"),
        ("dp[i]/dz1[j]", "p[i]*(1 - p[i]) if i == j else -p[i]*p[i]", "dp[1]/dz1[2]"),
        ("da1/dz1", "outer(dphi(z1), dphi(z1))", "da1[1]/dz1[1]"),
        ("W1 after 1", "W1 + eta*outer(D(E, z1), x)", "W1[1,1] after 1"),
        ("E", "sum((a1 - y)**2)", "E"),
    ],
)
def test_wrong(what: str, text: str, entry: str) -> None:
    found = verdict(what, text)
    assert str(found.verdict) == "wrong"
    assert found.counterexample is not None
    assert found.counterexample.entry == entry
    assert found.counterexample.printed != found.counterexample.exact
    assert found.edits == ()  # not asked for


def test_undecided_is_no_pass() -> None:
    found = verdict("q", "q + sin(q)**2 + cos(q)**2 - 1")
    assert str(found.verdict) == "undecided"
    assert not found.as_expected


def test_a_kink_is_said() -> None:
    found = verdict("dr/dx[1]", "1 if x[1] > 0 else 0")
    assert str(found.verdict) == "right"
    assert found.condition == "away from x[1] = 0"


def test_an_unknown_function_is_made_concrete_in_a_counterexample() -> None:
    found = verdict("a1", "1*z1")
    assert found.counterexample is not None
    assert found.counterexample.note == "phi is the sigmoid here"
    assert verdict("q", "1 - q").counterexample.note == ""  # type: ignore[union-attr]


def test_sizes_are_said() -> None:
    assert verdict("dE/dx", "transpose(W1)@D(E, z1)").sizes == "x 2, W1 2x2, z1 2"
    assert verdict("q", "q").sizes == ""


def test_constants_are_given_numbers() -> None:
    assert str(verdict("E", "two*sum((a1 - y)**2)/4").verdict) == "right"


def test_ranges() -> None:
    text = HEAD + NETWORK + '[[claims]]\nslide = 1\nwhat = "p[i]"\nbetween = ["0", "1"]\n'
    found = judge_formulas(loads(text))[0]
    assert (str(found.verdict), found.claim.text) == ("right", "0 <= p[i] <= 1")
    found = judge_formulas(loads(text.replace('"0", "1"', '"1/2", "1"')))[0]
    assert (str(found.verdict), found.edits) == ("wrong", ())
    assert found.counterexample is not None


def test_judge_judges_figures_and_formulas() -> None:
    text = HEAD + (
        'given = {w = "1"}\ncompute = {a = "w + 1"}\n'
        '[[claims]]\nslide = 1\nwhat = "a"\nformula = "2*w"\n'
        '[[claims]]\nslide = 1\nid = "figure"\nwhat = "a"\nprinted = "2"\n'
    )
    judged = judge(loads(text), routes=False)
    assert [(j.claim.id, str(j.verdict)) for j in judged.judgements] == [("figure", "right"), ("s1-a", "right")]


def test_expected_is_compared_never_used() -> None:
    text = HEAD + NETWORK + '[[claims]]\nslide = 1\nwhat = "q"\nformula = "q"\nexpected = "wrong"\n'
    found = judge_formulas(loads(text))[0]
    assert (str(found.verdict), found.as_expected) == ("right", False)


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("a", Side("a")),
        ("dE/dw5", Side("E", "w5")),
        ("dx", Side("dx")),
        ("ddelta/dW[1,2]", Side("delta", "W[1,2]")),
        ("w[i] after 1", Side("w[i]", None, 1)),
    ],
)
def test_left_sides(text: str, side: Side) -> None:
    assert read_side(text) == side
    assert read_side(str(side)) == side
