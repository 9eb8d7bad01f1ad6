"""Convolutions with fewer multiplications, along the columns (Winograd 1980; Lavin and Gray, arXiv:1509.09308).

Of m neighbouring columns of a convolution with r taps,

    y[q] = sum over p < r of w[p] x[q + p],    q < m,

each of the m r products is a sum over all channels. By values of polynomials at n - 1 points a[j] and at infinity,
n = m + r - 1, there are n of them:

    y[q] = sum over j < n of A[j, q] u[j] v[j], u[j] = sum over p of G[j, p] w[p], v[j] = sum over l of B[j, l] x[l],
    A[j, q] = a[j]^q,    G[j, p] = a[j]^p / product over i other than j of (a[j] - a[i]),
    B[j, l] = the coefficient of z^l in the product over i other than j of (z - a[i]),

and for infinity A and G are 1 at their last q and p, B has the coefficients of the product over all i. The points are
0, 1, -1, 2 and -2: a window of three columns takes 6 multiplications for 4 columns instead of 12. Along the rows it
slides as ever; in two dimensions there would be fewer multiplications still, and more numbers to move, which pays only
where they stay in a core's own cache: in machine code of our own (:mod:`fnn.kernels.winograd`). This is for where there
is none, and for other windows.

The sum over j, q and p of A[j, q] G[j, p] B[j, l] may be read in any direction. With x by tiles of m columns, whose
results overlap and are added up,

    y[l] = sum over j of B[j, l] u[j] v[j],    v[j] = sum over q of A[j, q] x[q],    w from its end,

which needs fewer sums where there are more channels in than out. And the gradient of a window, a convolution with r
columns out and as many taps g as the image has columns, is by tiles of m taps

    y[p] = sum over j of G[j, p] times the sum over tiles of (sum over q of A[j, q] g[q]) (sum over l of B[j, l] x[l]).

The second and the third form of what goes into the two gradients of one convolution are the same, and computed once.

Results are two to three times as far from exact ones as sums of products are, gradients of windows three to four times.
What is not finite spreads to its neighbours in a tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from math import prod
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from fnn.lowering.apart import apart, barrier
from fnn.lowering.asked import is_precise

_POINTS = (0, 1, -1, 2, -2)
_N = len(_POINTS) + 1

# Measured with 8 to 256 channels, 4 to 56 columns and 1 to 128 examples, forward and both gradients, on two cores: 1.05
# to 1.5 times as fast, from so many channels on (their product divided by their sum; more, where the numbers do not fit
# the caches), and as long as so many of the multiplications are left. Below, down to 0.75 times.
_CHANNELS, _CHANNELS_OF_MANY, _MANY_NUMBERS = 12, 20, 2**22
_MULTIPLICATIONS_LEFT = 0.7
_DEPTH = 384  # sums of fewer products than this, with few columns out: 0.5 to 0.8 times as fast


class Matrices(NamedTuple):
    """What leads from columns to values at the points, and back; each row is for one point.

    Attributes:
        data: B, of shape (n, n).
        few: G, of shape (n, r).
        many: A, of shape (n, m).
    """

    data: Any
    few: Any
    many: Any


def exact(r: int) -> Matrices:
    """B, G and A, as lists of fractions.

    Args:
        r: taps of a window, or columns of the gradient of one, 1 to 6.

    Example:
        >>> [str(number) for number in exact(3).few[1]]
        ['-1/6', '-1/6', '-1/6']
    """
    points, m = [Fraction(point) for point in _POINTS], _N + 1 - r
    data, few, many = [], [], []
    for point in points:
        others = [other for other in points if other != point]
        scale = prod(point - other for other in others)
        data.append([*_polynomial(others), Fraction(0)])
        few.append([point**p / scale for p in range(r)])
        many.append([point**q for q in range(m)])
    data.append(_polynomial(points))
    few.append([Fraction(p == r - 1) for p in range(r)])
    many.append([Fraction(q == m - 1) for q in range(m)])
    return Matrices(data, few, many)


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """The coefficients of the polynomial with these roots, the constant one first."""
    coefficients = [Fraction(1)]
    for root in roots:
        pairs = zip([Fraction(0), *coefficients], [*coefficients, Fraction(0)], strict=True)
        coefficients = [before - root * here for before, here in pairs]
    return coefficients


@cache
def _rounded(r: int) -> Matrices:
    return Matrices(*(np.array(rows, np.float32) for rows in exact(r)))


def by_points(
    x: Any,
    w: Any,
    *,
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    window_strides: Sequence[int],
    rhs_dilation: Sequence[int],
    precision: Any,
    preferred_element_type: Any,
    **params: Any,
) -> Any:
    """A convolution with channels last and without groups, by values at points.

    Args:
        x: of shape (batch, rows, columns, channels).
        w: of shape (rows, columns, channels, channels out).
        padding: pairs, one per spatial axis, none of which cuts off.
        lhs_dilation: one number per spatial axis, as are the next two.
        window_strides: steps of the window.
        rhs_dilation: distances of its taps.
        precision: of the products.
        preferred_element_type: dtype of the result; ``None`` for that of ``x``.
        **params: the other parameters of the ``conv_general_dilated``.

    Returns:
        The result; ``None`` where that is no faster: for few channels, for windows of one row or column or, but for
        those of gradients, of more than five, for strides along the columns, for dilations but of the window along the
        rows, for one spatial axis, for numbers other than float32; also where a precision is asked for, and where there
        are several devices, among which a batch may be divided: it becomes part of an axis here.
    """
    dtypes = {x.dtype, w.dtype, x.dtype if preferred_element_type is None else preferred_element_type}
    if len(padding) != 2 or x.size == 0 or dtypes != {np.dtype(np.float32)} or is_precise(precision):
        return None
    if jax.device_count() > 1:
        return None
    if {*lhs_dilation, window_strides[1], rhs_dilation[1]} != {1}:
        return None
    taps, n_out = w.shape[1], w.shape[3]
    n_columns = x.shape[2] + sum(padding[1]) - taps + 1
    reach = (w.shape[0] - 1) * rhs_dilation[0] + 1
    n_rows = (x.shape[1] + sum(padding[0]) - reach) // window_strides[0] + 1
    params |= {"window_strides": window_strides, "lhs_dilation": lhs_dilation, "rhs_dilation": rhs_dilation}
    params |= {"precision": precision, "preferred_element_type": preferred_element_type}
    params["padding"] = padding[0], (0, 0)
    low, numbers = padding[1][0], x.size * (1 + n_out / x.shape[3])
    if n_rows < 1 or n_columns < 1:
        return None
    if w.shape[0] > 1 and _pays(x.shape[3], n_out, taps, n_columns, numbers):
        # The results that overlap are those that see a column of the image; with wider margins there are others.
        has_ends = 0 <= low < taps and 0 <= padding[1][1] < taps
        form = _of_overlapping_results if has_ends and x.shape[3] > n_out else _of_overlapping_tiles
        return form(x, w, low, n_columns, **params)
    is_deep = w.shape[0] * taps * x.shape[3] >= _DEPTH
    if n_rows > 1 and is_deep and _pays(len(x), n_out, n_columns, taps, x.size + w.size):
        return _of_gradient(x, w, low, n_columns, **params)
    return None


def _pays(n_in: int, n_out: int, few: int, many: int, numbers: float) -> bool:
    """Whether it is faster, with ``few`` taps for ``many`` columns out or the other way round."""
    if not 1 < few < _N:
        return False
    least = _CHANNELS_OF_MANY if numbers > _MANY_NUMBERS else _CHANNELS
    left = _N * -(-many // (_N + 1 - few))
    return n_in * n_out >= least * (n_in + n_out) and left <= _MULTIPLICATIONS_LEFT * few * many


def _of_overlapping_tiles(x: Any, w: Any, low: int, n_columns: int, **params: Any) -> Any:
    """By tiles of as many columns as the taps of m columns out reach."""
    of = _rounded(w.shape[1])
    m = of.many.shape[1]
    tiles = _tiles(lax.transpose(apart(x), (1, 2, 0, 3)), low, m, -(-n_columns // m), _N)
    taps = _taps(w)
    products = [
        _product(_combined(data, tiles), _combined(few, taps), **params)
        for data, few in zip(of.data, of.few, strict=True)
    ]
    return _in_order(_spread(of.many, products), 0, n_columns)


def _of_overlapping_results(x: Any, w: Any, low: int, n_columns: int, **params: Any) -> Any:
    """By tiles of m columns, each of which contributes to more columns out than it has."""
    of = _rounded(w.shape[1])
    m = of.many.shape[1]
    n_tiles = -(-x.shape[2] // m)
    # Not kept apart once more, so that the gradient of the window finds the same.
    tiles = _tiles(lax.transpose(x, (1, 2, 0, 3)), 0, m, n_tiles, m)
    taps = _taps(w)[::-1]
    products = [
        _product(_combined(many, tiles), _combined(few, taps), **params)
        for many, few in zip(of.many, of.few, strict=True)
    ]
    # Of the n numbers of a tile, m belong to its own columns, m to those of the next tile, and so on.
    beyond = -(-_N // m) - 1
    factors = np.pad(of.data, ((0, 0), (0, -_N % m)))
    margins = [(0, 0, 0), (beyond, beyond, 0), (0, 0, 0), (0, 0, 0)]
    padded = [lax.pad(product, product.dtype.type(0), margins) for product in products]
    moved = [
        lax.slice_in_dim(product, start, start + n_tiles + beyond, axis=1)
        for start in range(beyond, -1, -1)
        for product in padded
    ]
    y = _spread(np.concatenate(np.split(factors, beyond + 1, axis=1)), moved)
    return _in_order(y, w.shape[1] - 1 - low, n_columns)


def _of_gradient(x: Any, w: Any, low: int, n_columns: int, **params: Any) -> Any:
    """By tiles of m taps, for a window of many columns and a result of few."""
    of = _rounded(n_columns)
    m = of.many.shape[1]
    n_tiles = -(-w.shape[1] // m)
    # Here the batch is the channels of the image, and comes last: its transposition is quick if rows and columns lead.
    tiles = _tiles(lax.transpose(x, (1, 2, 0, 3)), low, m, n_tiles, _N)
    taps = _tiles(w, 0, m, n_tiles, m)
    products = []
    for data, many in zip(of.data, of.many, strict=True):
        v = lax.transpose(_combined(data, tiles), (2, 0, 1, 3))
        products.append(lax.conv_general_dilated_p.bind(v, _combined(many, taps), **params))
    return lax.concatenate([_combined(few, products) for few in of.few.T], 2)


def _tiles(x: Any, low: int, step: int, count: int, width: int) -> list[Any]:
    """The columns of ``count`` tiles of (rows, columns, ...): of each tile the first, of each the second, and so on."""
    margin = (low, step * (count - 1) + width - x.shape[1] - low, 0)
    x = apart(lax.pad(x, x.dtype.type(0), [(0, 0, 0), margin, (0, 0, 0), (0, 0, 0)]))
    last = step * (count - 1) + 1
    return [lax.slice_in_dim(x, column, column + last, step, 1) for column in range(width)]


def _taps(w: Any) -> list[Any]:
    return [lax.slice_in_dim(w, p, p + 1, axis=1) for p in range(w.shape[1])]


def _product(v: Any, u: Any, **params: Any) -> Any:
    """A convolution along the rows of (rows, tiles, batch, channels).

    Tiles and batch are the columns of one image: of many columns a row of windows is quickly built.
    """
    n_rows, n_tiles, n_batch, n_in = v.shape
    y = lax.conv_general_dilated_p.bind(lax.reshape(v, (1, n_rows, n_tiles * n_batch, n_in)), barrier(u), **params)
    return lax.reshape(y, (y.shape[1], n_tiles, n_batch, y.shape[3]))


def _spread(factors: np.ndarray, products: Sequence[Any]) -> Any:
    """Sums of products times each column of ``factors``, which become the columns of tiles.

    As one expression: for each column by itself, the compiler would read all products once more.
    """
    n_rows, n_tiles, n_batch, n_out = products[0].shape
    whole = (n_rows, n_tiles, factors.shape[1], n_batch, n_out)
    terms = [
        lax.broadcast_in_dim(_row(row), whole, (2,)) * lax.broadcast_in_dim(product, whole, (0, 1, 3, 4))
        for row, product in zip(factors, products, strict=True)
    ]
    return apart(lax.reshape(sum(terms[1:], terms[0]), (n_rows, whole[1] * whole[2], n_batch, n_out)))


def _row(numbers: np.ndarray) -> Any:
    """Numbers as an array made within the program: a body that is traced anew has no place for constants."""
    return lax.concatenate([lax.full((1,), number) for number in numbers], 0)


def _in_order(y: Any, start: int, count: int) -> Any:
    """Some columns of (rows, columns, batch, channels), the batch first."""
    return lax.transpose(lax.slice_in_dim(y, start, start + count, axis=1), (2, 0, 1, 3))


def _combined(factors: np.ndarray, arrays: Sequence[Any]) -> Any:
    """The sum of arrays times numbers, of which some are 0, 1 or -1."""
    pairs = [(factor, array) for factor, array in zip(factors, arrays, strict=True) if factor]
    terms = [array if factor == 1 else -array if factor == -1 else array * factor for factor, array in pairs]
    return sum(terms[1:], terms[0])
