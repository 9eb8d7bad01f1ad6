"""A normal form for expressions: a quotient of polynomials over atoms, in which equal things become equal.

Atoms are variables and the functions that no algebraic rule removes. The rules: sigmoid, tanh, sinh and cosh are
written with exp; ``exp(x + 2*y) = exp(x)*exp(y)**2``; the logarithm of a product of positive things is the sum of the
logarithms; ``sqrt(x)**2 = x``; a piecewise function is one of its pieces once the sign of its argument is known, and
raises :class:`NeedSign` until it is. A difference whose numerator is the zero polynomial is zero wherever both sides
are defined. The converse does not hold: a numerator other than 0 proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import flint

from verify.expr import Call, Expr, Num, Power, Product, Quotient, Sum, Var, variables

MAX_TERMS = 5_000
MAX_DEGREE = 400

PIECEWISE = frozenset(("relu", "step", "sign", "heaviside", "dstep", "abs", "max", "min", "leaky_relu", "elu"))
"""The functions that are one formula or another, by the sign of something."""

Key = tuple[Any, ...]


class Domain(StrEnum):
    """The values that a free name may take."""

    REAL = "real"
    POSITIVE = "positive"
    UNIT = "unit"  # strictly between 0 and 1
    BIT = "bit"  # 0 or 1


class NeedSign(Exception):
    """The sign of a polynomial decides which piece of a function is meant; ``key`` names the polynomial."""

    def __init__(self, key: Key, polynomial: Any) -> None:
        super().__init__(key)
        self.key = key
        self.polynomial = polynomial


class NoValue(ArithmeticError):
    """The expression has no value there: a division by the zero polynomial, a slope at a kink."""


class TooLarge(ArithmeticError):
    """The normal form is larger than is worth computing."""


class _Restart(Exception):
    """A finer root of an exponential is needed than was assumed; the caller starts again."""


@dataclass(frozen=True)
class Ratio:
    """``numerator/denominator``, polynomials over the atoms of one :class:`Workspace`."""

    numerator: Any
    denominator: Any


@dataclass
class Workspace:
    """The atoms met so far, and the arithmetic over them.

    Args:
        domains: of the free names; a name that is not listed is real.
        size: how many atoms there may be.
        definitions: of names that stand for expressions, each after those that it uses.
    """

    domains: Mapping[str, Domain]
    size: int = 48
    definitions: Mapping[str, Expr] = field(default_factory=dict)
    _defined: dict[str, Ratio] = field(default_factory=dict)
    _atoms: dict[Key, int] = field(default_factory=dict)
    _positive: set[int] = field(default_factory=set)
    _unit: set[int] = field(default_factory=set)
    _roots: dict[Key, int] = field(default_factory=dict)
    _exponents: dict[int, tuple[Any, int]] = field(default_factory=dict)  # atom exp(p/q) -> (p, q)
    _logarithms: dict[int, Any] = field(default_factory=dict)  # atom log(p) -> p
    _squares: dict[int, Any] = field(default_factory=dict)  # atom sqrt(p) -> p
    _signs: Mapping[Key, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._context = flint.fmpq_mpoly_ctx.get([f"x{i}" for i in range(self.size)], flint.Ordering.lex)
        self._generators = self._context.gens()
        self._one = self._context.constant(1)

    def ratio(self, expr: Expr, signs: Mapping[Key, int] | None = None) -> Ratio:
        """The normal form, where the polynomials of ``signs`` have the signs given.

        Raises:
            NeedSign: where a piecewise function depends on a sign that is not known.
            NoValue: where there is no value.
            TooLarge: where the limits of this module are exceeded, or there are more atoms than ``size``.
        """
        self._signs = signs or {}
        needed = reached(expr, self.definitions)
        while True:
            self._defined = {}
            try:
                for name, definition in self.definitions.items():  # in order, so that no chain of them recurses
                    if name in needed:
                        self._defined[name] = self._ratio(definition)
                return self._ratio(expr)
            except _Restart:
                continue

    def numerator(self, expr: Expr, signs: Mapping[Key, int] | None = None) -> Any:
        """The numerator of the normal form; the zero polynomial only for what is zero wherever it is defined."""
        while True:
            roots = dict(self._roots)
            result = self._without_roots(self.ratio(expr, signs).numerator)
            if roots == self._roots or result.is_zero():
                return result

    def sign(self, ratio: Ratio) -> int:
        """-1, 0 or 1, where every factor's sign is known: by domain, by its coefficients, or by ``signs``."""
        return self._sign(ratio.numerator) * self._sign(ratio.denominator)

    def at_least_zero(self, ratio: Ratio) -> bool:
        """Whether the quotient is >= 0 wherever it is defined; squares of unknown sign count as >= 0."""
        sign = 1
        for polynomial in (ratio.numerator, ratio.denominator):
            if polynomial.is_zero():
                return True
            content, factors = polynomial.factor()
            sign *= 1 if content > 0 else -1
            for factor, exponent in factors:
                if int(exponent) % 2:
                    sign *= self._known(factor) or 0
        return sign > 0

    def show(self, polynomial: Any) -> str:
        """The polynomial with the atoms' names."""
        names = {index: str(key[-1]) for key, index in self._atoms.items() if key[0] == "name"}
        text = str(polynomial)
        for index in sorted(self._atoms.values(), reverse=True):
            text = text.replace(f"x{index}", names.get(index, f"[{index}]"))
        return text.replace("^", "**")

    # From expressions to quotients.

    def _ratio(self, expr: Expr) -> Ratio:
        match expr:
            case Num(value):
                return Ratio(self._constant(value), self._one)
            case Var(name):
                return self._defined[name] if name in self._defined else Ratio(self._name(name), self._one)
            case Sum(terms):
                return self._sum([self._ratio(term) for term in terms])
            case Product(factors):
                result = self._ratio(factors[0])
                for factor in factors[1:]:
                    result = self._times(result, self._ratio(factor))
                return result
            case Quotient(numerator, denominator):
                return self._times(self._ratio(numerator), self._inverse(self._ratio(denominator)))
            case Power(base, exponent):
                return self._power(self._ratio(base), exponent)
            case Call(function, args):
                return self._call(function, [self._ratio(arg) for arg in args])
        raise TypeError(f"normal form: not an expression: {expr!r}")

    def _constant(self, value: Fraction | int) -> Any:
        value = Fraction(value)
        return self._context.constant(flint.fmpq(value.numerator, value.denominator))

    def _number(self, value: Fraction | int) -> Ratio:
        return Ratio(self._constant(value), self._one)

    def _name(self, name: str) -> Any:
        new = ("name", name) not in self._atoms
        index = self._atom(("name", name))
        if new:
            domain = self.domains.get(name, Domain.REAL)
            if domain in (Domain.POSITIVE, Domain.UNIT):
                self._positive.add(index)
            if domain == Domain.UNIT:
                self._unit.add(index)
        return self._generators[index]

    def _atom(self, key: Key) -> int:
        if key not in self._atoms:
            if len(self._atoms) == self.size:
                raise TooLarge(f"more than {self.size} atoms")
            self._atoms[key] = len(self._atoms)
        return self._atoms[key]

    def _small(self, polynomial: Any) -> Any:
        if len(polynomial) > MAX_TERMS:
            raise TooLarge(f"more than {MAX_TERMS} terms")
        return polynomial

    def _sum(self, ratios: Sequence[Ratio]) -> Ratio:
        result = ratios[0]
        for ratio in ratios[1:]:
            if result.denominator == ratio.denominator:
                result = Ratio(result.numerator + ratio.numerator, result.denominator)
                continue
            common = result.denominator.gcd(ratio.denominator)
            left, right = result.denominator / common, ratio.denominator / common
            numerator = self._small(result.numerator * right + ratio.numerator * left)
            result = Ratio(numerator, self._small(result.denominator * right))
        return result

    def _times(self, left: Ratio, right: Ratio) -> Ratio:
        numerator = self._small(self._without_roots(left.numerator * right.numerator))
        return Ratio(numerator, self._small(self._without_roots(left.denominator * right.denominator)))

    def _inverse(self, ratio: Ratio) -> Ratio:
        if self._without_roots(ratio.numerator).is_zero():
            raise NoValue("division by zero")
        return Ratio(ratio.denominator, ratio.numerator)

    def _power(self, ratio: Ratio, exponent: int) -> Ratio:
        if exponent < 0:
            return self._power(self._inverse(ratio), -exponent)
        if len(ratio.numerator) ** exponent > MAX_TERMS**2 or exponent > MAX_DEGREE:
            raise TooLarge("a high power")
        return Ratio(self._small(ratio.numerator**exponent), self._small(ratio.denominator**exponent))

    def _reduced(self, ratio: Ratio) -> Ratio:
        """In lowest terms, the denominator's leading coefficient 1."""
        if ratio.numerator.is_zero():
            return Ratio(ratio.numerator, self._one)
        common = ratio.numerator.gcd(ratio.denominator)
        numerator, denominator = ratio.numerator / common, ratio.denominator / common
        leading = denominator.leading_coefficient()
        return Ratio(numerator / leading, denominator / leading)

    # Functions.

    def _call(self, function: str, args: list[Ratio]) -> Ratio:
        x = args[0]
        one = self._number(1)
        match function:
            case "exp":
                return self._exp(x)
            case "sigmoid":
                grown = self._exp(x)
                return self._times(grown, self._inverse(self._sum([grown, one])))
            case "tanh" | "sinh" | "cosh":
                up, down = self._exp(x), self._exp(self._negative(x))
                over, under = self._sum([up, self._negative(down)]), self._sum([up, down])
                if function == "tanh":
                    return self._times(over, self._inverse(under))
                return self._times(over if function == "sinh" else under, self._number(Fraction(1, 2)))
            case "softplus":
                return self._log(self._sum([self._exp(x), one]))
            case "log":
                return self._log(x)
            case "sqrt":
                return self._sqrt(x)
            case "tan":
                return self._times(self._opaque("sin", [x]), self._inverse(self._opaque("cos", [x])))
            case "relu":
                return x if self.sign(x) > 0 else self._number(0)
            case "step":
                return self._number(int(self.sign(x) > 0))
            case "sign":
                return self._number(self.sign(x))
            case "heaviside":
                sign = self.sign(x)
                if sign == 0:
                    raise NoValue("a slope at a kink")
                return self._number(int(sign > 0))
            case "dstep":
                if self.sign(x) == 0:
                    raise NoValue("a slope at a jump")
                return self._number(0)
            case "abs":
                return self._times(self._number(self.sign(x)), x)
            case "max" | "min":
                larger = self.sign(self._sum([x, self._negative(args[1])])) > 0
                return x if larger == (function == "max") else args[1]
            case "leaky_relu":
                return x if self.sign(x) > 0 else self._times(args[1], x)
            case "elu":
                if self.sign(x) > 0:
                    return x
                return self._times(args[1], self._sum([self._exp(x), self._number(-1)]))
        return self._opaque(function, args)

    def _negative(self, ratio: Ratio) -> Ratio:
        return Ratio(-ratio.numerator, ratio.denominator)

    def _opaque(self, function: str, args: Sequence[Ratio]) -> Ratio:
        key = tuple(_key(part) for ratio in map(self._reduced, args) for part in (ratio.numerator, ratio.denominator))
        return Ratio(self._generators[self._atom((function, *key))], self._one)

    def _exp(self, argument: Ratio) -> Ratio:
        """The product of the exponentials of the argument's terms."""
        argument = self._reduced(argument)
        if argument.denominator.is_one():
            parts = [(coefficient, self._monomial(exponents)) for exponents, coefficient in argument.numerator.terms()]
        else:
            leading = argument.numerator.leading_coefficient() if not argument.numerator.is_zero() else flint.fmpq(0)
            parts = [(leading, None)] if leading else []
        result = self._number(1)
        for coefficient, term in parts:
            if term is None:
                key: Key = (_key(argument.numerator / coefficient), _key(argument.denominator))
            else:
                known = self._logarithm(term)
                if known is not None and int(coefficient.q) == 1:
                    result = self._times(result, self._power(Ratio(known, self._one), int(coefficient.p)))
                    continue
                key = (_key(term),)
            result = self._times(result, self._exponential(key, coefficient, term))
        return result

    def _exponential(self, key: Key, coefficient: Any, term: Any) -> Ratio:
        """exp(coefficient*term) as a power of the atom exp(term/root)."""
        root = self._roots.get(key, 1)
        if root % int(coefficient.q):
            self._roots[key] = lcm(root, int(coefficient.q))
            raise _Restart
        exponent = int(coefficient.p) * (root // int(coefficient.q))
        if abs(exponent) > MAX_DEGREE:
            raise TooLarge("a high power of an exponential")
        index = self._atom(("exp", root, *key))
        self._positive.add(index)
        if term is not None:
            self._exponents[index] = (term, root)
        return self._power(Ratio(self._generators[index], self._one), exponent)

    def _monomial(self, exponents: Sequence[int]) -> Any:
        return self._context.from_dict({tuple(exponents): 1})

    def _logarithm(self, term: Any) -> Any:
        index = self._generator(term)
        return None if index is None else self._logarithms.get(index)

    def _generator(self, polynomial: Any) -> int | None:
        """The number of the atom that the polynomial is, if it is one."""
        if len(polynomial) != 1 or polynomial.total_degree() != 1 or polynomial.leading_coefficient() != 1:
            return None
        return next(i for i, degree in enumerate(polynomial.degrees()) if degree)

    def _log(self, argument: Ratio) -> Ratio:
        argument = self._reduced(argument)
        if argument.numerator.is_zero():
            raise NoValue("the logarithm of zero")
        (above, factors), (below, divisors) = argument.numerator.factor(), argument.denominator.factor()
        content = above / below
        sides = [(f, int(e)) for f, e in factors] + [(f, -int(e)) for f, e in divisors]
        positive: list[tuple[Any, int]] = []
        for factor, exponent in sides:
            sign = self._known(factor)
            if not sign:
                return self._opaque("log", [argument])
            content = content * flint.fmpq(sign) ** exponent
            positive.append((factor * sign, exponent))
        if content <= 0:
            return self._opaque("log", [argument])
        terms = [self._number(0)]
        for prime, power in _primes(Fraction(int(content.p), int(content.q))):
            terms.append(self._times(self._number(power), self._opaque("log", [self._number(prime)])))
        for factor, exponent in positive:
            terms.append(self._times(self._number(exponent), self._log_of_factor(factor)))
        return self._sum(terms)

    def _log_of_factor(self, factor: Any) -> Ratio:
        leading = factor.leading_coefficient()
        index = self._generator(factor)
        if index is not None and index in self._exponents:
            term, root = self._exponents[index]
            return Ratio(term / root, self._one)
        if leading > 0 and leading != 1:  # a multiple of one polynomial must give one atom, whichever is met
            number = self._log(Ratio(leading * self._one, self._one))
            return self._sum([self._log_of_factor(factor / leading), number])
        result = self._opaque("log", [Ratio(factor, self._one)])
        atom = self._generator(result.numerator)
        if atom is not None:
            self._logarithms[atom] = factor
        return result

    def _sqrt(self, argument: Ratio) -> Ratio:
        """sqrt(n/d) = sqrt(n*d)/d, squares taken out; as d > 0 must be known, it is opaque otherwise."""
        argument = self._reduced(argument)
        if argument.numerator.is_zero():
            return argument
        if self._known(argument.denominator) != 1 and not argument.denominator.is_one():
            return self._opaque("sqrt", [argument])
        inside = argument.numerator * argument.denominator
        index = self._atom(("sqrt", _key(inside)))
        self._squares[index] = inside
        if self._known(inside) == 1:
            self._positive.add(index)
        return Ratio(self._generators[index], argument.denominator)

    def _without_roots(self, polynomial: Any) -> Any:
        """Every square of a square root multiplied out, the latest root first."""
        for index in sorted(self._squares, reverse=True):
            if polynomial.is_zero() or int(polynomial.degrees()[index]) < 2:
                continue
            result = self._context.constant(0)
            for exponents, coefficient in polynomial.terms():
                left = list(exponents)
                half, left[index] = divmod(int(left[index]), 2)
                result += self._context.from_dict({tuple(left): coefficient}) * self._squares[index] ** half
            polynomial = self._small(result)
        return polynomial

    # Signs.

    def _sign(self, polynomial: Any) -> int:
        polynomial = self._without_roots(polynomial)
        if polynomial.is_zero():
            return 0
        content, factors = polynomial.factor()
        sign = 1 if content > 0 else -1
        for factor, exponent in factors:
            known = self._known(factor)
            if known is None:
                raise NeedSign(_key(factor), factor)
            sign *= known ** (int(exponent) if known else 1)
        return sign

    def _known(self, polynomial: Any) -> int | None:
        """The sign of a polynomial that has the same everywhere, or is given in ``signs``; None if neither."""
        key = _key(polynomial)
        if key in self._signs:
            return self._signs[key]
        for index in self._unit:
            polynomial = self._spread(polynomial, index)
        signs, strict = set(), False
        for exponents, coefficient in polynomial.terms():
            signs.add(1 if coefficient > 0 else -1)
            odd = [i for i, exponent in enumerate(exponents) if exponent and i not in self._positive]
            if any(int(exponents[i]) % 2 for i in odd):
                return None
            strict = strict or not odd
        return signs.pop() if len(signs) == 1 and strict else None

    def _spread(self, polynomial: Any, index: int) -> Any:
        """With u = t/(1 + t), which runs over ]0, 1[ as t runs over the positive numbers, times a power of 1 + t."""
        degree = int(polynomial.degrees()[index])
        if degree == 0:
            return polynomial
        result = self._context.constant(0)
        for exponents, coefficient in polynomial.terms():
            rest = (1 + self._generators[index]) ** (degree - int(exponents[index]))
            result += self._context.from_dict({tuple(exponents): coefficient}) * rest
        return result


def reached(expr: Expr, definitions: Mapping[str, Expr]) -> set[str]:
    """The defined names that an expression rests on, directly or through others."""
    found: set[str] = set()
    waiting = [expr]
    while waiting:
        for name in set(variables(waiting.pop())) - found:
            if name in definitions:
                found.add(name)
                waiting.append(definitions[name])
    return found


def _key(polynomial: Any) -> Key:
    """What identifies a polynomial: its terms, in the order of the context."""
    terms = ((exponents, int(c.p), int(c.q)) for exponents, c in polynomial.terms())
    return tuple((tuple((i, int(e)) for i, e in enumerate(exponents) if e), p, q) for exponents, p, q in terms)


def _primes(value: Fraction) -> list[tuple[int, int]]:
    """The prime factors of a positive fraction with their exponents."""
    above, below = flint.fmpz(value.numerator).factor(), flint.fmpz(value.denominator).factor()
    assert gcd(value.numerator, value.denominator) == 1
    return [(int(p), int(e)) for p, e in above] + [(int(p), -int(e)) for p, e in below]
