"""The judgement: divisions by zero, kinks, expectations."""

from __future__ import annotations

import pytest

from verify.judge import Judgement, judge
from verify.reading.example import ExampleError, loads

HEAD = 'id = "t"\ntitle = "t"\nsource = "t"\n'


def one(body: str, claim: str) -> Judgement:
    (judgement,) = judge(loads(f"{HEAD}{body}\nclaims = [{{slide = 1, {claim}}}]"), routes=False).judgements
    assert isinstance(judgement, Judgement)
    return judgement


@pytest.mark.parametrize("formula", ["1/x", "log(x)", "1/(exp(x) - 1)", "1/log(1 + x)"])
def test_a_value_that_does_not_exist_is_one_error(formula: str) -> None:
    with pytest.raises(ExampleError, match="example t: claim s1-y: y has no value: division by zero"):
        one(f'given = {{x = "0"}}\ncompute = {{y = "{formula}"}}', 'what = "y", printed = "1"')


def test_a_derivative_at_a_kink_is_undecided() -> None:
    judgement = one('given = {x = "0"}\ncompute = {y = "relu(x)"}', 'what = "dy/dx", printed = "0"')
    assert judgement.verdict == "undecided"
    assert "kink" in judgement.reason


def test_a_value_at_a_kink_is_decided() -> None:
    assert one('given = {x = "0"}\ncompute = {y = "relu(x)"}', 'what = "y", printed = "0"').verdict == "right"


def test_a_tie_between_roundings_is_right_both_ways() -> None:
    for printed in ("0.2", "0.3"):
        body = 'given = {x = "0.5"}\ncompute = {y = "x*x"}'
        assert one(body, f'what = "y", printed = "{printed}"').verdict == "right"


def test_expectations_are_compared_never_used() -> None:
    body = 'given = {x = "1"}\ncompute = {y = "2*x"}'
    wrong = one(body, 'what = "y", printed = "7", expected = "wrong"')
    assert (wrong.verdict, wrong.as_expected) == ("wrong", True)
    right = one(body, 'what = "y", printed = "2", expected = "wrong"')
    assert (right.verdict, right.as_expected) == ("right", False)


def test_exact_has_twenty_digits() -> None:
    judgement = one('given = {x = "2"}\ncompute = {y = "sqrt(x)"}', 'what = "y", printed = "1.414"')
    assert judgement.exact == "1.4142135623730950488"


@pytest.mark.parametrize(("printed", "verdict"), [("1", "right"), ("0", "last-digit"), ("7", "wrong")])
def test_what_low_precision_leaves_open_is_not_taken_for_right(printed: str, verdict: str) -> None:
    """Whether exp(1) is above its first 41 decimals is not decided with 64 bits, nor with 128."""
    judged = judge(
        loads(f'''
        id = "t"
        title = "t"
        source = "t"
        given = {{x = "1"}}
        compute = {{y = "step(exp(x) - 2.71828182845904523536028747135266249775724)"}}
        claims = [{{slide = 1, what = "y", printed = "{printed}"}}]
        '''),
        routes=False,
    )
    assert str(judged.judgements[0].verdict) == verdict


def test_a_wide_ball_is_no_division_by_zero() -> None:
    """With 64 bits the denominator is a ball that contains 0."""
    body = 'given = {x = "1"}\ncompute = {y = "1/(exp(x) - 2.718281828459045235360)"}'
    assert one(body, 'what = "y", printed = "3.48e21"').verdict == "right"
