"""What a formula may call: functions of scalars entry by entry, sums, products and convolutions of arrays.

An array is a NumPy object array of expressions; a function takes and gives expressions and such arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from verify.expr import Expr, Num, Var, call, lift, total

Value = Expr | NDArray[np.object_]

MAX_ENTRIES = 10_000

UNARY = (
    "exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "sigmoid", "softplus", "relu", "step",
    "abs", "sign", "phi", "dphi",
)  # fmt: skip


class FormulaError(ValueError):
    """A formula that cannot be read: the message says what and where, in one line."""


def stack(entries: list[Value]) -> NDArray[np.object_]:
    """One array of equally shaped entries. (np.stack would look inside the expressions.)"""
    inner = entries[0].shape if isinstance(entries[0], np.ndarray) else ()
    out = np.empty((len(entries), *inner), dtype=object)
    for i, entry in enumerate(entries):
        out[i] = entry
    return out


def scalar(value: NDArray[np.object_]) -> Value:
    """The expression itself where an array has no axes."""
    return value.item() if value.shape == () else value


def _map(function: Callable[[Expr], Expr], value: Value) -> Value:
    if isinstance(value, Expr):
        return function(value)
    out = np.empty(value.shape, dtype=object)
    for index, entry in np.ndenumerate(value):
        out[index] = function(entry)
    return out


def _entries(value: Value, name: str, ndim: tuple[int, ...] = (1, 2)) -> NDArray[np.object_]:
    if not isinstance(value, np.ndarray) or value.ndim not in ndim:
        wanted = " or ".join({1: "a vector", 2: "a matrix"}[n] for n in ndim)
        raise FormulaError(f"{name} takes {wanted}")
    return value


def _unary(name: str) -> Callable[[Value], Value]:
    return lambda value: _map(lambda entry: call(name, entry), value)


def _sum(value: Value) -> Expr:
    return total(tuple(_entries(value, "sum").ravel().tolist()))


def _mean(value: Value) -> Expr:
    return _sum(value) / lift(_entries(value, "mean").size)


def _dot(left: Value, right: Value) -> Expr:
    a, b = _entries(left, "dot", (1,)), _entries(right, "dot", (1,))
    if a.shape != b.shape:
        raise FormulaError(f"dot of shapes {a.shape} and {b.shape}")
    return total(tuple(x * y for x, y in zip(a, b, strict=True)))


def _outer(left: Value, right: Value) -> NDArray[np.object_]:
    a, b = _entries(left, "outer", (1,)), _entries(right, "outer", (1,))
    return np.asarray(np.multiply.outer(a, b), dtype=object)


def _softmax(value: Value) -> Value:
    entries = _entries(value, "softmax", (1,))
    bottom = total(tuple(call("exp", entry) for entry in entries))
    return _map(lambda entry: call("exp", entry) / bottom, entries)


def _pad(value: Value, width: Value) -> NDArray[np.object_]:
    matrix = _entries(value, "pad", (2,))
    if not isinstance(width, Num) or width.value.denominator != 1 or not 0 <= width.value <= 100:
        raise FormulaError("pad takes a matrix and a whole number")
    border = int(width.value)
    rows, columns = matrix.shape
    padded = np.full((rows + 2 * border, columns + 2 * border), lift(0), dtype=object)
    padded[border : border + rows, border : border + columns] = matrix
    return padded


def _correlate(value: Value, kernel: Value) -> NDArray[np.object_]:
    """What deep learning calls a convolution: the kernel is not flipped; no padding, stride 1."""
    image, window = _entries(value, "conv2d", (2,)), _entries(kernel, "conv2d", (2,))
    rows, columns = (n - k + 1 for n, k in zip(image.shape, window.shape, strict=True))
    if rows < 1 or columns < 1:
        raise FormulaError(f"conv2d: a kernel of shape {window.shape} on an image of shape {image.shape}")
    if rows * columns * window.size > MAX_ENTRIES:
        raise FormulaError(f"conv2d needs {rows * columns * window.size} products, at most {MAX_ENTRIES} are made")
    out = np.empty((rows, columns), dtype=object)
    for i, j in np.ndindex(rows, columns):
        patch = image[i : i + window.shape[0], j : j + window.shape[1]]
        products = zip(patch.ravel().tolist(), window.ravel().tolist(), strict=True)
        out[i, j] = total(tuple(a * b for a, b in products))
    return out


def _derivative(of: Value, by: Value) -> Value:
    """The array of names ``dE/dw`` of the derivatives of each entry by each entry."""
    above, below = np.asarray(of, dtype=object), np.asarray(by, dtype=object)
    if above.ndim + below.ndim > 2:
        raise FormulaError("D: the derivative of a matrix by an array has more than two axes; name entries")
    out = np.empty((*above.shape, *below.shape), dtype=object)
    for index in np.ndindex(out.shape):
        top, bottom = above[index[: above.ndim]], below[index[above.ndim :]]
        if not isinstance(top, Var) or not isinstance(bottom, Var) or "/" in top.name + bottom.name:
            raise FormulaError("D takes two names of quantities, as in D(E, w)")
        out[index] = Var(f"d{top}/d{bottom}")
    return scalar(out)


def _diagonal(value: Value) -> NDArray[np.object_]:
    entries = _entries(value, "diag", (1,))
    out = np.full((entries.size, entries.size), lift(0), dtype=object)
    for i, entry in enumerate(entries):
        out[i, i] = entry
    return out


def _extreme(name: str) -> Callable[..., Expr]:
    def function(*values: Value) -> Expr:
        listed = list(values[0].flat) if len(values) == 1 and isinstance(values[0], np.ndarray) else list(values)
        entries = [entry for entry in listed if isinstance(entry, Expr)]
        if len(entries) != len(listed):
            raise FormulaError(f"{name} takes one array or several scalars")
        result = entries[0]
        for entry in entries[1:]:
            result = call(name, result, entry)
        return result

    return function


def _with_slope(name: str, default: str | None) -> Callable[..., Value]:
    def function(value: Value, *slope: Value) -> Value:
        alpha = slope[0] if slope else Num(Fraction(default or "1"), default)
        if isinstance(alpha, np.ndarray):
            raise FormulaError(f"{name}: alpha is one number")
        return _map(lambda entry: call(name, entry, alpha), value)

    return function


FUNCTIONS: Mapping[str, tuple[tuple[int, ...], Callable[..., Value]]] = {
    **{name: ((1,), _unary(name)) for name in UNARY},
    "sum": ((1,), _sum),
    "mean": ((1,), _mean),
    "dot": ((2,), _dot),
    "outer": ((2,), _outer),
    "transpose": ((1,), lambda value: np.transpose(_entries(value, "transpose"))),
    "diag": ((1,), _diagonal),
    "D": ((2,), _derivative),
    "softmax": ((1,), _softmax),
    "pad": ((2,), _pad),
    "conv2d": ((2,), _correlate),
    "max": (tuple(range(1, 65)), _extreme("max")),
    "min": (tuple(range(1, 65)), _extreme("min")),
    "leaky_relu": ((1, 2), _with_slope("leaky_relu", "0.01")),
    "prelu": ((2,), _with_slope("leaky_relu", None)),
    "elu": ((1, 2), _with_slope("elu", "1")),
}
"""What a formula may call: the numbers of arguments, and the function on expressions."""
