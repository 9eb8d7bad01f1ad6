"""The five decks: every formula judged as recorded, and what is known to be wrong is found wrong, and why."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

import pytest

from verify.checking import deck_files
from verify.formulas.conventions import numberings
from verify.formulas.judging import FormulaJudgement, judge_formulas
from verify.formulas.points import Values, points
from verify.formulas.truths import Truths
from verify.judge import judge
from verify.reading.example import Given, What, load
from verify.worked.derivation import Derivation, Kind, Step
from verify.worked.routes import Symbolic


@lru_cache(maxsize=1)
def judged() -> Mapping[tuple[str, str], FormulaJudgement]:
    found = {}
    for path in deck_files():
        example = load(path)
        for judgement in judge_formulas(example):
            found[example.id, judgement.claim.id] = judgement
    return found


def test_every_formula_is_as_recorded() -> None:
    assert len(judged()) >= 150
    assert {j.claim.text: str(j.verdict) for j in judged().values() if not j.as_expected} == {}
    assert all(str(j.verdict) != "undecided" for j in judged().values())


# Deck, claim, the mistake that an edit takes back (empty where no small edit does), part of the corrected formula.
WRONG = [
    ("deck000-neuron", "s43-dE/da", "sign", "a - y"),
    ("deck000-neuron", "s43-dE/dz#2", "missing-factor", "(a - y)*(1/(1 + exp(-z)))*(1 - a)"),
    ("deck000-neuron", "s43-dE/dw#3", "wrong-variable", "(a - y)*a*(1 - a)*x"),
    ("deck000-neuron", "s43-dE/db#3", "wrong-variable", "(a - y)*a*(1 - a)"),
    ("deck000-two-two-two-formulas", "s55-dE_t/db1", "missing-path and missing-path", "D(z_a2, a_h1)"),
    ("deck000-two-two-two-formulas", "s55-dE_t/db1#2", "", ""),
    ("deck000-activations", "s61-th", "wrong-variable", "2*sigmoid(2*v) - 1"),
    ("deck000-activations", "s64-param", "missing-condition", "max(v, alpha*v)"),
    ("deck000-losses", "s68-bce", "sign", "-(y*log(p) + (1 - y)*log(1 - p))"),
    ("deck000-losses", "s68-cce", "sign", "-sum(t[i]*log(u[i]) for i in t)"),
    ("deck000-losses", "s68-bce-labels", "sign", "-("),
    ("deck001-softmax", "softmax-number-of-entries", "off-by-one", "Z + 1"),
    ("deck001-softmax", "softmax-derivative-second-printing-dsigma[i]/da[j]", "wrong-variable", "-sigma[i]*sigma[j]"),
    ("deck001-batches", "number-of-examples", "off-by-one", "n + 1"),
    ("deck001-batches", "number-in-a-packet", "off-by-one", "n_b + 1"),
    ("deck002-perceptron", "number-of-inputs", "off-by-one", "n + 1"),
    ("deck003-activations", "fonction-d-activation-f#2", "derivative-mark", "f*(1 - f)"),
    ("deck003-backprop", "initialisation-dE/dz2[i]", "derivative-mark", "1/2*sum("),
    ("deck003-bias", "remarques-1-x2[i]", "transposed", "W2[i, j]*x1[j]"),
    ("deck003-descent", "remarques-3-w-after-1", "sign", "-alpha*D(Ev, w) - alpha*lam*w"),
    ("deck003-gradient-step", "remarques-2-half", "wrong-variable", "1/(2*K)"),
    ("deck003-regularised", "remarques-3-dE/dW2[j,i]", "index-shift", "lam*W2[j, i]"),
    ("deck004-layers", "modele-multi-couches-a2", "wrong-variable and wrong-variable", "W1 @ a1 + b1"),
    ("deck004-layers", "modele-multi-couches-z3", "wrong-variable", "W2 @ a2 + b2"),
    ("deck004-backprop", "BP2", "index-shift", "transpose(W2)"),
    ("deck004-backprop", "BP3", "index-shift", "D(J, z3[j])"),
    ("deck004-backprop", "BP4", "index-shift", "a1[k]*D(J, z2[j])"),
]


@pytest.mark.parametrize(("deck", "claim", "mistake", "formula"), WRONG)
def test_what_is_wrong_and_why(deck: str, claim: str, mistake: str, formula: str) -> None:
    found = judged()[deck, claim]
    assert str(found.verdict) == "wrong"
    assert found.counterexample is not None
    if mistake:
        assert found.edits[0].mistake == mistake
        assert formula in found.edits[0].formula
    else:
        assert found.edits == ()


def test_nothing_else_is_wrong() -> None:
    assert {key for key, j in judged().items() if str(j.verdict) == "wrong"} == {(d, c) for d, c, _, _ in WRONG}


def test_prelu_as_a_maximum_needs_alpha_below_one() -> None:
    found = judged()["deck000-activations", "s64-param"]
    assert (found.condition, found.edits[0].detail) == ("alpha - 1 <= 0", "right where alpha - 1 <= 0")


def test_the_derivatives_are_those_of_sympy() -> None:
    """What the formulas are held against, at one point, against SymPy's derivative of the composed forward formulas."""
    checked = 0
    for path in deck_files():
        example = load(path)
        truths = Truths(example)
        setting = truths.setting
        if not example.symbols or setting.functions(*setting.definitions.values()) & {"phi", "dphi", "step"}:
            continue
        point = next(itertools.islice(points(tuple(setting.domains), setting.domains), 3, None))
        givens = tuple(Given(name, value, str(value)) for name, value in {**setting.constants, **point}.items())
        forward = tuple(Step(name, Kind.FORWARD, expr) for name, expr in setting.definitions.items())
        symbolic = Symbolic(Derivation(givens, forward, {}))
        values = Values(point, setting)
        for claim in example.formula_claims:
            for entry in claim.entries[:1]:
                if entry.side.by is None:
                    continue
                enclosure = values.enclosure(truths.side(entry.side), 256)
                assert enclosure is not None
                formal = Fraction(str(symbolic.value(What(entry.side.of, entry.side.by))))
                middle = sum(enclosure) / 2
                assert abs(formal - middle) <= abs(middle) / 10**20, (example.id, claim.id)
                checked += 1
    assert checked >= 50


def test_the_left_side_is_corrected_where_the_mark_is_missing() -> None:
    assert judged()["deck003-activations", "fonction-d-activation-f#2"].edits[0].side == "df/dx"
    assert judged()["deck003-backprop", "initialisation-dE/dz2[i]"].edits[0].side == "E"
    assert judged()["deck004-layers", "modele-multi-couches-a2"].edits[0].side == "z2"


def test_the_back_propagation_equations_hold_under_one_renumbering() -> None:
    path = next(path for path in deck_files() if path.name == "004_backprop.toml")
    found = numberings(load(path))
    assert [dict(numbering.shifts) for numbering in found] == [{"W": -1, "b": -1}]
    assert found[0].renamed[0] == "z2 = W2@a1 + b2"
    assert found[0].forward[0] == "z2 = W1@a1 + b1"
    for claim in ("BP2", "BP3", "BP4"):
        assert judged()["deck004-backprop", claim].numbering == str(found[0])
    assert judged()["deck004-backprop", "BP1"].numbering == ""


def test_the_convolution_is_right_in_every_figure() -> None:
    path = next(path for path in deck_files() if path.name == "004_convolution.toml")
    verdicts = {j.claim.id: str(j.verdict) for j in judge(load(path), routes=False).judgements}
    assert len(verdicts) == 14
    assert set(verdicts.values()) == {"right"}
