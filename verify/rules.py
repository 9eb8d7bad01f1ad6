"""Derivatives of the elementary functions, each written once, from the textbook.

A rule is ``rule(x, y, f)``: the derivative at ``x`` of a function whose value there is ``y``. It uses nothing but
``+ - * / **`` and the functions of the namespace ``f``, so the same line serves every algebra: expressions (a step a
student reads), balls, field elements, SymPy objects.

Source: any calculus textbook; the shapes ``a(1 - a)`` and ``1 - a^2`` are those of the decks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Rule = Callable[[Any, Any, Any], Any]

DERIVATIVES: Mapping[str, Rule] = {
    "exp": lambda x, y, f: y,
    "exp2": lambda x, y, f: y * f.log(2),
    "expm1": lambda x, y, f: y + 1,
    "log": lambda x, y, f: 1 / x,
    "log1p": lambda x, y, f: 1 / (1 + x),
    "sqrt": lambda x, y, f: 1 / (2 * y),
    "rsqrt": lambda x, y, f: -y / (2 * x),
    "cbrt": lambda x, y, f: y / (3 * x),
    "sin": lambda x, y, f: f.cos(x),
    "cos": lambda x, y, f: -f.sin(x),
    "tan": lambda x, y, f: 1 + y * y,
    "asin": lambda x, y, f: 1 / f.sqrt(1 - x * x),
    "acos": lambda x, y, f: -1 / f.sqrt(1 - x * x),
    "atan": lambda x, y, f: 1 / (1 + x * x),
    "sinh": lambda x, y, f: f.cosh(x),
    "cosh": lambda x, y, f: f.sinh(x),
    "tanh": lambda x, y, f: 1 - y * y,
    "asinh": lambda x, y, f: 1 / f.sqrt(x * x + 1),
    "acosh": lambda x, y, f: 1 / f.sqrt(x * x - 1),
    "atanh": lambda x, y, f: 1 / (1 - x * x),
    "sigmoid": lambda x, y, f: y * (1 - y),
    "softplus": lambda x, y, f: f.sigmoid(x),
    "erf": lambda x, y, f: 2 / f.sqrt(f.pi()) * f.exp(-(x * x)),
    "erfc": lambda x, y, f: -2 / f.sqrt(f.pi()) * f.exp(-(x * x)),
    "erfinv": lambda x, y, f: f.sqrt(f.pi()) / 2 * f.exp(y * y),
    "lgamma": lambda x, y, f: f.digamma(x),
    "abs": lambda x, y, f: f.sign(x),
    "sign": lambda x, y, f: 0 * x,
    "relu": lambda x, y, f: f.step(x),
    "phi": lambda x, y, f: f.dphi(x),
    "step": lambda x, y, f: 0 * x,
}
"""dy/dx by function name. ``step`` is 1 where x > 0 and 0 where x < 0; at 0 it has no derivative, and neither has
``relu``, ``abs`` or ``sign``: an algebra that decides comparisons must refuse there, not choose."""
