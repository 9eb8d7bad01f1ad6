"""Expressions over named scalars: what a formula on a slide is once it has been read.

Five node types and no more. Sums and products are n-ary, so that "drop a term" and "drop a factor" are edits of one
tuple (see ``mistakes``). Operators build nodes and remove neutral elements (``0 + x``, ``1 * x``), never more: the
shape that a student wrote stays the shape that is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

from verify.rules import DERIVATIVES


class Expr:
    """A node. ``+ - * / **`` and unary minus build new nodes; a bare int or Fraction may stand on either side."""

    __slots__ = ()

    def __add__(self, other: Operand) -> Expr:
        return total((self, lift(other))) if isinstance(other, OPERAND) else NotImplemented

    def __radd__(self, other: Operand) -> Expr:
        return total((lift(other), self)) if isinstance(other, OPERAND) else NotImplemented

    def __sub__(self, other: Operand) -> Expr:
        return total((self, -lift(other))) if isinstance(other, OPERAND) else NotImplemented

    def __rsub__(self, other: Operand) -> Expr:
        return total((lift(other), -self)) if isinstance(other, OPERAND) else NotImplemented

    def __mul__(self, other: Operand) -> Expr:
        return product((self, lift(other))) if isinstance(other, OPERAND) else NotImplemented

    def __rmul__(self, other: Operand) -> Expr:
        return product((lift(other), self)) if isinstance(other, OPERAND) else NotImplemented

    def __truediv__(self, other: Operand) -> Expr:
        return quotient(self, lift(other)) if isinstance(other, OPERAND) else NotImplemented

    def __rtruediv__(self, other: Operand) -> Expr:
        return quotient(lift(other), self) if isinstance(other, OPERAND) else NotImplemented

    def __pow__(self, exponent: int) -> Expr:
        return power(self, exponent)

    def __neg__(self) -> Expr:
        if isinstance(self, Num):
            return Num(-self.value, None if self.text is None else negated(self.text))
        if isinstance(self, Product) and isinstance(self.factors[0], Num):
            return product((-self.factors[0], *self.factors[1:]))
        return Product((Num(Fraction(-1)), self))

    def __str__(self) -> str:
        return show(self)


@dataclass(frozen=True, slots=True)
class Num(Expr):
    """A number, exact. ``text`` keeps the digits as they were written."""

    value: Fraction
    text: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Num) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    __str__ = Expr.__str__


@dataclass(frozen=True, slots=True)
class Var(Expr):
    """A named scalar: a given, or the result of a step. Entries of arrays are named ``W[1,2]``, counted from 1."""

    name: str

    __str__ = Expr.__str__


@dataclass(frozen=True, slots=True)
class Sum(Expr):
    terms: tuple[Expr, ...]

    __str__ = Expr.__str__


@dataclass(frozen=True, slots=True)
class Product(Expr):
    factors: tuple[Expr, ...]

    __str__ = Expr.__str__


@dataclass(frozen=True, slots=True)
class Quotient(Expr):
    numerator: Expr
    denominator: Expr

    __str__ = Expr.__str__


@dataclass(frozen=True, slots=True)
class Power(Expr):
    base: Expr
    exponent: int

    __str__ = Expr.__str__


@dataclass(frozen=True, slots=True)
class Call(Expr):
    function: str
    args: tuple[Expr, ...]

    __str__ = Expr.__str__


Operand = Expr | int | Fraction
OPERAND = (Expr, int, Fraction)  # anything else (an array of expressions) handles the operator itself

ZERO = Num(Fraction(0))
ONE = Num(Fraction(1))


def lift(value: Expr | int | Fraction) -> Expr:
    """The node of a plain number; a node stays as it is."""
    return value if isinstance(value, Expr) else Num(Fraction(value))


def negated(text: str) -> str:
    return text[1:] if text.startswith("-") else "-" + text


def total(terms: tuple[Expr, ...]) -> Expr:
    """The sum, flat and without zeros."""
    flat: list[Expr] = []
    for term in terms:
        flat.extend(term.terms if isinstance(term, Sum) else (term,))
    kept = tuple(term for term in flat if term != ZERO)
    return ZERO if not kept else kept[0] if len(kept) == 1 else Sum(kept)


def product(factors: tuple[Expr, ...]) -> Expr:
    """The product, flat and without ones; 0 if a factor is 0. A sign moves to the front."""
    flat: list[Expr] = []
    for factor in factors:
        flat.extend(factor.factors if isinstance(factor, Product) else (factor,))
    if ZERO in flat:
        return ZERO
    negative = sum(1 for factor in flat if factor == Num(Fraction(-1))) % 2 == 1
    kept = [factor for factor in flat if factor not in (ONE, Num(Fraction(-1)))]
    if negative:
        if kept and isinstance(kept[0], Num):
            kept[0] = -kept[0]
        else:
            kept.insert(0, Num(Fraction(-1)))
    return ONE if not kept else kept[0] if len(kept) == 1 else Product(tuple(kept))


def quotient(numerator: Expr, denominator: Expr) -> Expr:
    return numerator if denominator == ONE else Quotient(numerator, denominator)


def power(base: Expr, exponent: int) -> Expr:
    return ONE if exponent == 0 else base if exponent == 1 else Power(base, exponent)


def call(function: str, *args: Expr | int | Fraction) -> Expr:
    return Call(function, tuple(lift(arg) for arg in args))


class _Functions:
    """The namespace ``f`` of ``rules`` for expressions: ``f.exp(x)`` is the node.

    A slope is not a value: ``step(0)`` is 0 on the slides, but relu has no derivative at 0. So the rules' ``step`` and
    ``sign`` become ``heaviside``, which every algebra refuses at 0.
    """

    def __getattr__(self, name: str) -> Callable[..., Expr]:
        return lambda *args: call(name, *args)

    def step(self, x: Expr) -> Expr:
        return call("heaviside", x)

    def sign(self, x: Expr) -> Expr:
        return 2 * call("heaviside", x) - 1


FUNCTIONS = _Functions()

# Derivatives with respect to each argument, where rules has none or one that is right only away from a jump. At ties
# (a = b, v = 0) an algebra refuses.
PARTIALS: Mapping[str, tuple[Callable[..., Any], ...]] = {
    "step": (lambda v, y, f: f.dstep(v),),  # 0, but at the jump
    "sign": (lambda v, y, f: f.dstep(v),),
    "leaky_relu": (
        lambda v, alpha, y, f: f.step(v) + alpha * f.step(-v),
        lambda v, alpha, y, f: v * f.step(-v),
    ),
    "elu": (
        lambda v, alpha, y, f: f.step(v) + f.step(-v) * (alpha + y),
        lambda v, alpha, y, f: f.step(-v) * (f.exp(v) - 1),
    ),
}


def children(expr: Expr) -> tuple[Expr, ...]:
    """The operands, left to right."""
    match expr:
        case Sum(terms):
            return terms
        case Product(factors):
            return factors
        case Quotient(numerator, denominator):
            return numerator, denominator
        case Power(base, _):
            return (base,)
        case Call(_, args):
            return args
    return ()


def rebuild(expr: Expr, operands: tuple[Expr, ...]) -> Expr:
    """The same node over other operands, neutral elements removed."""
    match expr:
        case Sum():
            return total(operands)
        case Product():
            return product(operands)
        case Quotient():
            return quotient(*operands)
        case Power(_, exponent):
            return power(operands[0], exponent)
        case Call(function, _):
            return Call(function, operands)
    return expr


def variables(expr: Expr) -> Iterator[str]:
    """The names used, left to right, repeats included."""
    if isinstance(expr, Var):
        yield expr.name
    for child in children(expr):
        yield from variables(child)


def rewrites(
    expr: Expr, rule: Callable[[Expr], Iterator[tuple[str, Expr]]], at: str = ""
) -> Iterator[tuple[str, Expr]]:
    """Every expression that comes from applying ``rule`` at one place, root first.

    ``rule`` gives labelled replacements for a node; the labels come back with the place in front (``"1.0 drop 2"``), so
    that the same edit at the same place of a like-shaped expression has the same label.
    """
    for label, replacement in rule(expr):
        yield f"{at} {label}", replacement
    operands = children(expr)
    for i, operand in enumerate(operands):
        for label, replacement in rewrites(operand, rule, f"{at}.{i}"):
            yield label, rebuild(expr, (*operands[:i], replacement, *operands[i + 1 :]))


def substitute(expr: Expr, replace: Mapping[str, Expr]) -> Expr:
    """Every named variable that ``replace`` holds is replaced, the rest stays."""
    if isinstance(expr, Var):
        return replace.get(expr.name, expr)
    operands = children(expr)
    return rebuild(expr, tuple(substitute(operand, replace) for operand in operands)) if operands else expr


def tidy(expr: Expr) -> Expr:
    """Numbers of a product multiplied out, -(y - a) written a - y, x*(1/y) written x/y: as in a textbook.

    Example:
        >>> from verify.expr import Num, Var, tidy
        >>> from fractions import Fraction
        >>> str(tidy(Num(Fraction(1, 2)) * 2 * (Var("y") - Var("a")) * -1))
        'a - y'
    """
    operands = tuple(tidy(operand) for operand in children(expr))
    expr = rebuild(expr, operands) if operands else expr
    if not isinstance(expr, Product):
        return expr
    value, rest = Fraction(1), []
    for factor in expr.factors:
        if isinstance(factor, Num):
            value *= factor.value
        elif isinstance(factor, Quotient) and isinstance(factor.numerator, Num) and isinstance(factor.denominator, Num):
            value *= factor.numerator.value / factor.denominator.value
        else:
            rest.append(factor)
    if value == -1:
        for i, factor in enumerate(rest):
            if isinstance(factor, Sum) and len(factor.terms) == 2 and _without_sign(factor.terms[1]) is not None:
                return product((*rest[:i], -factor.terms[1] - factor.terms[0], *rest[i + 1 :]))
    below = [factor.denominator for factor in rest if isinstance(factor, Quotient) and factor.numerator == ONE]
    above = product((Num(value), *(f for f in rest if not (isinstance(f, Quotient) and f.numerator == ONE))))
    return quotient(above, product(tuple(below)))


def partial(expr: Expr, name: str, value: Expr | None = None) -> Expr:
    """The derivative of one step's expression with respect to one variable, by the textbook rules.

    Args:
        expr: the right side of a step.
        name: the variable.
        value: the step's own result, where it has a name, so that the rule of ``a = sigmoid(z)`` reads ``a*(1 - a)``.

    Example:
        >>> from verify.expr import Var, call, partial
        >>> str(partial(call("sigmoid", Var("z")), "z", Var("a")))
        'a*(1 - a)'
    """
    match expr:
        case Var(own):
            return ONE if own == name else ZERO
        case Num():
            return ZERO
        case Sum(terms):
            return total(tuple(partial(term, name) for term in terms))
        case Product(factors):
            return total(
                tuple(
                    product((*factors[:i], partial(factor, name), *factors[i + 1 :]))
                    for i, factor in enumerate(factors)
                )
            )
        case Quotient(numerator, denominator):
            over, under = partial(numerator, name), partial(denominator, name)
            if under == ZERO:
                return ZERO if over == ZERO else over / denominator
            return (over * denominator - numerator * under) / denominator**2
        case Power(base, exponent):
            return lift(exponent) * base ** (exponent - 1) * partial(base, name)
        case Call("max" | "min" as function):
            return _slope_of_extreme(function, _extreme_of(expr, function), name)
        case Call(function, args):
            inner = tuple(partial(arg, name) for arg in args)
            if all(part == ZERO for part in inner):
                return ZERO
            result = value if value is not None else expr
            if function in PARTIALS:
                outer = [rule(*args, result, FUNCTIONS) for rule in PARTIALS[function]]
            else:
                outer = [DERIVATIVES[function](args[0], result, FUNCTIONS)]
            return total(tuple(lift(o) * i for o, i in zip(outer, inner, strict=True)))
    raise TypeError(f"partial: not an expression: {expr!r}")


def _extreme_of(expr: Expr, function: str) -> tuple[Expr, ...]:
    """Everything that max(max(a, b), c) is the largest of."""
    if isinstance(expr, Call) and expr.function == function:
        return tuple(entry for arg in expr.args for entry in _extreme_of(arg, function))
    return (expr,)


def _slope_of_extreme(function: str, entries: tuple[Expr, ...], name: str) -> Expr:
    """Each entry's own slope where it is beyond all others. (That two of the others are equal is no matter.)"""
    terms = []
    for i, entry in enumerate(entries):
        slope = partial(entry, name)
        if slope != ZERO:
            rest = reduce(lambda a, b: call(function, a, b), (*entries[:i], *entries[i + 1 :]))
            terms.append(FUNCTIONS.step(entry - rest if function == "max" else rest - entry) * slope)
    return total(tuple(terms))


