"""Balls: every real number as a midpoint and a radius that surely contains it (Arb, by way of python-flint).

The working precision is ``flint.ctx.prec`` bits; raise it and the balls shrink. A piecewise function whose argument
straddles its kink is not guessed: it raises :class:`Undecided`. A value outside a function's domain (the logarithm of
a negative number) is an indefinite ball, ``nan``, as in Arb itself.

Source: F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Trans. Comput. 66
(2017).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flint import arb


class Undecided(ArithmeticError):
    """A comparison that the enclosures at hand do not settle (more precision may, another input surely will)."""


def sign(x: arb) -> arb:
    """-1, 0 or 1 (0 only for an exact zero).

    Raises:
        Undecided: if ``x`` contains zero and other numbers.
    """
    if x > 0:
        return arb(1)
    if x < 0:
        return arb(-1)
    if x.is_zero():
        return arb(0)
    raise Undecided(f"the sign of {x} is not decided")


def step(x: arb) -> arb:
    """1 where x > 0, 0 where x <= 0.

    Raises:
        Undecided: if ``x`` straddles zero.
    """
    if x > 0:
        return arb(1)
    if x <= 0:
        return arb(0)
    raise Undecided(f"on which side of 0 {x} lies is not decided")


def sigmoid(x: arb) -> arb:
    """1/(1 + exp(-x)), without overflow on either side.

    Example:
        >>> from flint import arb
        >>> sigmoid(arb(0))
        0.500000000000000
    """
    if x < 0:
        e = x.exp()
        return e / (1 + e)
    return 1 / (1 + (-x).exp())


def softplus(x: arb) -> arb:
    """log(1 + exp(x)), without overflow."""
    if x > 0:
        return x + (-x).exp().log1p()
    return x.exp().log1p()


def cbrt(x: arb) -> arb:
    """The real cube root, of negative numbers too.

    Raises:
        Undecided: if ``x`` straddles zero.
    """
    if x.is_zero():
        return arb(0)
    return sign(x) * abs(x).root(3)


def lgamma(x: arb) -> arb:
    """log |gamma(x)|, which is what ``jax.lax.lgamma`` means left of zero too."""
    return x.lgamma() if x > 0 else abs(x.gamma()).log()


FUNCTIONS: Mapping[str, Callable[[arb], arb]] = {
    "exp": arb.exp,
    "exp2": lambda x: (x * arb.const_log2()).exp(),
    "expm1": arb.expm1,
    "log": arb.log,
    "log1p": arb.log1p,
    "sqrt": arb.sqrt,
    "rsqrt": arb.rsqrt,
    "cbrt": cbrt,
    "sin": arb.sin,
    "cos": arb.cos,
    "tan": arb.tan,
    "asin": arb.asin,
    "acos": arb.acos,
    "atan": arb.atan,
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": arb.tanh,
    "asinh": arb.asinh,
    "acosh": arb.acosh,
    "atanh": arb.atanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "erf": arb.erf,
    "erfc": arb.erfc,
    "erfinv": arb.erfinv,
    "lgamma": lgamma,
    "digamma": arb.digamma,
    "abs": lambda x: sign(x) * x,
    "sign": sign,
    "relu": lambda x: step(x) * x,
    "step": step,
}
"""The elementary functions on one ball, by the names that :mod:`verify.rules` uses."""
