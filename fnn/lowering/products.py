"""Matrix products whose left factor is transposed.

A weight gradient is x^T g: both factors have their examples, over which is summed, along their first axis. XLA's CPU
compiler would fold a transposition into the product, which its matrix multiplication then carries out on strided
memory. Barriers keep the transposition apart, from the product and from what it is the transposition of, which would
else be computed once more in its order: it costs one pass over a factor, and the product that is left is plain.

Where there is machine code of our own for a product (:mod:`fnn.kernels`), it takes either factor in either order:
nothing is transposed but the result, if it has few columns and is one that a loop carries in the other order.

A factor of few columns, such as the gradient of ten logits, is the one to transpose, whichever side it is on: a product
with few columns is several times slower than one with few rows. In a loop, what it comes to is not turned back
(:mod:`fnn.lowering.turned`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import jax

from fnn.kernels import Factors
from fnn.lowering.apart import apart, barrier
from fnn.lowering.matrices import product_by_kernel
from fnn.lowering.turned import is_narrow

# Columns up to which a factor counts as narrow, and bytes of a factor up to which transposing it pays: both
# measured in a loop on two cores (Zen 4, 1 MiB of L2 each).
_NARROW = 64
_CHEAP_BYTES = 2 * 2**20
_SPEC: Any = jax.ShapeDtypeStruct  # has no annotations of its own


def plain_product(
    left: Any,
    right: Any,
    left_source: Any,
    right_source: Any,
    *,
    dimension_numbers: Any,
    flipped: bool,
    after: Sequence[Any] = (),
    **params: Any,
) -> Any:
    """``left``^T ``right`` for factors with the summed axes first, by a plain product.

    Args:
        left: the left factor of a ``dot_general``.
        right: the right factor.
        left_source: the matrix that ``left`` is the transpose of; ``None`` for none.
        right_source: the same for ``right``.
        dimension_numbers: of the ``dot_general``, as are the other ``params``.
        flipped: whether the result is only used to be transposed.
        after: arrays that are to be there before, where that can be said.

    Returns:
        The product; ``None`` if it has another form, or is best left as it is.
    """
    (left_axes, right_axes), batch_axes = dimension_numbers
    if any(batch_axes) or left.dtype != right.dtype:
        return None
    if left_source is not None and tuple(left_axes) == (1,):
        left, left_axes = left_source, (0,)
    if right_source is not None and tuple(right_axes) == (1,):
        right, right_axes = right_source, (0,)
    n_axes = len(left_axes)
    leading = tuple(range(n_axes))
    if n_axes == 0 or tuple(left_axes) != leading or tuple(right_axes) != leading:
        return None
    rows, columns = left.shape[n_axes:], right.shape[n_axes:]
    if 0 in left.shape + right.shape or not rows or not columns:
        return None
    a, b = _as_matrix(left, n_axes), _as_matrix(right, n_axes)
    product = _transposed_product(a, b, flipped, _Product(params, after))
    return None if product is None else product.reshape(rows + columns)


def _as_matrix(x: Any, n_axes: int) -> Any:
    return x.reshape(prod(x.shape[:n_axes]), prod(x.shape[n_axes:]))


def _transposed_product(a: Any, b: Any, flipped: bool, multiply: _Product) -> Any:
    n_rows, n_columns = a.shape[1], b.shape[1]
    if min(n_rows, n_columns) <= _NARROW:
        if n_rows <= n_columns:
            return barrier(multiply(a, b))
        is_carried_turned = is_narrow(_SPEC((n_rows, n_columns), a.dtype))
        product = None if flipped or is_carried_turned else multiply.by_kernel(a, b)
        return barrier(multiply(b, a)).T if product is None else product
    # Which of the two is transposed decides in which order the result comes: in the one in which it is used.
    first, second = (b, a) if flipped else (a, b)
    product = multiply.by_kernel(first, second)
    if product is None and _is_cheap(first):
        product = multiply(first, second)
    return product.T if flipped and product is not None else product


def _is_cheap(x: Any) -> bool:
    return bool(x.size * x.dtype.itemsize <= _CHEAP_BYTES)


class _ByXla(NamedTuple):
    """``a``^T ``b`` of matrices, as a plain product.

    Attributes:
        params: the other parameters of the ``dot_general``, as pairs.
    """

    params: tuple[tuple[str, Any], ...]

    def __call__(self, a: Any, b: Any, _: Factors | None = None) -> Any:
        left, axis = (barrier(apart(a).T), 1) if _is_cheap(a) else (a, 0)
        return jax.lax.dot_general_p.bind(  # the parameters are those of the primitive
            left, b, dimension_numbers=(((axis,), (0,)), ((), ())), **dict(self.params)
        )


class _Product(NamedTuple):
    """The same in the form that is quickest.

    Attributes:
        params: the other parameters of the ``dot_general``.
        after: what is to be there before.
    """

    params: dict[str, Any]
    after: Sequence[Any]

    def __call__(self, a: Any, b: Any) -> Any:
        product = self.by_kernel(a, b)
        return self._by_xla(a, b) if product is None else product

    def by_kernel(self, a: Any, b: Any) -> Any:
        others: Any = {"after": self.after, "otherwise": self._by_xla, **self.params}
        return product_by_kernel(a, b, dimension_numbers=(((0,), (0,)), ((), ())), **others)

    @property
    def _by_xla(self) -> _ByXla:
        return _ByXla(tuple(sorted(self.params.items())))
