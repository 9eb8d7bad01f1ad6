"""What the tree of a term says: its parts, its free indices, a sort key; and putting other indices in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from verify.indexed.terms import (
    Add,
    Apply,
    Atom,
    Call,
    Definition,
    Delta,
    Diff,
    Extent,
    Index,
    Layer,
    Mul,
    Named,
    Number,
    Power,
    SizeError,
    Sum,
    Symbol,
    Term,
    add,
    mul,
    power,
)

__all__ = ["children", "define", "free", "fresh", "key", "rename", "unfold", "with_children"]


def children(term: Term) -> tuple[Term, ...]:
    """The direct subterms (the variable of a derivative is not one: it names, it is not evaluated)."""
    match term:
        case Add(terms):
            return terms
        case Mul(factors):
            return factors
        case Power(base, _):
            return (base,)
        case Sum(_, body) | Diff(body, _):
            return (body,)
        case Apply(_, argument, _):
            return (argument,)
        case Call():
            return (term.body,)
        case _:
            return ()


def with_children(term: Term, parts: tuple[Term, ...]) -> Term:
    """The same node over other subterms."""
    match term:
        case Add():
            return add(*parts)
        case Mul():
            return mul(*parts)
        case Power(_, exponent):
            return power(parts[0], exponent)
        case Sum(index, _):
            return Sum(index, parts[0])
        case Diff(_, variable):
            return Diff(parts[0], variable)
        case Apply(function, _, order):
            return Apply(function, parts[0], order)
        case Call(function, labels, binders, _, slots):
            return Call(function, labels, binders, parts[0], slots)
        case _:
            return term


@lru_cache(maxsize=1 << 16)
def free(term: Term) -> frozenset[Index]:
    """The indices that occur in ``term`` and are not bound there."""
    match term:
        case Atom(_, indices) | Named(_, indices):
            return frozenset(indices)
        case Delta(left, right):
            return frozenset((left, right))
        case Sum(index, body):
            return free(body) - {index}
        case Diff(body, variable):
            return free(body) | free(variable)
        case Call(_, labels, binders, body, slots):
            return (free(body) - set(binders)).union(labels, *slots)
        case _:
            return frozenset().union(*(free(child) for child in children(term)))


def fresh(index: Index, taken: frozenset[Index] | set[Index]) -> Index:
    """``index``, or the first of ``index'``, ``index''``, ... whose name is not taken."""
    names = {other.name for other in taken}
    name = index.name
    while name in names:
        name += "'"
    return Index(name, index.size)


def rename(term: Term, new: Mapping[Index, Index]) -> Term:
    """Replace free indices; bound ones are renamed where they would capture.

    Raises:
        SizeError: an index is replaced by one of another size.
    """
    live = {old: target for old, target in new.items() if old != target and old in free(term)}
    if not live:
        return term
    for old, target in live.items():
        if old.size != target.size:
            raise SizeError(f"rename: {old} runs over {old.size}, but {target} runs over {target.size}")

    def at(index: Index) -> Index:
        return live.get(index, index)

    match term:
        case Atom(symbol, indices):
            return Atom(symbol, tuple(map(at, indices)))
        case Named(definition, indices):
            return Named(definition, tuple(map(at, indices)))
        case Delta(left, right):
            return Delta(at(left), at(right))
        case Sum(index, body):
            (bound,), inner = _rename_under((index,), body, live)
            return Sum(bound, inner)
        case Diff(body, variable):
            return Diff(rename(body, live), Atom(variable.symbol, tuple(map(at, variable.indices))))
        case Call(function, labels, binders, body, slots):
            bounds, inner = _rename_under(binders, body, live)
            return Call(function, tuple(map(at, labels)), bounds, inner, tuple(tuple(map(at, slot)) for slot in slots))
        case _:
            return with_children(term, tuple(rename(child, live) for child in children(term)))


def _rename_under(binders: tuple[Index, ...], body: Term, new: Mapping[Index, Index]) -> tuple[tuple[Index, ...], Term]:
    inner = {old: target for old, target in new.items() if old not in binders}
    taken = set(free(body)) | set(inner.values())
    changed: list[Index] = []
    for binder in binders:
        clash = binder.name in {target.name for target in inner.values()}
        bound = fresh(binder, taken | set(changed)) if clash else binder
        if bound != binder:
            inner[binder] = bound
        changed.append(bound)
    return tuple(changed), rename(body, inner)


@lru_cache(maxsize=1 << 16)
def key(term: Term) -> str:
    """An unambiguous text of the tree, for sorting and comparing."""
    match term:
        case Number(value):
            return f"#{value}"
        case Atom(symbol, indices):
            return f"@{symbol}[{_names(indices)}]"
        case Named(definition, indices):
            return f"@@{definition.symbol}[{_names(indices)}]({_names(definition.parameters)}->{key(definition.body)})"
        case Delta(left, right):
            return f"δ[{left.name},{right.name}]"
        case Extent(size):
            return f"|{size}|"
        case Power(base, exponent):
            return f"^({key(base)},{exponent})"
        case Sum(index, body):
            return f"Σ({index.name}:{index.size},{key(body)})"
        case Apply(function, argument, order):
            return f"{function}'{order}({key(argument)})"
        case Call(function, labels, binders, body, slots):
            where = ";".join(_names(slot) for slot in slots)
            return f"!{function}[{_names(labels)}]({_names(binders)}->{key(body)}|{where})"
        case Diff(body, variable):
            return f"d({key(body)},{key(variable)})"
        case Add(parts) | Mul(parts):
            return f"{type(term).__name__}({','.join(map(key, parts))})"
        case _:
            raise TypeError(f"key: not a term: {term!r}")


def _names(indices: tuple[Index, ...]) -> str:
    return ",".join(index.name for index in indices)


def define(name: str, parameters: Index | tuple[Index, ...], body: Term, layer: Layer | None = None) -> Definition:
    """``name[parameters] := body``.

    Raises:
        ValueError: the body has a free index that is no parameter.

    Example:
        >>> from verify.indexed.terms import Size, exp, sum_over
        >>> K = Size("K")
        >>> i, k = Index("i", K), Index("k", K)
        >>> a = Symbol("a", (K,))
        >>> str(define("σ", i, exp(a[i]) / sum_over(k, exp(a[k]))))
        'σ_i = exp(a_i)/Σ_k exp(a_k)'
    """
    places = parameters if isinstance(parameters, tuple) else (parameters,)
    extra = free(body) - set(places)
    if extra:
        raise ValueError(f"define {name}: free index {min(i.name for i in extra)} is not a parameter")
    return Definition(Symbol(name, tuple(p.size for p in places), layer), places, body)


def unfold(term: Named) -> Term:
    """The body of a defined quantity at its indices."""
    return rename(term.definition.body, dict(zip(term.definition.parameters, term.indices, strict=True)))
