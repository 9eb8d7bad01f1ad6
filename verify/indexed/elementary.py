"""What is known of single entries and of the elementary functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from verify.indexed.structure import children, unfold
from verify.indexed.terms import (
    Add,
    Apply,
    Atom,
    Delta,
    Extent,
    Layer,
    Mul,
    Named,
    Number,
    Power,
    Sum,
    Term,
    exp,
    log,
    mul,
)

__all__ = ["WITH_EXP", "UndecidedError", "positive", "same_entry"]


class UndecidedError(ValueError):
    """A question that the calculus cannot decide, such as whether the layers ``l`` and ``m`` are the same."""


WITH_EXP: Mapping[str, Callable[[Term], Term]] = {
    "sigmoid": lambda x: 1 / (1 + exp(-x)),
    "tanh": lambda x: 1 - 2 / (exp(2 * x) + 1),
    "softplus": lambda x: log(1 + exp(x)),
}


"""Functions that the canonical form writes with exponentials and logarithms."""


def same_entry(atom: Atom, variable: Atom) -> Term:
    """``∂atom/∂variable``: a product of deltas for entries of the same quantity, else 0.

    Raises:
        UndecidedError: the two are of layers that may or may not be the same.
    """
    first, second = atom.symbol, variable.symbol
    if first.name != second.name:
        return Number(Fraction(0))
    if first.layer != second.layer:
        if isinstance(first.layer, Layer) and isinstance(second.layer, Layer) and first.layer.base == second.layer.base:
            return Number(Fraction(0))
        raise UndecidedError(
            f"∂{atom}/∂{variable}: cannot tell whether the layers {first.layer} and {second.layer} differ"
        )
    return mul(*(Delta(i, j) for i, j in zip(atom.indices, variable.indices, strict=True)))


def positive(term: Term) -> bool:
    """True where the term is positive for real values, by its form alone.

    Example:
        >>> from verify.indexed.terms import Index, Size, Symbol, exp, sum_over
        >>> k = Index("k", Size("K"))
        >>> a = Symbol("a", (k.size,))
        >>> positive(exp(a[k]) / sum_over(k, exp(a[k]))), positive(a[k])
        (True, False)
    """
    match term:
        case Number(value):
            return value > 0
        case Extent():
            return True
        case Named():
            return positive(unfold(term))
        case Add() | Mul() | Sum():
            return all(positive(child) for child in children(term))
        case Power(base, exponent):
            return positive(base) or (exponent > 0 and exponent % 2 == 0 and _nonzero(base))
        case Apply(function, _, order):
            return function == "exp" or (order == 0 and function in ("sigmoid", "softplus"))
        case _:
            return False


def _nonzero(term: Term) -> bool:
    return positive(term) or positive(-term)
