"""Dual numbers over any algebra: a value and its derivative along one direction, by the checker's own rules.

A product has the product rule, an elementary function the rule of :mod:`verify.rules`, everything that only moves
entries moves both parts. A tangent of None is zero. Where a value is selected by a comparison, its tangent is selected
with it: that is the derivative wherever the comparison is strict.

Source: W. K. Clifford (1873); A. Griewank, A. Walther, Evaluating Derivatives, 2nd ed., ch. 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.algebra.plain import Algebra, Functions, Rearrangement, Unsupported, as_array
from verify.rules import DERIVATIVES


class DualArray:
    """primal + epsilon tangent, with epsilon^2 = 0; ``tangent`` is None for zero, else of the primal's shape."""

    __array_priority__ = 2000
    __slots__ = ("algebra", "primal", "tangent")

    def __init__(self, algebra: Dual, primal: Any, tangent: Any = None) -> None:
        primal = as_array(primal)
        tangent = None if tangent is None else as_array(tangent)
        if tangent is not None and tuple(tangent.shape) != tuple(primal.shape):
            shape = tuple(primal.shape)
            tangent = algebra.base.rearrange(lambda v: np.broadcast_to(v, shape), tangent)
        self.algebra, self.primal, self.tangent = algebra, primal, tangent

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of both parts."""
        return tuple(self.primal.shape)

    def _parts(self, other: Any) -> tuple[Any, Any]:
        return (other.primal, other.tangent) if isinstance(other, DualArray) else (other, None)

    def __add__(self, other: Any) -> DualArray:
        primal, tangent = self._parts(other)
        if self.tangent is None or tangent is None:
            total = self.tangent if tangent is None else tangent
        else:
            total = self.tangent + tangent
        return DualArray(self.algebra, self.primal + primal, total)

    def __neg__(self) -> DualArray:
        return DualArray(self.algebra, -self.primal, None if self.tangent is None else -self.tangent)

    def __sub__(self, other: Any) -> DualArray:
        return self.__add__(-other)

    def __mul__(self, other: Any) -> DualArray:
        primal, tangent = self._parts(other)
        parts = []
        if self.tangent is not None:
            parts.append(self.tangent * primal)
        if tangent is not None:
            parts.append(self.primal * tangent)
        total = None if not parts else parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return DualArray(self.algebra, self.primal * primal, total)

    def __truediv__(self, other: Any) -> DualArray:
        primal, tangent = self._parts(other)
        quotient = self.primal / primal
        total = None if self.tangent is None else self.tangent / primal
        if tangent is not None:
            second = quotient * tangent / primal
            total = -second if total is None else total - second
        return DualArray(self.algebra, quotient, total)

    def __pow__(self, exponent: int) -> DualArray:
        return self.algebra.power(self, Fraction(exponent))

    def __radd__(self, other: Any) -> DualArray:
        return self.__add__(other)

    def __rsub__(self, other: Any) -> DualArray:
        return (-self).__add__(other)

    def __rmul__(self, other: Any) -> DualArray:
        return self.__mul__(other)

    def __rtruediv__(self, other: Any) -> DualArray:
        return DualArray(self.algebra, self.algebra.base.constant(np.asarray(other))) / self


class Dual:
    """The algebra of dual numbers over ``base``.

    Args:
        base: any algebra (Dual itself for second derivatives).
        hold_stopped: ``stop_gradient`` makes a value constant; if False, it is ignored: the derivative of what is
            computed, whatever was declared.

    Example:
        >>> import numpy as np
        >>> from verify.algebra.real import Real
        >>> dual = Dual(Real())
        >>> x = DualArray(dual, np.array(2.0), np.array(1.0))
        >>> (x * x * x).tangent
        np.float64(12.0)
    """

    def __init__(self, base: Algebra, hold_stopped: bool = True) -> None:
        self.base, self.hold_stopped = base, hold_stopped
        self.f = Functions(base)

    def constant(self, values: NDArray[Any]) -> DualArray:
        return DualArray(self, self.base.constant(values))

    def pi(self) -> DualArray:
        return DualArray(self, self.base.pi())

    def function(self, name: str, x: DualArray) -> DualArray:
        value = self.base.function(name, x.primal)
        if x.tangent is None:
            return DualArray(self, value)
        if name not in DERIVATIVES:
            raise Unsupported(f"no derivative of {name} is known")
        if name in ("sign", "step"):
            return DualArray(self, value)
        return DualArray(self, value, DERIVATIVES[name](x.primal, value, self.f) * x.tangent)

    def power(self, x: DualArray, exponent: Fraction) -> DualArray:
        value = self.base.power(x.primal, exponent)
        if x.tangent is None or exponent == 0:
            return DualArray(self, value)
        slope = self.base.power(x.primal, exponent - 1)
        factor = self.base.constant(np.asarray(exponent.numerator))
        if exponent.denominator != 1:
            factor = factor / self.base.constant(np.asarray(exponent.denominator))
        return DualArray(self, value, slope * factor * x.tangent)

    def general_power(self, x: DualArray, y: DualArray) -> DualArray:
        value = self.base.general_power(x.primal, y.primal)
        tangent = None
        if x.tangent is not None:
            tangent = value / x.primal * y.primal * x.tangent
        if y.tangent is not None:
            second = value * self.base.function("log", x.primal) * y.tangent
            tangent = second if tangent is None else tangent + second
        return DualArray(self, value, tangent)

    def sum(self, x: DualArray, axes: tuple[int, ...]) -> DualArray:
        return DualArray(
            self, self.base.sum(x.primal, axes), None if x.tangent is None else self.base.sum(x.tangent, axes)
        )

    def matmul(self, x: DualArray, y: DualArray) -> DualArray:
        tangent = None
        if x.tangent is not None:
            tangent = self.base.matmul(x.tangent, y.primal)
        if y.tangent is not None:
            second = self.base.matmul(x.primal, y.tangent)
            tangent = second if tangent is None else tangent + second
        return DualArray(self, self.base.matmul(x.primal, y.primal), tangent)

    def _tangents(self, xs: Sequence[DualArray]) -> list[Any] | None:
        if all(x.tangent is None for x in xs):
            return None
        return [self.base.constant(np.zeros(x.shape, np.int64)) if x.tangent is None else x.tangent for x in xs]

    def rearrange(self, fn: Rearrangement, *xs: DualArray) -> DualArray:
        tangents = self._tangents(xs)
        return DualArray(
            self,
            self.base.rearrange(fn, *[x.primal for x in xs]),
            None if tangents is None else self.base.rearrange(fn, *tangents),
        )

    def select(self, which: NDArray[Any], cases: Sequence[DualArray]) -> DualArray:
        tangents = self._tangents(cases)
        return DualArray(
            self,
            self.base.select(which, [x.primal for x in cases]),
            None if tangents is None else self.base.select(which, tangents),
        )

    def compare(self, relation: str, x: DualArray, y: DualArray) -> NDArray[Any]:
        return self.base.compare(relation, x.primal, y.primal)

    def order(self, x: DualArray, axis: int) -> NDArray[np.intp]:
        return self.base.order(x.primal, axis)

    def integral(self, kind: str, x: DualArray) -> NDArray[np.float64]:
        return self.base.integral(kind, x.primal)

    def finite(self, x: DualArray) -> NDArray[np.bool_]:
        return self.base.finite(x.primal)

    def stop(self, x: DualArray) -> DualArray:
        return DualArray(self, self.base.stop(x.primal), None if self.hold_stopped else x.tangent)

    def replace_radicand(self, x: DualArray) -> DualArray:
        """See :meth:`verify.algebra.field.Field.replace_radicand`; the tangent stays."""
        replace = getattr(self.base, "replace_radicand", None)
        return x if replace is None else DualArray(self, replace(x.primal), x.tangent)

    def replace_known(self, x: DualArray) -> DualArray:
        """See :meth:`verify.algebra.field.Field.replace_known`; the tangent stays."""
        recall = getattr(self.base, "replace_known", None)
        return x if recall is None else DualArray(self, recall(x.primal), x.tangent)
