"""SymPy expressions as numbers: closed forms; a comparison that is not decided becomes an indicator symbol.

``x > y`` for expressions is a symbol named ``[x - y > 0]``, which is 1 or 0; ``select`` is arithmetic on it, and so a
piecewise function is a polynomial in indicators. Ties are not told apart: ``x >= y`` is ``x > y``, and ``x == y`` holds
only where both are the same expression, or where one is a maximum (minimum) and the other is what it chose, which
indicators say. :meth:`Symbolic.branch` gives the indicators' values at a point; on that
branch everything is an ordinary expression again.

Nothing is simplified beyond what SymPy does on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, cast

import numpy as np
import sympy
from numpy.typing import NDArray

from verify.algebra import literals
from verify.algebra.plain import Plain, Unsupported, as_array, entrywise

Expressions = NDArray[np.object_]

_CONSTANTS: Mapping[str, Any] = {
    "pi": sympy.pi,
    "1/pi": 1 / sympy.pi,
    "sqrt(pi)": sympy.sqrt(sympy.pi),
    "1/sqrt(pi)": 1 / sympy.sqrt(sympy.pi),
    "2/sqrt(pi)": 2 / sympy.sqrt(sympy.pi),
    "sqrt(2/pi)": sympy.sqrt(2 / sympy.pi),
    "sqrt(2)": sympy.sqrt(2),
    "sqrt(2*pi)": sympy.sqrt(2 * sympy.pi),
    "1/sqrt(2*pi)": 1 / sympy.sqrt(2 * sympy.pi),
    "log(2)": sympy.log(2),
    "1/log(2)": 1 / sympy.log(2),
    "log(10)": sympy.log(10),
    "1/log(10)": 1 / sympy.log(10),
    "log(2*pi)": sympy.log(2 * sympy.pi),
    "e": sympy.E,
}

FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "exp": sympy.exp,
    "exp2": lambda x: sympy.Integer(2) ** x,
    "expm1": lambda x: sympy.exp(x) - 1,
    "log": sympy.log,
    "log1p": lambda x: sympy.log(1 + x),
    "sqrt": sympy.sqrt,
    "rsqrt": lambda x: 1 / sympy.sqrt(x),
    "cbrt": lambda x: x ** sympy.Rational(1, 3),
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "asin": sympy.asin,
    "acos": sympy.acos,
    "atan": sympy.atan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "asinh": sympy.asinh,
    "acosh": sympy.acosh,
    "atanh": sympy.atanh,
    "sigmoid": lambda x: 1 / (1 + sympy.exp(-x)),
    "softplus": lambda x: sympy.log(1 + sympy.exp(x)),
    "erf": sympy.erf,
    "erfc": sympy.erfc,
    "erfinv": sympy.erfinv,
    "lgamma": sympy.loggamma,
    "digamma": sympy.digamma,
}


class Symbolic(Plain):
    """Object arrays of SymPy expressions.

    Args:
        functions: replaces or adds functions, for instance ``{"sigmoid": sympy.Function("sigma")}``.

    Attributes:
        indicators: for every indicator symbol the expression that is positive where it is 1.

    Example:
        >>> import sympy
        >>> algebra = Symbolic()
        >>> x = symbols("x", (2,))
        >>> algebra.function("relu", x)[0]
        [x_0 > 0]*x_0
        >>> algebra.branch({x[0]: 2, x[1]: -1})
        {[x_0 > 0]: 1, [x_1 > 0]: 0}
    """

    def __init__(self, functions: Mapping[str, Callable[[Any], Any]] | None = None) -> None:
        self.functions = {**FUNCTIONS, **(functions or {})}
        self.indicators: dict[Any, Any] = {}
        self._extrema: dict[Any, tuple[Any, Any, Any]] = {}

    def constant(self, values: NDArray[Any]) -> Expressions:
        values = np.asarray(values)
        if values.dtype == object:  # indicators, which are numbers already
            return values
        return entrywise(_number, _scalars(values))

    def function(self, name: str, x: Expressions) -> Expressions:
        zero = sympy.Integer(0)
        if name == "abs":
            return entrywise(lambda v: v * (2 * self.greater(v, zero) - 1), x)
        if name == "sign":
            return entrywise(lambda v: 2 * self.greater(v, zero) - 1 if v != 0 else v, x)
        if name == "relu":
            return entrywise(lambda v: v * self.greater(v, zero), x)
        if name == "step":
            return entrywise(lambda v: self.greater(v, zero), x)
        if name not in self.functions:
            raise Unsupported(name)
        return entrywise(self.functions[name], x)

    def power(self, x: Expressions, exponent: Fraction) -> Expressions:
        number = sympy.Rational(exponent.numerator, exponent.denominator)
        return entrywise(lambda v: v**number, x)

    def general_power(self, x: Expressions, y: Expressions) -> Expressions:
        return entrywise(lambda v, w: v**w, x, y)

    def pi(self) -> Expressions:
        return entrywise(lambda _: sympy.pi, np.zeros((), object))

    def sum(self, x: Expressions, axes: tuple[int, ...]) -> Expressions:
        total: Any = np.sum(x, axis=axes, initial=cast(Any, sympy.Integer(0)))
        return np.asarray(as_array(total))

    def matmul(self, x: Expressions, y: Expressions) -> Expressions:
        return np.asarray(np.matmul(x, y), dtype=object)

    def greater(self, x: Any, y: Any) -> Any:
        """The indicator of x > y (a symbol, 1 minus a symbol, or a number)."""
        indicator, positive = self._greater(x, y)
        if positive is not None:
            self.indicators[_indicator(positive)] = positive
        return indicator

    @staticmethod
    def _greater(x: Any, y: Any) -> tuple[Any, Any]:
        """The indicator, and the expression that its symbol is about (None for a number)."""
        if x in (sympy.oo, -sympy.oo) or y in (sympy.oo, -sympy.oo):
            return sympy.Integer(int((x == sympy.oo and y != sympy.oo) or (y == -sympy.oo and x != -sympy.oo))), None
        difference = x - y
        if difference is sympy.nan:
            return sympy.Integer(0), None
        if difference.is_number:
            return sympy.Integer(int(bool(difference > 0))), None
        if difference.could_extract_minus_sign():
            return 1 - _indicator(-difference), -difference
        return _indicator(difference), difference

    def _equal(self, x: Any, y: Any) -> Any:
        if x - y == 0:
            return sympy.Integer(1)
        for part, whole in ((x, y), (y, x)):
            if whole in self._extrema:
                first, second, chooses_second = self._extrema[whole]
                return self._equal(part, first) * (1 - chooses_second) + self._equal(part, second) * chooses_second
        return sympy.Integer(0)

    def compare(self, relation: str, x: Expressions, y: Expressions) -> NDArray[Any]:
        kinds: Mapping[str, Callable[[Any, Any], Any]] = {
            "eq": self._equal,
            "ne": lambda a, b: 1 - self._equal(a, b),
            "gt": self.greater,
            "ge": self.greater,
            "lt": lambda a, b: self.greater(b, a),
            "le": lambda a, b: self.greater(b, a),
        }
        indicators = entrywise(kinds[relation], x, y)
        decided = [v.is_Integer for v in indicators.ravel()]
        return indicators.astype(int).astype(bool) if all(decided) else indicators

    def select(self, which: NDArray[Any], cases: Any) -> Expressions:
        if which.dtype != object:
            return super().select(which, cases)
        first, second = cases

        def choose(indicator: Any, a: Any, b: Any) -> Any:
            if indicator == 0 or a == b:
                return a
            if indicator == 1:
                return b
            result = a + indicator * (b - a)
            if indicator in (self._greater(a, b)[0], self._greater(b, a)[0]):  # a minimum or a maximum
                self._extrema[result] = (a, b, indicator)
            return result

        return entrywise(choose, which, first, second)

    def order(self, x: Expressions, axis: int) -> NDArray[np.intp]:
        raise Unsupported("the order of expressions")

    def integral(self, kind: str, x: Expressions) -> NDArray[np.float64]:
        if all(v.is_number for v in x.ravel()):
            from verify.algebra.real import INTEGRAL

            return np.asarray(INTEGRAL[kind](x.astype(np.float64)))
        raise Unsupported(f"{kind} of an expression")

    def finite(self, x: Expressions) -> NDArray[np.bool_]:
        return np.asarray(entrywise(lambda v: v not in (sympy.oo, -sympy.oo, sympy.nan, sympy.zoo), x)).astype(bool)

    def branch(self, point: Mapping[Any, Any]) -> dict[Any, int]:
        """The indicators' values where the symbols have the values of ``point``."""
        values: dict[Any, int] = {}
        for symbol, positive in self.indicators.items():
            values[symbol] = int(bool(positive.subs(values).subs(point) > 0))
        return values


def _indicator(positive: Any) -> Any:
    return sympy.Symbol(f"[{positive} > 0]", integer=True, nonnegative=True)


def symbols(name: str, shape: tuple[int, ...]) -> Expressions:
    """An array of real symbols ``name_i_j`` (counted from 0), or one symbol for shape ().

    Example:
        >>> symbols("w", (2, 2))[0, 1]
        w_0_1
    """
    answer = np.empty(shape, object)
    for index in np.ndindex(*shape):
        answer[index] = sympy.Symbol("_".join([name, *map(str, index)]), real=True)
    return answer


def _scalars(values: NDArray[Any]) -> NDArray[np.object_]:
    answer = np.empty(values.shape, object)
    for index in np.ndindex(*values.shape):
        answer[index] = values[index]
    return answer


def _number(value: Any) -> Any:
    if isinstance(value, np.integer | np.bool_ | int):
        return sympy.Integer(int(value))
    if not np.isfinite(value):
        return sympy.nan if np.isnan(value) else sympy.oo if value > 0 else -sympy.oo
    reading = literals.read(value)
    factor = sympy.Rational(reading.factor.numerator, reading.factor.denominator)
    return factor * _CONSTANTS[reading.constant] if reading.constant else factor
