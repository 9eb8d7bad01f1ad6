"""The routes must be able to disagree: a wrong backward step is found out by SymPy and JAX."""

from __future__ import annotations

from dataclasses import replace

import pytest

from verify.judge import Judgement, judge
from verify.reading.example import Example, ExampleError, What, loads
from verify.worked.autodiff import Autodiff
from verify.worked.derivation import Derivation, build
from verify.worked.routes import Balls, Symbolic, compare


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


def figure(given: str, compute: str, what: str, printed: str, learn: str = "") -> Judgement:
    judgements = judge(
        loads(
            f'id = "t"\ntitle = "t"\nsource = "t"\ngiven = {{{given}}}\ncompute = {{{compute}}}\n{learn}\n'
            f'claims = [{{slide = 1, what = "{what}", printed = "{printed}"}}]'
        )
    ).judgements
    assert isinstance(judgements[0], Judgement)
    return judgements[0]


LINE = ('w = "0.5", x = "0.3", y = "1"', 'z = "w*x", E = "1/2*(z - y)**2"')
DESCENT = 'learn = {loss = "E", rate = "0.1", parameters = ["w"]}'


@pytest.mark.parametrize("printed", ["0.5255", "0.525", "0.526", "0.53", "0.52550"])
def test_a_tie_after_an_update_is_right_both_ways(printed: str) -> None:
    """0.5 - 0.1*(0.15 - 1)*0.3 is 0.5255 exactly."""
    assert figure(*LINE, "w after 1", printed, DESCENT).verdict == "right"


def test_a_zero_after_an_update_is_a_zero() -> None:
    once = figure('w = "0.3", y = "0"', 'E = "1/2*(w - y)**2"', "w after 1", "0.0", DESCENT.replace("0.1", "1"))
    assert once.verdict == "right"
    assert once.exact == "0." + 20 * "0"


def test_a_zero_that_no_precision_tells_from_zero_is_right_as_printed_and_wrong_otherwise() -> None:
    softmax = ('x = ["1", "1"]', 'p = "softmax(x)", L = "-sum(0.5*log(p))"', "dL/dx[1]")
    assert figure(*softmax, "0.000").verdict == "right"
    assert figure(*softmax, "0.002").verdict == "wrong"


def test_where_float64_overflows_two_routes_have_to_do() -> None:
    found = figure('x = ["1000", "1001", "1002"]', 'p = "softmax(x)"', "p[1]", "0.0900")
    assert found.verdict == "right"
    assert found.agreement is not None
    assert found.agreement.jax is None
    assert figure('x = ["1000", "1001", "1002"]', 'p = "softmax(x)"', "p[1]", "0.0901").verdict == "last-digit"


def test_cancellation_in_float64_does_not_cast_doubt_on_a_right_figure() -> None:
    assert figure('a = "10000000000.1", b = "10000000000"', 'E = "(a - b)**2"', "E", "0.01").verdict == "right"
    assert figure('a = "10000000000.1", b = "10000000000"', 'E = "(a - b)**2"', "E", "0.02").verdict != "right"


@pytest.mark.parametrize(
    ("compute", "printed", "verdict"),
    [('y = "exp(-exp(z))"', "0.00", "right"), ('y = "exp(-exp(z))"', "0.01", "last-digit"),
     ('y = "exp(z)"', "1.97e434", "right"), ('y = "sigmoid(-10*z)"', "1.135e-4343", "right"),
     ('y = "z**60*z**60*z**60"', "1e540", "right")],
)  # fmt: skip
def test_the_very_large_and_the_very_small(compute: str, printed: str, verdict: str) -> None:
    assert figure('z = "1000"', compute, "y", printed).verdict == verdict


def test_too_large_a_number_is_refused() -> None:
    with pytest.raises(ExampleError, match="y has no value"):
        figure('z = "30"', 'y = "exp(exp(exp(z)))"', "y", "1")


@pytest.mark.parametrize("step", ["step(x)", "sign(x)", "x if x > 0 else 0", "1 if x > 0 else 0"])
def test_a_jump_and_a_corner_have_no_derivative(step: str) -> None:
    """x if x > 0 else 0 is relu: cases must not hide the corner."""
    assert figure('x = "0"', f'y = "{step}"', "dy/dx", "0").verdict == "undecided"
    assert figure('x = "-2"', f'y = "{step}"', "dy/dx", "0").verdict == "right"


def test_many_updates_by_all_routes_that_can() -> None:
    found = figure(*LINE, "w after 2000", "3.333333294", DESCENT)
    assert found.verdict == "right"
    assert found.agreement is not None
    assert found.agreement.sympy is None
    assert found.agreement.jax is not None


def test_a_closed_form_that_would_double_with_each_step_is_not_written_out() -> None:
    lines = ", ".join(f'x{i + 1} = "sin(x{i}) + cos(x{i})"' for i in range(40))
    found = figure('x0 = "1"', lines, "dx40/dx0", "1.1739e-8")
    assert found.verdict == "right"
    assert found.agreement is not None
    assert found.agreement.sympy is None


def test_two_that_lose_equally_leave_the_largest_its_slope() -> None:
    """Max pooling over relu: two zeros beside the largest are no corner; two largest are one."""
    pool = 'a = "relu(x)", m = "max(a)"'
    assert figure('x = ["-1", "2", "0", "-3"]', pool, "dm/dx[2]", "1").verdict == "right"
    assert figure('x = ["-1", "2", "0", "-3"]', pool, "dm/dx[1]", "0").verdict == "right"
    assert figure('x = ["-1", "2", "2", "-3"]', pool, "dm/dx[2]", "1").verdict == "undecided"
    assert figure('x = ["2", "1", "1"]', 'm = "min(x[1], 3, max(x[2], x[3]))"', "dm/dx[1]", "0").verdict == "right"
