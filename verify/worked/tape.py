"""Evaluate a derivation over any algebra.

The steps that an answer needs are laid out once as a list of instructions on registers, equal subexpressions once;
running it is one loop, fast enough for ten thousand updates in balls. An algebra is a way to make numbers and a table
of functions; ``+ - * / **`` are the numbers' own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from verify.expr import Call, Expr, Num, Power, Product, Quotient, Sum, Var, variables
from verify.worked.derivation import Derivation


@dataclass(frozen=True)
class Algebra:
    """A number system: ``number`` makes one from a Fraction; ``functions`` are called by name."""

    name: str
    number: Callable[[Fraction], Any]
    functions: Mapping[str, Callable[..., Any]]


def whole_power(base: Any, exponent: int) -> Any:
    """A power by multiplication: python-flint's own ``ball**2`` has no value where the ball contains 0.

    Example:
        >>> whole_power(3, 4), whole_power(2.0, -1)
        (81, 0.5)
    """
    if exponent < 0:
        return 1 / whole_power(base, -exponent)
    result, square = None, base
    while exponent:
        if exponent % 2:
            result = square if result is None else result * square
        exponent //= 2
        if exponent:
            square = square * square
    return 1 if result is None else result


_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": whole_power,
    "neg": operator.neg,
}


class Tape:
    """The instructions that compute ``outputs`` of a derivation from its givens.

    Example:
        >>> from fractions import Fraction
        >>> from verify.worked.derivation import Derivation, Kind, Step
        >>> from verify.reading.example import Given
        >>> from verify.expr import Var
        >>> from verify.worked.tape import Algebra, Tape
        >>> given = (Given("w", Fraction(1, 2), "0.5"),)
        >>> square = Derivation(given, (Step("y", Kind.FORWARD, Var("w") * Var("w")),), {})
        >>> Tape(square, ["y"]).run(Algebra("exact", Fraction, {}))
        [Fraction(1, 4)]
    """

    def __init__(self, derivation: Derivation, outputs: Sequence[str]) -> None:
        self._steps = derivation.by_name
        self._given = {given.name: given.value for given in derivation.given}
        self._number: dict[tuple[Any, ...], int] = {}
        self._code: list[tuple[str, int, int, int]] = []  # operation, result, first and second operand (or -1)
        self._constants: dict[int, Fraction] = {}
        self._exponents: dict[int, int] = {}
        self._inputs: dict[str, int] = {}
        self._size = 0
        for name in self._needed(outputs):  # in order, so that no chain of steps is followed by recursion
            self._named(name)
        self.outputs = [self._named(name) for name in outputs]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The givens that the outputs depend on."""
        return tuple(self._inputs)

    def run(self, algebra: Algebra, start: Mapping[str, Any] | None = None) -> list[Any]:
        """The outputs' values; ``start`` replaces givens by values of the algebra."""
        return next(self._runs(algebra, dict(start or {}), ()))

    def iterate(self, algebra: Algebra, carried: Sequence[str]) -> Iterator[list[Any]]:
        """Run again and again, each time with the outputs in place of the givens named ``carried``."""
        return self._runs(algebra, {}, carried)

    def _runs(self, algebra: Algebra, start: dict[str, Any], carried: Sequence[str]) -> Iterator[list[Any]]:
        registers: list[Any] = [None] * self._size
        for index, value in self._constants.items():
            registers[index] = algebra.number(value)
        for index, exponent in self._exponents.items():
            registers[index] = exponent
        for name, index in self._inputs.items():
            registers[index] = start[name] if name in start else algebra.number(self._given[name])
        table = {**algebra.functions, **_OPERATORS}
        code = [(table[op], result, first, second) for op, result, first, second in self._code]
        feedback = [
            (self._inputs[name], output)
            for name, output in zip(carried, self.outputs, strict=False)
            if name in self._inputs
        ]
        while True:
            for function, result, first, second in code:
                if second < 0:
                    registers[result] = function(registers[first])
                else:
                    registers[result] = function(registers[first], registers[second])
            yield [registers[index] for index in self.outputs]
            for index, value in [(index, registers[output]) for index, output in feedback]:
                registers[index] = value

    def _needed(self, outputs: Sequence[str]) -> Iterator[str]:
        needed, waiting = set(outputs), list(outputs)
        while waiting:
            step = self._steps.get(waiting.pop())
            fresh = set(variables(step.expr)) - needed if step else set()
            needed |= fresh
            waiting.extend(fresh)
        return (name for name in self._steps if name in needed)

    def _named(self, name: str) -> int:
        key = ("name", name)
        if key not in self._number:
            if name in self._steps:
                self._number[key] = self._emit(self._steps[name].expr)
            else:
                if name not in self._given:
                    raise KeyError(f"derivation: {name} is neither given nor computed")
                self._number[key] = self._inputs[name] = self._register()
        return self._number[key]

    def _register(self) -> int:
        self._size += 1
        return self._size - 1

    def _constant(self, value: Fraction) -> int:
        key = ("number", value)
        if key not in self._number:
            self._number[key] = self._register()
            self._constants[self._number[key]] = value
        return self._number[key]

    def _exponent(self, value: int) -> int:
        key = ("exponent", value)
        if key not in self._number:
            self._number[key] = self._register()
            self._exponents[self._number[key]] = value
        return self._number[key]

    def _operation(self, op: str, first: int, second: int = -1) -> int:
        if op in "+*" and second < first:
            first, second = second, first
        key = (op, first, second)
        if key not in self._number:
            self._number[key] = self._register()
            self._code.append((op, self._number[key], first, second))
        return self._number[key]

    def _emit(self, expr: Expr) -> int:
        match expr:
            case Num(value):
                return self._constant(value)
            case Var(name):
                return self._named(name)
            case Sum(terms):
                result = self._emit(terms[0])
                for term in terms[1:]:
                    if isinstance(term, Product) and term.factors[0] == Num(Fraction(-1)):
                        result = self._operation("-", result, self._factors(term.factors[1:]))
                    else:
                        result = self._operation("+", result, self._emit(term))
                return result
            case Product(factors):
                if factors[0] == Num(Fraction(-1)):
                    return self._operation("neg", self._factors(factors[1:]))
                return self._factors(factors)
            case Quotient(numerator, denominator):
                return self._operation("/", self._emit(numerator), self._emit(denominator))
            case Power(base, exponent):
                return self._operation("**", self._emit(base), self._exponent(exponent))
            case Call(function, args):
                return self._operation(function, *(self._emit(arg) for arg in args))
        raise TypeError(f"tape: not an expression: {expr!r}")

    def _factors(self, factors: tuple[Expr, ...]) -> int:
        result = self._emit(factors[0])
        for factor in factors[1:]:
            result = self._operation("*", result, self._emit(factor))
        return result
