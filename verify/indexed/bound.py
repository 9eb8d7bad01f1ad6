"""Bound indices: sums taken apart and put together again under names that do not depend on how they were written."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import factorial, prod

from verify.indexed.elementary import UndecidedError
from verify.indexed.poly import make_monomial, monomial_term
from verify.indexed.structure import children, key, rename
from verify.indexed.terms import Add, Call, Index, Mul, Power, Sum, Term, sum_over

__all__ = ["canonical_index", "fresh_index", "height", "least_sum", "open_sums"]

_numbers = itertools.count()
_MOST_ORDERS = 720


def fresh_index(like: Index) -> Index:
    """An index with a name that was never used."""
    return Index(f"°{next(_numbers)}", like.size)


def canonical_index(number: int, like: Index) -> Index:
    """The bound index of this number; numbers rise from the inside of a term to the outside."""
    return Index(f"•{number:03d}", like.size)


def least_sum(binders: Sequence[Index], powers: Mapping[Term, int], normal: Callable[[Term], Term]) -> Term:
    """A connected sum; of all ways to name its bound indices, the one of least text.

    Args:
        binders: the indices that are summed over.
        powers: the factors under the sum, and their exponents.
        normal: the canonical form of a factor whose indices were renamed.

    Raises:
        UndecidedError: there are too many ways.
    """
    first = max((height(g) for g in powers), default=0)
    unknown = {b: Index("?", b.size) for b in binders}

    def signature(binder: Index) -> tuple[str, list[tuple[str, int]]]:
        new = unknown | {binder: Index("*", binder.size)}
        try:
            texts = sorted((key(normal(rename(g, new))), e) for g, e in powers.items())
        except (ZeroDivisionError, UndecidedError):
            texts = []  # 1/(x_k - x_m) with both indices unnamed: no help in telling them apart
        return str(binder.size), texts

    classes = [list(group) for _, group in itertools.groupby(sorted(binders, key=signature), key=signature)]
    if prod(factorial(len(group)) for group in classes) > _MOST_ORDERS:
        raise UndecidedError(f"canonical form: a sum over {len(binders)} indices that look alike")
    candidates = []
    for choice in itertools.product(*(itertools.permutations(group) for group in classes)):
        ordered = list(itertools.chain(*choice))
        new = {b: canonical_index(first + n, b) for n, b in enumerate(ordered)}
        renamed = {normal(rename(g, new)): e for g, e in powers.items()}
        candidates.append(sum_over(tuple(new[b] for b in ordered), monomial_term(make_monomial(renamed))))
    return min(candidates, key=key)


def open_sums(bound: Mapping[Term, int]) -> tuple[list[Index], dict[Term, int]]:
    """Take the factors that are sums apart: their indices, renamed, and all factors under them."""
    binders: list[Index] = []
    opened: dict[Term, int] = {}
    for generator, exponent in bound.items():
        if not isinstance(generator, Sum) or exponent < 0:
            opened[generator] = opened.get(generator, 0) + exponent
            continue
        for _ in range(exponent):
            body: Term = generator
            while isinstance(body, Sum):
                own = fresh_index(body.index)
                binders.append(own)
                body = rename(body.body, {body.index: own})
            for factor in body.factors if isinstance(body, Mul) else (body,):
                base, e = (factor.base, factor.exponent) if isinstance(factor, Power) else (factor, 1)
                if e < 0 and isinstance(base, Add):
                    base, e = Power(base, -1), -e
                opened[base] = opened.get(base, 0) + e
    return binders, opened


@lru_cache(maxsize=1 << 16)
def height(term: Term) -> int:
    """One more than the greatest number among the canonical names of bound indices in the term."""
    own: tuple[Index, ...] = ()
    if isinstance(term, Sum):
        own = (term.index,)
    elif isinstance(term, Call):
        own = term.binders
    numbers = [int(i.name[1:]) + 1 for i in own if i.name.startswith("•")]
    return max([*numbers, *(height(child) for child in children(term))], default=0)
