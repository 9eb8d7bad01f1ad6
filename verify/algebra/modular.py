"""Arithmetic modulo the Mersenne prime p = 2^61 - 1 on whole NumPy arrays (uint64, every entry in [0, p)).

No Python integer an entry: products are assembled from 32-bit halves, matrix products from 21-bit limbs in exact
float64 BLAS calls, inverses from one exponentiation an array (Montgomery's trick, level by level).

Source: D. E. Knuth, The Art of Computer Programming vol. 2, 4.3.1-2; P. L. Montgomery, Math. Comp. 48 (1987).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Residues = NDArray[np.uint64]
_Function = TypeVar("_Function", bound=Callable[..., Residues])
# Unsigned overflow wraps, which is meant here; NumPy warns of it for arrays of no dimensions: hence the decorators.


def _wrapping(function: _Function) -> _Function:
    return np.errstate(over="ignore")(function)


P = (1 << 61) - 1
_P = np.uint64(P)
_LOW = np.uint64(0xFFFFFFFF)
_32, _61, _3, _29 = np.uint64(32), np.uint64(61), np.uint64(3), np.uint64(29)
_LOW29 = np.uint64((1 << 29) - 1)


@_wrapping
def reduce(x: Residues) -> Residues:
    """Any uint64 array, modulo p."""
    x = (x & _P) + (x >> _61)
    return np.where(x >= _P, x - _P, x)


@_wrapping
def add(x: Residues, y: Residues) -> Residues:
    """x + y."""
    s = x + y
    return np.asarray(np.minimum(s, s - _P))  # s - p wraps to a huge number exactly where s < p


@_wrapping
def neg(x: Residues) -> Residues:
    """-x."""
    return np.where(x == 0, x, _P - x)


@_wrapping
def sub(x: Residues, y: Residues) -> Residues:
    """x - y."""
    d = x - y
    return np.asarray(np.minimum(d, d + _P))  # d wraps to a huge number exactly where x < y


@_wrapping
def mul(x: Residues, y: Residues) -> Residues:
    """x * y. With x = a 2^32 + b and y = c 2^32 + d: 2^64 = 8 and 2^61 = 1 modulo p."""
    a, b, c, d = x >> _32, x & _LOW, y >> _32, y & _LOW
    middle = a * d + b * c  # < 2^62
    low = b * d  # < 2^64
    # middle * 2^32 = (middle >> 29) * 2^61 + (middle & (2^29 - 1)) * 2^32
    total = ((a * c) << _3) + (middle >> _29) + ((middle & _LOW29) << _32) + (low & _P) + (low >> _61)
    total = (total & _P) + (total >> _61)
    return np.asarray(np.minimum(total, total - _P))


def power(x: Residues, exponent: int | Residues) -> Residues:
    """x ** exponent, exponent >= 0: one integer, or one an entry (broadcast with x).

    Example:
        >>> power(np.array([3], np.uint64), 4).tolist()
        [81]
    """
    if isinstance(exponent, int):
        result: Residues | None = None
        while exponent:
            if exponent & 1:
                result = x if result is None else mul(result, x)
            exponent >>= 1
            if exponent:
                x = mul(x, x)
        return np.ones_like(x) if result is None else result
    shape = np.broadcast_shapes(x.shape, exponent.shape)
    exponents = np.broadcast_to(exponent, shape)
    base, answer = np.broadcast_to(x, shape), np.ones(shape, np.uint64)
    for bit in range(int(np.max(exponents, initial=0)).bit_length()):
        odd = (exponents >> np.uint64(bit)) & np.uint64(1)
        answer = np.where(odd == 1, mul(answer, base), answer)
        base = mul(base, base)
    return answer


def generator_power(table: Residues, exponent: Residues) -> Residues:
    """g ** exponent from ``table = power_table(g)``: eight multiplications, one for each byte of the exponent."""
    answer: Residues = table[0][(exponent & np.uint64(255)).astype(np.intp)]
    for byte in range(1, 8):
        answer = mul(answer, table[byte][((exponent >> np.uint64(8 * byte)) & np.uint64(255)).astype(np.intp)])
    return answer


def power_table(g: int) -> Residues:
    """g ** (k 256^b) for every byte value k and byte position b: shape (8, 256)."""
    rows = []
    for byte in range(8):
        step = pow(g, 256**byte, P)
        row = [1]
        for _ in range(255):
            row.append(row[-1] * step % P)
        rows.append(row)
    return np.array(rows, np.uint64)


def inverse(x: Residues) -> Residues:
    """1/x for every entry, and 0 where x is 0 (the caller says what a division by zero means)."""
    flat = np.where(x == 0, np.uint64(1), x).ravel()
    levels = [flat]
    while levels[-1].size > 1:
        last = levels[-1]
        if last.size % 2:
            last = levels[-1] = np.append(last, np.uint64(1))
        levels.append(mul(last[0::2], last[1::2]))
    if flat.size == 0:
        return x.copy()
    answer = np.array([pow(int(levels[-1][0]), P - 2, P)], np.uint64)
    for level in reversed(levels[:-1]):
        expanded = np.empty(level.size, np.uint64)
        expanded[0::2] = mul(answer[: level.size // 2], level[1::2])
        expanded[1::2] = mul(answer[: level.size // 2], level[0::2])
        answer = expanded
    return np.where(x == 0, np.uint64(0), answer[: x.size].reshape(x.shape))


def total(x: Residues, axes: tuple[int, ...]) -> Residues:
    """The sum over ``axes``."""
    low = (x & _LOW).sum(axis=axes, dtype=np.uint64)
    high = (x >> _32).sum(axis=axes, dtype=np.uint64)  # < 2^29 terms of < 2^29 each
    return add(reduce(low), mul(reduce(high), np.array(1 << 32, np.uint64)))


_LIMB = np.uint64(21)
_LIMB_MASK = np.uint64((1 << 21) - 1)
_EXACT_TERMS = 1 << 11  # 21 + 21 + 11 = 53 bits: a float64 sum of so many products of limbs is exact


def matmul(x: Residues, y: Residues) -> Residues:
    """x @ y for arrays of two or more dimensions (leading ones broadcast)."""
    inner = x.shape[-1]
    if x.size * y.shape[-1] <= 1 << 12:
        return total(mul(x[..., :, :, None], y[..., None, :, :]), (-2,))
    if inner > _EXACT_TERMS:
        cut = inner // 2
        return add(matmul(x[..., :cut], y[..., :cut, :]), matmul(x[..., cut:], y[..., cut:, :]))

    def limbs(v: Residues) -> list[NDArray[np.float64]]:
        return [((v >> (_LIMB * np.uint64(i))) & _LIMB_MASK).astype(np.float64) for i in range(3)]

    answer: Residues | None = None
    for i, a in enumerate(limbs(x)):
        for j, b in enumerate(limbs(y)):
            shift = np.array(pow(2, 21 * (i + j), P), np.uint64)
            part = mul(np.matmul(a, b).astype(np.uint64), shift)  # < 2^53 each
            answer = part if answer is None else add(answer, part)
    assert answer is not None
    return answer


def residue(number: Fraction | int) -> int:
    """The rational ``number`` as an element of the field.

    Raises:
        ZeroDivisionError: if p divides its denominator.

    Example:
        >>> residue(Fraction(1, 2)) * 2 % P
        1
    """
    fraction = Fraction(number)
    if fraction.denominator % P == 0:
        raise ZeroDivisionError(f"{number} has no residue modulo 2^61 - 1")
    return fraction.numerator * pow(fraction.denominator, -1, P) % P


def square_root(x: int) -> int | None:
    """A root of ``x`` if it has one (p = 3 mod 4: x^((p+1)/4) is the only candidate up to sign)."""
    root = pow(x, (P + 1) // 4, P)
    return min(root, P - root) if root * root % P == x else None


@_wrapping
def keyed_hash(key: int, x: Residues) -> Residues:
    """A pseudo-random residue for every entry, the same for the same entry: a random oracle, for our purposes.

    Two rounds of the splitmix64 finaliser under two 64-bit keys (G. Steele, D. Lea, C. Flood, OOPSLA 2014).
    """
    mixed = x ^ np.uint64(key & 0xFFFFFFFFFFFFFFFF)
    for constant in (key >> 64 & 0xFFFFFFFFFFFFFFFF, key * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF):
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = (mixed ^ (mixed >> np.uint64(31))) + np.uint64(constant)
    return reduce(mixed ^ (mixed >> np.uint64(29)))


def elementwise(function: Callable[[int], int], x: Residues) -> Residues:
    """``function`` of every distinct entry (Python integers; for the few constants of a program)."""
    values, where = np.unique(x, return_inverse=True)
    return np.array([function(int(v)) for v in values], np.uint64)[where].reshape(x.shape)
