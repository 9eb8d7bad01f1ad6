"""Expressions over named scalars as numbers: what turns a program into formulas.

The entries are :class:`verify.expr.Expr`; nothing is evaluated or simplified. A comparison that the numbers do not
settle becomes ``step(x - y)``, which is 1 or 0; a choice by it becomes ``max``, ``min`` or ``relu`` where it is one,
else arithmetic on the step. What ``stop_gradient`` holds gets a name of its own, so that no derivative passes through.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.algebra import literals
from verify.algebra.plain import Plain, Unsupported, entrywise
from verify.expr import ONE, ZERO, Expr, Num, Var, call, power
from verify.rules import DERIVATIVES

Expressions = NDArray[np.object_]
INFINITY, MINUS_INFINITY = Var("oo"), Var("-oo")


class Expression(Plain):
    """Object arrays of expressions.

    Attributes:
        held: the names that stand for values under ``stop_gradient``, in order, and what they stand for.

    Example:
        >>> algebra = Expression()
        >>> x = named("x", (2,))
        >>> print(algebra.function("sigmoid", x)[0], algebra.sum(x * x, (0,)))
        sigmoid(x[1]) x[1]*x[1] + x[2]*x[2]
    """

    def __init__(self) -> None:
        self.held: dict[str, Expr] = {}

    def constant(self, values: NDArray[Any]) -> Expressions:
        values = np.asarray(values)
        if values.dtype == object:  # steps, which are numbers already
            return values
        answer = np.empty(values.shape, object)
        for index in np.ndindex(*values.shape):
            answer[index] = _number(values[index])
        return answer

    def function(self, name: str, x: Expressions) -> Expressions:
        if name not in DERIVATIVES:
            raise Unsupported(name)
        return entrywise(lambda v: call(name, v), x)

    def power(self, x: Expressions, exponent: Fraction) -> Expressions:
        whole, part = divmod(exponent.numerator, exponent.denominator)
        if not part:
            return entrywise(lambda v: power(v, whole), x)
        if exponent.denominator == 2:
            return entrywise(lambda v: power(v, whole) * call("sqrt", v), x)
        raise Unsupported(f"the power {exponent}")

    def general_power(self, x: Expressions, y: Expressions) -> Expressions:
        return entrywise(lambda v, w: call("exp", w * call("log", v)), x, y)

    def pi(self) -> Expressions:
        raise Unsupported("the number pi in a formula")

    def sum(self, x: Expressions, axes: tuple[int, ...]) -> Expressions:
        moved = np.moveaxis(x, axes, tuple(range(len(axes)))).reshape(-1, *_without(x.shape, axes))
        answer = np.empty(moved.shape[1:], object)
        for index in np.ndindex(*answer.shape):
            total: Expr = ZERO
            for entry in moved[(slice(None), *index)]:
                total = total + entry
            answer[index] = total
        return answer

    def compare(self, relation: str, x: Expressions, y: Expressions) -> NDArray[Any]:
        signs = entrywise(lambda a, b: _compare(relation, a, b), x, y)
        decided = [v in (ZERO, ONE) for v in signs.ravel()]
        return entrywise(lambda v: v == ONE, signs).astype(bool) if all(decided) else signs

    def select(self, which: NDArray[Any], cases: Sequence[Expressions]) -> Expressions:
        if which.dtype != object:
            return super().select(which, cases)
        first, second = cases
        return entrywise(_choose, which, first, second)

    def order(self, x: Expressions, axis: int) -> NDArray[np.intp]:
        raise Unsupported("the order of expressions")

    def integral(self, kind: str, x: Expressions) -> NDArray[np.float64]:
        raise Unsupported(f"{kind} of an expression")

    def finite(self, x: Expressions) -> NDArray[np.bool_]:
        return entrywise(lambda v: v not in (INFINITY, MINUS_INFINITY), x).astype(bool)

    def stop(self, x: Expressions) -> Expressions:
        return entrywise(self._hold, x)

    def _hold(self, value: Expr) -> Expr:
        if isinstance(value, Num):
            return value
        for name, known in self.held.items():
            if known == value:
                return Var(name)
        name = f"held{len(self.held) + 1}"
        self.held[name] = value
        return Var(name)


def named(name: str, shape: tuple[int, ...]) -> Expressions:
    """An array of named scalars ``name[1,2]``, counted from 1; a scalar is ``name`` itself."""
    answer = np.empty(shape, object)
    for index in np.ndindex(*shape):
        answer[index] = Var(entry_name(name, index))
    return answer


def entry_name(name: str, index: tuple[int, ...]) -> str:
    """The name of one entry.

    Example:
        >>> entry_name("W", (0, 1)), entry_name("L", ())
        ('W[1,2]', 'L')
    """
    return f"{name}[{','.join(str(i + 1) for i in index)}]" if index else name


def _number(value: Any) -> Expr:
    if isinstance(value, np.integer | np.bool_ | int):
        return Num(Fraction(int(value)))
    if np.isnan(value):
        raise Unsupported("not-a-number in a formula")
    if not np.isfinite(value):
        return INFINITY if value > 0 else MINUS_INFINITY
    reading = literals.read(value)
    if reading.constant:
        raise Unsupported(f"the number {reading} in a formula")
    return Num(reading.factor)


def _compare(relation: str, x: Expr, y: Expr) -> Expr:
    """ZERO, ONE or a step; at a tie, where the step is 0, the program may do otherwise."""
    if relation in ("lt", "le"):
        return _compare({"lt": "gt", "le": "ge"}[relation], y, x)
    infinite = (INFINITY, MINUS_INFINITY)
    if x == y:
        return ONE if relation in ("eq", "ge") else ZERO
    if x in infinite or y in infinite:
        return ONE if relation == "ne" or (relation != "eq" and (x == INFINITY or y == MINUS_INFINITY)) else ZERO
    if isinstance(x, Num) and isinstance(y, Num):
        return ONE if relation == "ne" or (relation in ("gt", "ge") and x.value > y.value) else ZERO
    if relation in ("eq", "ne"):
        raise Unsupported("whether two expressions are equal")
    return call("step", x - y)


def _choose(which: Expr, first: Expr, second: Expr) -> Expr:
    if which == ZERO or first == second:
        return first
    if which == ONE:
        return second
    for one, other, name in ((second, first, "max"), (first, second, "min")):
        if which == call("step", one - other):
            if name == "max" and ZERO in (one, other):
                return call("relu", other if one == ZERO else one)
            return call(name, first, second)
    return first + which * (second - first)


def _without(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)
