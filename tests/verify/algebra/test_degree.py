"""Bounds on degrees, against degrees computed by SymPy."""

import sympy

from verify.algebra.degree import ONE, Degree, Ledger


def test_sums_over_one_divisor_share_a_denominator():
    ledger = Ledger()
    x = ledger.product(ONE, ledger.reciprocal(Degree(2), key=1, entries=3))
    for _ in range(10):
        x = ledger.union(x, x)
    assert x.divisors == {1: 1}
    assert ledger.denominator(x) == 6


def test_bounds_hold_for_a_softmax_like_quotient():
    a, b, c = sympy.symbols("a b c")
    total = a + b + c
    expression = sympy.together(a / total * (1 - b / total) + c)
    numerator, denominator = sympy.fraction(expression)
    ledger = Ledger()
    share = ledger.product(ONE, ledger.reciprocal(ONE, key=5, entries=1))
    bound = ledger.union(ledger.product(share, ledger.union(Degree(), share)), ONE)
    assert bound.numerator >= sympy.Poly(sympy.expand(numerator), a, b, c).total_degree()
    assert ledger.denominator(bound) >= sympy.Poly(sympy.expand(denominator), a, b, c).total_degree()


def test_powers_and_questions():
    ledger = Ledger()
    assert ledger.power(Degree(3, {1: 2}), 4) == Degree(12, {1: 8})
    ledger.ask(Degree(7), 10)
    assert ledger.collisions() == 45 * 7
