"""The checker's own derivatives, each against a difference quotient of 150 correct digits."""

from fractions import Fraction

import numpy as np
import pytest
from flint import arb

from verify.algebra.ball import FUNCTIONS, Ball, precision
from verify.algebra.dual import Dual, DualArray
from verify.algebra.plain import Unsupported
from verify.algebra.real import Real
from verify.rules import DERIVATIVES

STEP = arb(2) ** -300
POINTS = ("0.3", "0.7", "-0.4")
POSITIVE = frozenset({"log", "sqrt", "rsqrt", "lgamma"})


@pytest.mark.parametrize("name", sorted(set(DERIVATIVES) & set(FUNCTIONS)))
def test_every_rule_against_arb(name):
    with precision(2000):
        dual = Dual(Ball())
        for text in POINTS:
            x = arb(text) + (1 if name == "acosh" else 0)
            if name in POSITIVE or name == "acosh":
                x = abs(x)
            if name == "acosh":
                x = x + 1
            result = dual.function(name, DualArray(dual, np.array([x], object), np.array([arb(1)], object)))
            quotient = (FUNCTIONS[name](x + STEP) - FUNCTIONS[name](x - STEP)) / (2 * STEP)
            slope = arb(0) if result.tangent is None else result.tangent[0]
            assert abs(slope - quotient) < arb(10) ** -150


@pytest.mark.parametrize("exponent", [Fraction(3), Fraction(-2), Fraction(1, 2), Fraction(7, 10), Fraction(0)])
def test_powers(exponent):
    with precision(2000):
        dual, x = Dual(Ball()), arb("1.3")
        result = dual.power(DualArray(dual, np.array([x], object), np.array([arb(1)], object)), exponent)

        def value(v):
            return Ball().power(np.array([v], object), exponent)[0]

        slope = arb(0) if result.tangent is None else result.tangent[0]
        assert abs(slope - (value(x + STEP) - value(x - STEP)) / (2 * STEP)) < arb(10) ** -150


def variable(dual, value, tangent):
    return DualArray(dual, np.asarray(value, float), np.asarray(tangent, float))


def test_arithmetic():
    dual = Dual(Real())
    x, y = variable(dual, [2.0, 3.0], [1.0, 0.0]), variable(dual, [5.0, 7.0], [0.0, 1.0])
    np.testing.assert_allclose((x * y).tangent, [5.0, 3.0])
    np.testing.assert_allclose((x / y).tangent, [1 / 5, -3 / 49])
    np.testing.assert_allclose((3 - x + y * 2).tangent, [-1.0, 2.0])
    np.testing.assert_allclose((1 / x).tangent, [-1 / 4, 0.0])
    np.testing.assert_allclose((x**3).tangent, [12.0, 0.0])
    np.testing.assert_allclose(dual.general_power(x, y).tangent, [5 * 2.0**4, 3.0**7 * np.log(3)])


def test_linear_operations_and_moves():
    dual = Dual(Real())
    generator = np.random.default_rng(0)
    a, da, b, db = (generator.standard_normal((1, 2, 2)) for _ in range(4))
    product = dual.matmul(variable(dual, a, da), variable(dual, b, db))
    np.testing.assert_allclose(product.tangent, da @ b + a @ db)
    np.testing.assert_allclose(dual.sum(variable(dual, a, da), (1,)).tangent, da.sum(1))
    constant = DualArray(dual, a)
    mixed = dual.rearrange(lambda u, v: np.concatenate([u, v]), constant, variable(dual, b, db))
    np.testing.assert_allclose(mixed.tangent, np.concatenate([0 * a, db]))
    chosen = dual.select(a > 0, [constant, variable(dual, b, db)])
    np.testing.assert_allclose(chosen.tangent, np.where(a > 0, db, 0))
    assert dual.matmul(constant, constant).tangent is None


def test_stopped_values():
    x = np.array(2.0)
    for hold, expected in ((True, None), (False, 1.0)):
        dual = Dual(Real(), hold_stopped=hold)
        assert dual.stop(variable(dual, x, 1.0)).tangent == expected


def test_second_derivatives_by_nesting():
    inner = Dual(Real())
    outer = Dual(inner)
    x = DualArray(outer, variable(inner, 0.4, 1.0), variable(inner, 1.0, 0.0))
    y = outer.function("tanh", x) * x
    t = np.tanh(0.4)
    expected = 2 * (1 - t**2) - 2 * 0.4 * t * (1 - t**2)
    np.testing.assert_allclose(y.tangent.tangent, expected)


def test_a_function_without_a_rule_is_unsupported():
    dual = Dual(Real())
    with pytest.raises(Unsupported, match="digamma"):
        dual.function("digamma", variable(dual, 1.0, 1.0))
