"""The scalar algebras that a derivation runs over: exact rationals, Arb balls, machine floats.

Rationals decide what has no transcendental function (a tie between two roundings too). Balls decide the rest. Floats
only ever screen candidates; nothing is concluded from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

import flint

from verify.algebra import ball
from verify.algebra.ball import Undecided
from verify.reading.figures import Interval, machine
from verify.worked.tape import Algebra

MAX_SIZE = 100_000
"""Numbers beyond 2 to this power are refused; those nearer to 0 than 2 to minus this power are only known to be so."""


class Irrational(ArithmeticError):
    """A function whose values are not rational was called in exact arithmetic."""


class Kink(Undecided):
    """A derivative was asked for where there is none (relu at 0, max at a tie)."""


def _exact_heaviside(x: Fraction) -> Fraction:
    if x == 0:
        raise Kink("a derivative at a kink: the argument is exactly 0")
    return Fraction(x > 0)


def _exact_dstep(x: Fraction) -> Fraction:
    if x == 0:
        raise Kink("a derivative at a jump: the argument is exactly 0")
    return Fraction(0)


def _exact_only_at(point: int, value: int) -> Callable[[Fraction], Fraction]:
    def function(x: Fraction) -> Fraction:
        if x != point:
            raise Irrational
        return Fraction(value)

    return function


def _never(x: Fraction) -> Fraction:
    raise Irrational


def _exact_sigmoid(x: Fraction) -> Fraction:
    if x != 0:
        raise Irrational
    return Fraction(1, 2)


def _exact_sqrt(x: Fraction) -> Fraction:
    if x < 0:
        raise ZeroDivisionError("the square root of a negative number")
    root = Fraction(math.isqrt(x.numerator), math.isqrt(x.denominator))
    if root * root != x:
        raise Irrational
    return root


EXACT = Algebra(
    "exact",
    Fraction,
    {
        **{name: _exact_only_at(0, value) for name, value in {"exp": 1, "cos": 1, "cosh": 1}.items()},
        **{name: _exact_only_at(0, 0) for name in ("sin", "tan", "sinh", "tanh", "atan")},
        "log": _exact_only_at(1, 0),
        "sqrt": _exact_sqrt,
        "sigmoid": _exact_sigmoid,
        "softplus": _never,
        "relu": lambda x: max(x, Fraction(0)),
        "step": lambda x: Fraction(x > 0),
        "abs": abs,
        "sign": lambda x: Fraction((x > 0) - (x < 0)),
        "heaviside": _exact_heaviside,
        "dstep": _exact_dstep,
        "max": max,
        "min": min,
        "leaky_relu": lambda x, alpha: x if x > 0 else alpha * x,
        "elu": lambda x, alpha: x if x > 0 else alpha * (_exact_only_at(0, 1)(x) - 1),
    },
)


def _number(value: Fraction) -> flint.arb:
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def _ball_heaviside(x: flint.arb) -> flint.arb:
    if x > 0:
        return flint.arb(1)
    if x < 0:
        return flint.arb(0)
    if x.is_zero():
        raise Kink("a derivative at a kink: the argument is exactly 0")
    raise Undecided(f"on which side of 0 {x} lies is not decided")


def _ball_dstep(x: flint.arb) -> flint.arb:
    if x.is_zero():
        raise Kink("a derivative at a jump: the argument is exactly 0")
    if x > 0 or x < 0:
        return flint.arb(0)
    raise Undecided(f"on which side of 0 {x} lies is not decided")


def _ball_sides(
    above: Callable[[flint.arb, flint.arb], flint.arb], below: Callable[[flint.arb, flint.arb], flint.arb]
) -> Callable[[flint.arb, flint.arb], flint.arb]:
    """A function of x and alpha that is continuous, and written differently on the two sides of x = 0."""

    def function(x: flint.arb, alpha: flint.arb) -> flint.arb:
        if x >= 0:
            return above(x, alpha)
        if x <= 0:
            return below(x, alpha)
        return above(x, alpha).union(below(x, alpha))

    return function


BALL = Algebra(
    "ball",
    _number,
    {
        **ball.FUNCTIONS,
        "relu": lambda x: x.max(flint.arb(0)),
        "abs": abs,
        "heaviside": _ball_heaviside,
        "dstep": _ball_dstep,
        "max": lambda x, y: x.max(y),
        "min": lambda x, y: x.min(y),
        "leaky_relu": _ball_sides(lambda x, alpha: x, lambda x, alpha: alpha * x),
        "elu": _ball_sides(lambda x, alpha: x, lambda x, alpha: alpha * x.expm1()),
    },
)


def _float_sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


FLOAT = Algebra(
    "float",
    machine,
    {
        **{
            name: getattr(math, name)
            for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan")
        },
        "sigmoid": _float_sigmoid,
        "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
        "relu": lambda x: max(x, 0.0),
        "step": lambda x: float(x > 0),
        "abs": abs,
        "sign": lambda x: float((x > 0) - (x < 0)),
        "heaviside": lambda x: 0.5 if x == 0 else float(x > 0),
        "dstep": lambda x: 0.0,
        "max": max,
        "min": min,
        "leaky_relu": lambda x, alpha: x if x > 0 else alpha * x,
        "elu": lambda x, alpha: x if x > 0 else alpha * math.expm1(x),
    },
)


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Arb's working precision, put back afterwards."""
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def ends(value: flint.arb) -> Interval:
    """The ends of a ball: exactly, but an end that is next to 0 is moved outwards, as it would fill the memory.

    Raises:
        ZeroDivisionError: if the ball is not finite (a division by zero, a logarithm of 0, ...).
        OverflowError: if an end is beyond 2 to the power of :data:`MAX_SIZE`.
    """
    if not value.is_finite():
        raise ZeroDivisionError("division by zero, or a function outside of its domain")
    return _fraction(value.lower(), -1), _fraction(value.upper(), 1)


def _fraction(value: flint.arb, outwards: int) -> Fraction:
    mantissa, exponent = (int(part) for part in value.man_exp())
    size = exponent + mantissa.bit_length()
    if size > MAX_SIZE:
        raise OverflowError(f"a number beyond 2**{MAX_SIZE}")
    if size < -MAX_SIZE:
        return Fraction(outwards * ((mantissa > 0) == (outwards > 0)), 2**MAX_SIZE)
    return Fraction(mantissa) * Fraction(2) ** exponent
