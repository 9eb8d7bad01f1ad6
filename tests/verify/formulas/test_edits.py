"""The small edits that make wrong formulas right: classic mistakes, and mistakes planted by the same rewriting."""

from __future__ import annotations

import ast
import random

import pytest

from verify.formulas.edits import RANK
from verify.formulas.judging import FormulaJudgement, judge_formulas
from verify.reading.example import loads
from verify.reading.rewriting import as_text, everywhere

HEAD = 'id = "t"\ntitle = "a test"\nsource = "here"\n'
NEURON = """
symbols = {x = "real", y = "real", w = "real", b = "real", eta = "positive"}
compute = {z = "w*x + b", a = "sigmoid(z)", E = "1/2*(y - a)**2"}
learn = {loss = "E", rate = "eta", parameters = ["w", "b"]}
"""
LAYERS = """
[symbols]
x = {shape = [2]}
y = {shape = [2]}
W1 = {shape = [2, 2]}
W2 = {shape = [2, 2]}
[compute]
z1 = "W1@x"
a1 = "phi(z1)"
z2 = "W2@a1"
a2 = "phi(z2)"
E = "1/2*sum((a2 - y)**2)"
"""
PATHS = """
symbols = {b = "real", u = "real", v = "real", s = "real"}
compute = {f = "sigmoid(b*u)", g = "tanh(b*v)", h = "exp(b)*s", E = "f*g + f*h + g"}
"""


def judged(setting: str, what: str, formula: str) -> FormulaJudgement:
    text = f'[[claims]]\nslide = 1\nwhat = "{what}"\nformula = "{formula}"\n'
    return judge_formulas(loads(HEAD + setting + text))[0]


@pytest.mark.parametrize(
    ("setting", "what", "formula", "mistake", "right"),
    [
        (NEURON, "dE/dw", "(a - y)*a*(1 - y)*x", "wrong-variable", "(a - y)*a*(1 - a)*x"),
        (NEURON, "dE/da", "y - a", "sign", "a - y"),
        (NEURON, "dE/dz", "(a - y)*a", "missing-factor", "(a - y)*a*(1 - a)"),
        (NEURON, "dE/dw", "(a - y)*a*(1 - a)", "missing-factor", "(a - y)*a*(1 - a)*x"),
        (NEURON, "dE/db", "(a - y)*a*(1 - a)*x", "extra-factor", "(a - y)*a*(1 - a)"),
        (NEURON, "E", "(y - a)**2", "missing-factor", "(y - a)**2*(1/2)"),
        (NEURON, "w after 1", "w + eta*D(E, w)", "sign", "w - eta*D(E, w)"),
        (NEURON, "w after 1", "w - D(E, w)", "missing-factor", "w - D(E, w)*eta"),
        (NEURON, "a", "a*(1 - a)", "derivative-mark", "a*(1 - a)"),
        (LAYERS, "dE/dz2", "(a2 - y)*phi(z2)", "derivative-mark", "(a2 - y)*dphi(z2)"),
        (LAYERS, "dE/dz1", "(W2@D(E, z2))*dphi(z1)", "transposed", "transpose(W2) @ D(E, z2)*dphi(z1)"),
        (LAYERS, "dE/dz1", "(transpose(W1)@D(E, z2))*dphi(z1)", "index-shift", "transpose(W2) @ D(E, z2)*dphi(z1)"),
        (LAYERS, "dE/dW2", "outer(a1, D(E, z2))", "transposed", "outer(D(E, z2), a1)"),
        (LAYERS, "dE/dW2[j,i]", "D(E, z2[i])*a1[i]", "wrong-variable", "D(E, z2[j])*a1[i]"),
        (LAYERS, "z2[j]", "sum(W2[k,j]*a1[k] for k in a1)", "transposed", "sum(W2[j, k]*a1[k] for k in a1)"),
        (LAYERS, "dE/dz1[i]", "sum(W2[j,i]*D(E, z2[j]) for j in z2)", "missing-factor", ""),
        (PATHS, "dE/db", "D(E, f)*D(f, b) + D(E, h)*D(h, b)", "missing-path", ""),
        (PATHS, "E", "f*g*(f*h) + g", "product-for-sum", "f*g + f*h + g"),
    ],
)
def test_classic_mistakes(setting: str, what: str, formula: str, mistake: str, right: str) -> None:
    found = judged(setting, what, formula)
    assert str(found.verdict) == "wrong"
    named = [edit for edit in found.edits if edit.mistake == mistake]
    assert named, [edit.mistake for edit in found.edits]
    if right:
        assert right in [edit.formula for edit in named]


def test_every_edit_is_right() -> None:
    for what, formula in (("dE/da", "y - a"), ("dE/dw", "(y - a)*a*(1 - a)*x"), ("a", "a*(1 - a)")):
        found = judged(NEURON, what, formula)
        assert found.edits
        for edit in found.edits:
            assert str(judged(NEURON, edit.side, edit.formula).verdict) == "right"
            assert set(edit.mistake.split(" and ")) <= set(RANK)


def test_paths_are_named() -> None:
    found = judged(PATHS, "dE/db", "D(E, f)*D(f, b)")
    assert found.edits[0].mistake == "missing-path and missing-path"
    assert found.edits[0].detail == "the path b > g > E and the path b > h > E"


def test_no_edit_is_an_answer() -> None:
    found = judged(NEURON, "dE/dw", "exp(x)*y**3 - 7")
    assert (str(found.verdict), found.edits) == ("wrong", ())


def test_no_edit_says_that_a_thing_is_itself() -> None:
    found = judged(NEURON, "z", "w*y + x")
    assert all("z" not in edit.formula for edit in found.edits)


def test_planted_mistakes_are_taken_back() -> None:
    """A right formula, one name replaced or one sign turned: an edit is found that makes it right again."""
    draw = random.Random(3)
    rights = [
        ("dE/dw", "(a - y)*a*(1 - a)*x"),
        ("z", "w*x + b"),
        ("E", "1/2*(y - a)**2"),
        ("dE/dz", "(a - y)*a*(1 - a)"),
    ]
    names = ("x", "y", "w", "b", "a")

    def plant(node: ast.expr) -> object:
        if isinstance(node, ast.Name) and node.id in names:
            for other in names:
                if other != node.id:
                    yield "wrong-variable", "", ast.Name(other)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            other_sign = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            yield "sign", "", ast.BinOp(node.left, other_sign, node.right)

    planted = [
        (what, mistake, as_text(tree))
        for what, right in rights
        for mistake, _, tree in everywhere(ast.parse(right, mode="eval").body, plant)  # type: ignore[arg-type]
    ]
    wrong = named = 0
    for what, mistake, text in draw.sample(planted, 30):
        found = judged(NEURON, what, text)
        if str(found.verdict) == "right":
            continue  # (a - y)*(a - y) in place of (y - a)**2, and the like
        wrong += 1
        named += any(edit.mistake == mistake for edit in found.edits)
    assert wrong >= 25
    assert named == wrong
