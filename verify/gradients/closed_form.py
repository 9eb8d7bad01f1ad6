"""Expressions as SymPy objects, and their closed forms: rational functions in lowest terms over exponentials.

Nothing here calls ``simplify``: exponentials become symbols, then numerator and denominator are polynomials.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy

from verify.expr import Call, Expr, Num, Power, Product, Quotient, Sum, Var

_LARGEST = 400


def symbol(name: str) -> Any:
    """The real SymPy symbol of a name."""
    return sympy.Symbol(name, real=True)


def to_sympy(expr: Expr, values: Mapping[str, Any] | None = None) -> Any:
    """An expression as a SymPy object; names in ``values`` are replaced.

    Example:
        >>> from verify.expr import Var, call
        >>> to_sympy(call("sigmoid", Var("z")) * Var("x"))
        x/(1 + exp(-z))
    """
    known = values or {}
    match expr:
        case Num(value):
            return _rational(value)
        case Var(name):
            return known[name] if name in known else symbol(name)
        case Sum(terms):
            return sympy.Add(*(to_sympy(term, known) for term in terms))
        case Product(factors):
            return sympy.Mul(*(to_sympy(factor, known) for factor in factors))
        case Quotient(numerator, denominator):
            return to_sympy(numerator, known) / to_sympy(denominator, known)
        case Power(base, exponent):
            return to_sympy(base, known) ** exponent
        case Call(function, args):
            return _call(function, [to_sympy(arg, known) for arg in args])
    raise TypeError(f"to_sympy: not an expression: {expr!r}")


def lowest_terms(form: Any) -> Any:
    """The quotient of two polynomials without a common factor, over symbols and function values.

    ``exp`` of a sum is taken apart first, so that a factor common to all exponentials cancels. A form that is too large
    for that, or not rational, comes back as it is.

    Example:
        >>> a, b, m = map(symbol, "abm")
        >>> lowest_terms(sympy.exp(a - m) / (sympy.exp(a - m) + sympy.exp(b - m)))
        exp(a)/(exp(a) + exp(b))
    """
    if form.count_ops() > _LARGEST:
        return form
    spread = sympy.expand_power_exp(
        form.replace(lambda e: isinstance(e, sympy.exp), lambda e: sympy.exp(sympy.expand(e.args[0])))
    )
    back: dict[Any, Any] = {}
    opaque = spread.replace(lambda e: isinstance(e, sympy.exp), lambda e: _exponential(e, back))
    rest = [e for e in opaque.atoms(sympy.Function) if not isinstance(e, sympy.exp)]
    for number, function in enumerate(sorted(rest, key=lambda e: (-e.count_ops(), str(e)))):
        stand_in = sympy.Dummy(f"f{number}", real=True)
        opaque = opaque.xreplace({function: stand_in})
        back[stand_in] = function
    reduced = sympy.cancel(sympy.together(opaque))
    for _ in range(len(back) + 1):
        reduced = reduced.xreplace(back)
    return reduced


def _exponential(e: Any, back: dict[Any, Any]) -> Any:
    """``exp(n·u)`` as the n-th power of one symbol."""
    number, rest = e.args[0].as_coeff_Mul()
    if not number.is_Integer:
        number, rest = sympy.Integer(1), e.args[0]
    for known, value in back.items():
        if value == sympy.exp(rest):
            return known**number
    stand_in = sympy.Dummy("E", positive=True)
    back[stand_in] = sympy.exp(rest)
    return stand_in**number


def shortest(form: Any, definitions: Mapping[str, Any]) -> Any:
    """The shortest of a few ways to write a form: as it is, in lowest terms, collected, with the names of quotients.

    Where names stand for quotients with one denominator, ``s_i = e_i/S``, the form is written with them, and where they
    are shares of a whole (``S`` the sum of all ``e_i``) their sum is 1.

    Args:
        form: a SymPy object.
        definitions: name -> what it stands for.

    Example:
        >>> e, f = symbol("e"), symbol("f")
        >>> shortest(e / (e + f) * f / (e + f), {"s": e / (e + f), "t": f / (e + f)})
        s*t
    """
    if form.count_ops() > _LARGEST or not _has_quotient(form):
        return form
    ways = [form, lowest_terms(form)]
    for below, names in _denominators(definitions).items():
        ways.append(_with_shares(form, below, names))
    for way in list(ways):
        if way.count_ops() <= _LARGEST:
            spread = sympy.expand(way)
            ways += [spread, sympy.factor_terms(spread)]
            ways += [*(sympy.collect(spread, s, sympy.factor_terms) for s in sorted(way.free_symbols, key=str))]
    return min(ways, key=lambda way: (way.count_ops(), len(str(way))))


def _has_quotient(form: Any) -> bool:
    return any(not e.exp.is_nonnegative for e in form.atoms(sympy.Pow))


def _denominators(definitions: Mapping[str, Any]) -> dict[Any, dict[Any, Any]]:
    """Denominator -> {numerator symbol: the quotient's name}."""
    found: dict[Any, dict[Any, Any]] = {}
    for name, definition in definitions.items():
        above, below = definition.as_numer_denom()
        if above.is_Symbol and below != 1:
            found.setdefault(below, {})[above] = symbol(name)
    return found


def _with_shares(form: Any, below: Any, names: Mapping[Any, Any]) -> Any:
    whole = sympy.Dummy("S", positive=True)
    shares = form.subs(below, whole).xreplace({above: share * whole for above, share in names.items()})
    if below != sum(names):
        return sympy.cancel(shares).xreplace({whole: below})
    # All parts of the whole are named: the shares sum to 1.
    best = sympy.cancel(shares)
    for share in sorted(names.values(), key=str):
        rest = 1 - sum(other for other in names.values() if other != share)
        for way in (lambda e: e, sympy.factor_terms):
            candidate = way(sympy.expand(best.xreplace({share: rest})))
            if candidate.count_ops() < best.count_ops():
                best = candidate
    return best.xreplace({whole: below})


def _rational(value: Fraction) -> Any:
    return sympy.Rational(value.numerator, value.denominator)


def _call(function: str, args: list[Any]) -> Any:
    x = args[0]
    match function:
        case "sigmoid":
            return 1 / (1 + sympy.exp(-x))
        case "softplus":
            return sympy.log(1 + sympy.exp(x))
        case "relu":
            return sympy.Max(x, 0)
        case "step" | "heaviside":
            return sympy.Heaviside(x, 0)
        case "dstep":
            return sympy.Integer(0)
        case "log1p":
            return sympy.log(1 + x)
        case "expm1":
            return sympy.exp(x) - 1
        case "exp2":
            return sympy.Integer(2) ** x
        case "rsqrt":
            return 1 / sympy.sqrt(x)
        case "abs":
            return sympy.Abs(x)
        case "max" | "min":
            return (sympy.Max if function == "max" else sympy.Min)(*args)
        case "lgamma":
            return sympy.loggamma(x)
        case _:
            return getattr(sympy, function)(*args)
