"""Terms as text, in the notation of a lecture: ``-Σ_k y_k·(δ_{ki} - σ_i)``.

The scope of a ``Σ`` is the product to its right.
"""

from __future__ import annotations

from fractions import Fraction

from verify.indexed.terms import (
    Add,
    Apply,
    Atom,
    Call,
    Delta,
    Diff,
    Extent,
    Index,
    Mul,
    Named,
    Number,
    Power,
    Sum,
    Term,
    mul,
)

__all__ = ["text"]


def text(term: Term) -> str:
    """The term as one line of text."""
    match term:
        case Number(value):
            return str(value)
        case Atom(symbol, indices):
            return str(symbol) + _subscript(indices)
        case Named(definition, indices):
            return str(definition.symbol) + _subscript(indices)
        case Delta(left, right):
            return "δ" + _subscript((left, right))
        case Extent(size):
            return str(size)
        case Add(terms):
            return _sum(terms)
        case Mul() | Power():
            return _product(term)
        case Sum(index, body):
            return _big_sum(index, body)
        case Apply(function, argument, order):
            return function + "'" * order + f"({text(argument)})"
        case Call():
            return _call(term)
        case Diff(body, variable):
            shown = text(body) if isinstance(body, Atom | Named | Apply) else f"({text(body)})"
            return f"∂{shown}/∂{text(variable)}"
        case _:
            raise TypeError(f"text: not a term: {term!r}")


def _subscript(indices: tuple[Index, ...]) -> str:
    if not indices:
        return ""
    names = [index.name for index in indices]
    joined = ("" if all(len(name.rstrip("'")) == 1 for name in names) else ",").join(names)
    return "_" + (joined if len(joined) == 1 else "{" + joined + "}")


def _sum(terms: tuple[Term, ...]) -> str:
    shown = ""
    for number, part in enumerate(terms):
        coefficient, rest = _split(part)
        body = text(mul(Number(abs(coefficient)), rest))
        if isinstance(rest, Add) and abs(coefficient) == 1:
            body = f"({body})"
        if number == 0:
            shown = ("-" if coefficient < 0 else "") + body
        else:
            shown += (" - " if coefficient < 0 else " + ") + body
    return shown


def _split(term: Term) -> tuple[Fraction, Term]:
    if isinstance(term, Number):
        return term.value, Number(Fraction(1))
    if isinstance(term, Mul) and isinstance(term.factors[0], Number):
        return term.factors[0].value, mul(*term.factors[1:])
    return Fraction(1), term


def _product(term: Mul | Power) -> str:
    coefficient, rest = _split(term)
    above: list[Term] = []
    below: list[Term] = []
    for factor in rest.factors if isinstance(rest, Mul) else (rest,):
        if isinstance(factor, Power) and factor.exponent < 0:
            below.append(factor.base if factor.exponent == -1 else Power(factor.base, -factor.exponent))
        else:
            above.append(factor)
    number = str(abs(coefficient))
    if coefficient.denominator != 1:
        number = f"({number})"
    parts = [] if abs(coefficient) == 1 and above else [number]
    parts += [_factor(factor, last=place == len(above) - 1 and not below) for place, factor in enumerate(above)]
    shown = ("-" if coefficient < 0 else "") + "·".join(parts)
    if not below:
        return shown
    under = "·".join(_factor(factor, last=len(below) == 1) for factor in below)
    return f"{shown}/{under}" if len(below) == 1 else f"{shown}/({under})"


def _factor(factor: Term, last: bool) -> str:
    if isinstance(factor, Power):
        base = _factor(factor.base, last=False)
        if isinstance(factor.base, Diff | Atom | Named) and ("/" in base or "^" in base):
            base = f"({base})"
        return base + {2: "²", 3: "³"}.get(factor.exponent, f"^{factor.exponent}")
    bracket = isinstance(factor, Add | Mul) or (isinstance(factor, Sum) and not last)
    return f"({text(factor)})" if bracket else text(factor)


def _big_sum(index: Index, body: Term) -> str:
    """``Σ_{k≠i}`` where the body has the factor ``1 - δ_{ki}``."""
    factors = body.factors if isinstance(body, Mul) else (body,)
    for place, factor in enumerate(factors):
        match factor:
            case Add((Number(one), Mul((Number(minus), Delta(left, right))))) if one == 1 and minus == -1:
                if index in (left, right) and left != right:
                    other = right if left == index else left
                    rest = mul(*factors[:place], *factors[place + 1 :])
                    return f"Σ_{{{index}≠{other}}} {_scope(rest)}"
            case _:
                pass
    return f"Σ{_subscript((index,))} {_scope(body)}"


def _scope(body: Term) -> str:
    shown = text(body)
    return f"({shown})" if isinstance(body, Add) or shown.startswith("-") else shown


def _call(term: Call) -> str:
    mark = "".join("∂" + _subscript(slot) + " " for slot in term.slots)
    body = term.body
    if isinstance(body, Atom | Named) and body.indices == term.binders:
        whole = body.symbol if isinstance(body, Atom) else body.definition.symbol
        return f"{mark}{term.function}{_subscript(term.labels)}({whole})"
    arrow = f"{''.join(map(str, term.binders))} ↦ {text(term.body)}"
    return f"{mark}{term.function}{_subscript(term.labels)}[{arrow}]"
