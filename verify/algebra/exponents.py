"""Integers modulo p - 1, whole arrays: the exponents of powers in the field of p = 2^61 - 1 elements."""

from __future__ import annotations

import numpy as np

from verify.algebra.modular import P, Residues

ORDER = P - 1


def add(h: Residues, k: Residues) -> Residues:
    """h + k."""
    total = h + k
    return np.where(total >= np.uint64(ORDER), total - np.uint64(ORDER), total)


def times(h: Residues, count: int) -> Residues:
    """count * h, for a small count of either sign."""
    if count < 0:
        h, count = np.where(h == 0, h, np.uint64(ORDER) - h), -count
    answer = np.zeros_like(h)
    while count:
        if count & 1:
            answer = add(answer, h)
        h = add(h, h)
        count >>= 1
    return answer


def total(h: Residues, axes: tuple[int, ...]) -> Residues:
    """The sum over ``axes``."""
    moved = np.moveaxis(h, axes, tuple(range(len(axes)))).reshape(
        (-1, *[n for a, n in enumerate(h.shape) if a not in axes])
    )
    answer = np.zeros(moved.shape[1:], np.uint64)
    for row in moved:
        answer = add(answer, row)
    return answer
