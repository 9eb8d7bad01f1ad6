"""The routes must be able to disagree: a wrong backward step is found out by SymPy and JAX."""

from __future__ import annotations

from dataclasses import replace

from verify.derivation import Derivation, build
from verify.example import Example, What
from verify.judge import judge
from verify.routes import Autodiff, Balls, Symbolic, compare


def spoil(derivation: Derivation, name: str) -> Derivation:
    return derivation.with_steps(
        replace(step, expr=2 * step.expr) if step.name == name else step for step in derivation.steps
    )


def test_a_spoilt_backward_step_is_noticed_by_both_other_routes(two_two_two: Example) -> None:
    right = build(two_two_two)
    what = What("E_t", "w1")
    found = Balls(spoil(right, "dE_t/dz_h1")).digits(what, 20)
    assert found is not None
    assert not compare(what, found[1], Symbolic(right), Autodiff(right)).agree


def test_deep_precision_agrees_with_shallow(two_two_two: Example) -> None:
    balls = Balls(build(two_two_two))
    what = What("E_t", None, 200)
    shallow, deep = balls.enclose(what, 64), balls.enclose(what, 256)
    assert shallow[0] <= deep[0] <= deep[1] <= shallow[1]
    assert deep[1] - deep[0] < 1e-60


def test_all_figures_of_the_deck_agree(two_two_two: Example) -> None:
    judgements = judge(two_two_two).judgements
    assert len(judgements) == 50
    assert all(j.agreement is not None and j.agreement.agree for j in judgements)
