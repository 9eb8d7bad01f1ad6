"""Equal up to the order of sums and products and the names of bound indices: what a reader sees as the same line."""

from __future__ import annotations

from collections import Counter

from verify.indexed.structure import children, key, rename
from verify.indexed.terms import Add, Apply, Call, Delta, Diff, Index, Mul, Power, Sum, Term

__all__ = ["same_up_to_order", "shape"]


def same_up_to_order(left: Term, right: Term) -> bool:
    """True where two terms differ only in the order of sums and products and in the names of bound indices."""
    return left == right or shape(left) == shape(right)


def shape(term: Term) -> str:
    """Text of the tree with sorted sums and products and numbered bound indices."""
    match term:
        case Add(parts):
            return f"+({','.join(sorted(map(shape, parts)))})"
        case Mul(parts):
            powers: Counter[str] = Counter()
            for part in parts:
                base, exponent = (part.base, part.exponent) if isinstance(part, Power) else (part, 1)
                # x·x is x², but x·(1/x) is not yet 1: that step has a name.
                powers[f"{'/' if exponent < 0 else ''}{shape(base)}"] += abs(exponent)
            return f"·({','.join(f'{base}^{e}' for base, e in sorted(powers.items()))})"
        case Delta(left, right):
            first, second = sorted((left.name, right.name))
            return f"δ[{first},{second}]"
        case Power(base, exponent):
            return f"^({shape(base)},{exponent})"
        case Apply(function, argument, order):
            return f"{function}'{order}({shape(argument)})"
        case Diff(body, variable):
            return f"d({shape(body)},{key(variable)})"
        case Sum(index, body):
            own = _numbered(index, body)
            return f"Σ({index.size},{shape(rename(body, {index: own}))})"
        case Call(function, labels, binders, body, slots):
            names: dict[Index, Index] = {}
            for binder in binders:
                names[binder] = _numbered(binder, body, len(names))
            where = ";".join(sorted(",".join(i.name for i in slot) for slot in slots))
            return f"!{function}{[i.name for i in labels]}({shape(rename(body, names))}|{where})"
        case _:
            return key(term)


def _numbered(index: Index, body: Term, extra: int = 0) -> Index:
    return Index(f"•{_depth(body) + extra}", index.size)


def _depth(term: Term) -> int:
    own = 1 if isinstance(term, Sum) else len(term.binders) if isinstance(term, Call) else 0
    return own + max((_depth(child) for child in children(term)), default=0)
