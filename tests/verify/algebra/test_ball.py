"""Balls: enclosures that contain the truth, and refusals to choose."""

from fractions import Fraction

import numpy as np
import pytest
from flint import arb

from verify.algebra.ball import FUNCTIONS, Ball, Undecided, precision
from verify.algebra.plain import Unsupported
from verify.algebra.real import Real


def balls(*values):
    return np.array([v if isinstance(v, arb) else arb(v) for v in values], object)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_contain_float64s_values(name):
    points = np.array([0.25, 0.5, 0.75]) + (1.0 if name == "acosh" else 0.0)
    enclosed = Ball().function(name, balls(*points))
    for ball, value in zip(enclosed, Real().function(name, points), strict=True):
        assert abs(float(ball.mid()) - value) <= 1e-13 * max(1.0, abs(value))


@pytest.mark.parametrize("name", ["abs", "relu", "sign", "step", "cbrt"])
def test_kinks_are_not_guessed(name):
    with pytest.raises(Undecided):
        Ball().function(name, balls(arb(0, 1)))


def test_comparisons():
    ball = Ball()
    wide, beside = arb(1, 0.5), arb(3, 0.5)
    assert ball.compare("lt", balls(wide), balls(beside)).all()
    assert ball.compare("ne", balls(wide), balls(beside)).all()
    assert ball.compare("eq", balls(wide), balls(wide)).all()  # one object, one number
    for relation in ("lt", "eq", "ge"):
        with pytest.raises(Undecided):
            ball.compare(relation, balls(wide), balls(arb(1.25, 0.5)))
    assert not ball.compare("lt", balls(arb.nan()), balls(1)).any()
    assert ball.compare("ne", balls(arb.nan()), balls(arb.nan())).all()


def test_infinity():
    ball = Ball()
    minus = ball.constant(np.array([-np.inf], np.float32))
    assert ball.function("exp", minus)[0] == 0
    assert ball.compare("lt", minus, balls(-1e300)).all()
    assert not ball.finite(minus).any()


def test_literals_are_decimals_and_precision_rises():
    with precision(200):
        tenth = Ball().constant(np.array([0.1], np.float32))[0]
        assert (tenth * 10).overlaps(arb(1))
        assert float(tenth.rad()) < 1e-50
        root = Ball().constant(np.array([0.7978845608], np.float32))[0]
        assert (root * root * arb.pi()).overlaps(arb(2))


def test_blurred_literals_contain_what_they_may_round():
    ball = Ball(blur=True).constant(np.array([1 / 3], np.float32))[0]
    assert ball.contains(arb(1) / 3)
    assert not ball.contains(arb(1) / 3 + 1e-6)
    assert Ball(blur=True).constant(np.array([0.5], np.float32))[0].is_exact()


def test_order_and_integral_parts():
    ball = Ball()
    assert ball.order(balls(2, 1, 3), 0).tolist() == [1, 0, 2]
    with pytest.raises(Undecided):
        ball.order(balls(1, arb(1, 0.1)), 0)
    x = balls(1.5, -1.5, 2.5, -0.25)
    assert ball.integral("floor", x).tolist() == [1, -2, 2, -1]
    assert ball.integral("ceil", x).tolist() == [2, -1, 3, 0]
    assert ball.integral("trunc", x).tolist() == [1, -1, 2, 0]
    assert ball.integral("round_even", x).tolist() == [2, -2, 2, 0]
    assert ball.integral("round_away", x).tolist() == [2, -2, 3, 0]
    with pytest.raises(Undecided):
        ball.integral("floor", balls(arb(1, 0.1)))


def test_powers():
    ball = Ball()
    x = balls(4, 9)
    for exponent, expected in [(Fraction(3), [64, 729]), (Fraction(-1, 2), [0.5, 1 / 3]), (Fraction(3, 2), [8, 27])]:
        np.testing.assert_allclose([float(v.mid()) for v in ball.power(x, exponent)], expected, rtol=1e-14)
    assert ball.general_power(x, balls(0.5, 0.5))[0].overlaps(arb(2))


def test_unknown_functions_are_unsupported():
    with pytest.raises(Unsupported):
        Ball().function("zeta", balls(1))