def show(expr: Expr, values: Mapping[str, str] | None = None) -> str:
    """The expression as text; with ``values``, numbers stand where the names stood.

    Example:
        >>> from verify.expr import Var, show
        >>> show(Var("w") * Var("x") + Var("b"), {"w": "0.4", "x": "-2", "b": "0.1"})
        '0.4*(-2) + 0.1'
    """
    return _show(expr, values or {}, 0)


# Binding strength: 0 sum, 1 product, 2 unary minus, 3 power, 4 atom.
def _show(expr: Expr, values: Mapping[str, str], outer: int) -> str:
    match expr:
        case Num(value, text):
            written = text if text is not None else str(value)
            return f"({written})" if outer > 0 and (value < 0 or "/" in written) else written
        case Var(name):
            written = values.get(name, name)
            return f"({written})" if outer > 0 and written.startswith("-") else written
        case Sum(terms):
            written = _show(terms[0], values, 0)
            for term in terms[1:]:
                negative = _without_sign(term)
                if negative is not None:
                    written += " - " + _show(negative, values, 1)
                else:
                    right = _show(term, values, 0)
                    written += f" + ({right})" if right.startswith("-") else f" + {right}"
            return f"({written})" if outer > 0 else written
        case Product(factors):
            negative = _without_sign(expr)
            if negative is not None:
                written = "-" + _show(negative, values, 1)
                return f"({written})" if outer > 0 else written
            written = "*".join(_show(factor, values, 1) for factor in factors)
            return f"({written})" if outer > 1 else written
        case Quotient(numerator, denominator):
            negative = _without_sign(expr)
            if negative is not None:
                written = "-" + _show(negative, values, 1)
                return f"({written})" if outer > 0 else written
            written = f"{_show(numerator, values, 1)}/{_show(denominator, values, 2)}"
            return f"({written})" if outer > 1 else written
        case Power(base, exponent):
            shown = str(exponent) if exponent >= 0 else f"({exponent})"
            return f"{_show(base, values, 4)}**{shown}"
        case Call(function, args):
            return f"{function}({', '.join(_show(arg, values, 0) for arg in args)})"
    raise TypeError(f"show: not an expression: {expr!r}")


def _without_sign(expr: Expr) -> Expr | None:
    """x where ``expr`` is written -x, else None."""
    if isinstance(expr, Num) and expr.value < 0:
        return -expr
    if isinstance(expr, Product) and isinstance(expr.factors[0], Num) and expr.factors[0].value < 0:
        return product((-expr.factors[0], *expr.factors[1:]))
    if isinstance(expr, Quotient):
        numerator = _without_sign(expr.numerator)
        return None if numerator is None else Quotient(numerator, expr.denominator)
    return None
