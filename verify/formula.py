"""Text to expressions, without eval: Python's own parser, then a whitelist over its syntax tree.

Formulas are over scalars, vectors and matrices. Arrays are NumPy object arrays of expressions, so what comes out is
always scalar expressions with names; entries are counted from 1, as on a slide: ``W[1,2]*x[2]``. Decimals are read
from the digits as written (0.1 is one tenth), never through a float.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from verify.expr import Expr, Num, call, lift, total

Value = Expr | NDArray[np.object_]

MAX_LENGTH = 2_000
MAX_NODES = 2_000
MAX_DEPTH = 60
MAX_EXPONENT = 64
MAX_ENTRIES = 10_000
_NUMBER = re.compile(r"(\d{1,60}(\.\d{0,60})?|\.\d{1,60})([eE][+-]?\d{1,3})?")

UNARY = (
    "exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "sigmoid", "softplus", "relu", "step",
    "abs", "sign",
)  # fmt: skip


class FormulaError(ValueError):
    """A formula that cannot be read: the message says what and where, in one line."""


def parse(text: str, names: Mapping[str, Value]) -> Value:
    """Read a formula.

    Args:
        text: for example ``"sigmoid(W @ x + b)"``. Operators ``+ - * / **`` (whole-number exponents) and ``@``,
            entries ``W[1,2]`` counted from 1, lists, and the functions of :data:`FUNCTIONS`.
        names: what each name stands for: a scalar expression or an object array of them.

    Returns:
        An expression, or an object array of expressions.

    Raises:
        FormulaError: on anything else.

    Example:
        >>> from verify.expr import Var
        >>> from verify.formula import parse
        >>> str(parse("2*w + .50", {"w": Var("w")}))
        '2*w + .50'
        >>> parse("__import__('os')", {})
        Traceback (most recent call last):
        verify.formula.FormulaError: formula "__import__('os')": unknown function __import__
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"formula {_short(text)}: {len(text)} characters, at most {MAX_LENGTH} are read")
    depth = deepest = 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise FormulaError(f"formula {_short(text)}: brackets nested {deepest} deep, at most {MAX_DEPTH} are read")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" at column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
        raise FormulaError(f"formula {_short(text)}: not a formula{where}") from None
    count = sum(1 for _ in ast.walk(tree))
    if count > MAX_NODES:
        raise FormulaError(f"formula {_short(text)}: {count} parts, at most {MAX_NODES} are read")
    try:
        return _Reader(text.strip(), names).read(tree.body)
    except RecursionError:
        raise FormulaError(f"formula {_short(text)}: nested too deeply") from None


def number(text: str) -> Fraction:
    """The exact value of a decimal as written.

    Raises:
        FormulaError: if the text is not a plain decimal number of sensible length.

    Example:
        >>> number("-.50")
        Fraction(-1, 2)
    """
    unsigned = text.strip().lstrip("+-")
    if not _NUMBER.fullmatch(unsigned) or len(text.strip()) - len(unsigned) > 1:
        raise FormulaError(f"{_short(text)} is not a decimal number")
    return Fraction(text.strip())


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean x?`` where something close is known, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return f'"{line[:57]}..."' if len(line) > 60 else f'"{line}"'


class _Reader:
    def __init__(self, text: str, names: Mapping[str, Value]) -> None:
        self.text = text
        self.names = names

    def fail(self, why: str) -> FormulaError:
        return FormulaError(f"formula {_short(self.text)}: {why}")

    def read(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise self.fail(f"{node.value!r} is not a number")
            case ast.Constant():
                written = ast.get_source_segment(self.text, node) or ""
                try:
                    return Num(number(written), written)
                except FormulaError:
                    raise self.fail(f"{_short(written)} is not a plain decimal number") from None
            case ast.Name(id=name):
                if name not in self.names:
                    raise self.fail(f"unknown name {name}{nearest(name, self.names)}")
                return self.names[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self.read(left) ** self.exponent(right)
            case ast.BinOp(left=left, op=ast.MatMult(), right=right):
                return self.matmul(self.read(left), self.read(right))
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(op, self.read(left), self.read(right))
            case ast.Call(func=func, args=args, keywords=keywords):
                return self.apply(func, args, keywords)
            case ast.Subscript(value=value, slice=index):
                return self.entry(self.read(value), index)
            case ast.List(elts=entries) | ast.Tuple(elts=entries):
                return self.array([self.read(entry) for entry in entries])
            case ast.Attribute(attr=attr):
                raise self.fail(f"attribute .{attr} is not allowed")
        raise self.fail(f"{type(node).__name__} is not allowed in a formula")

    def exponent(self, node: ast.expr) -> int:
        sign = 1
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            node, sign = node.operand, -1
        if not (isinstance(node, ast.Constant) and type(node.value) is int and node.value <= MAX_EXPONENT):
            raise self.fail(f"an exponent must be a whole number of at most {MAX_EXPONENT}; use exp, sqrt for others")
        return sign * node.value

    def binary(self, op: ast.operator, left: Value, right: Value) -> Value:
        shapes = [v.shape for v in (left, right) if isinstance(v, np.ndarray)]
        if len(shapes) == 2 and shapes[0] != shapes[1]:
            raise self.fail(f"shapes {shapes[0]} and {shapes[1]} differ")
        match op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                if any(isinstance(entry, Num) and entry.value == 0 for entry in np.atleast_1d(np.asarray(right)).flat):
                    raise self.fail("division by zero")
                return left / right
        raise self.fail(f"operator {type(op).__name__} is not allowed")

    def matmul(self, left: Value, right: Value) -> Value:
        if not isinstance(left, np.ndarray) or not isinstance(right, np.ndarray):
            raise self.fail("@ stands between vectors and matrices")
        if left.shape[-1] != right.shape[0]:
            raise self.fail(f"@ between shapes {left.shape} and {right.shape}: {left.shape[-1]} != {right.shape[0]}")
        return _scalar(np.asarray(np.dot(left, right), dtype=object))

    def entry(self, value: Value, index: ast.expr) -> Value:
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        numbers = [part.value for part in parts if isinstance(part, ast.Constant) and type(part.value) is int]
        if not isinstance(value, np.ndarray) or len(numbers) != len(parts) or len(numbers) > value.ndim:
            raise self.fail("an index is one whole number per axis of an array, counted from 1, as in W[1,2]")
        if any(not 1 <= n <= size for n, size in zip(numbers, value.shape, strict=False)):
            raise self.fail(f"index {numbers} is outside of shape {value.shape} (entries are counted from 1)")
        picked = value[tuple(n - 1 for n in numbers)]
        return picked if isinstance(picked, Expr) else np.asarray(picked, dtype=object)

    def array(self, entries: list[Value]) -> NDArray[np.object_]:
        shapes = {entry.shape if isinstance(entry, np.ndarray) else () for entry in entries}
        if len(shapes) != 1:
            raise self.fail("the rows of a list differ in length" if entries else "an empty list")
        return stack(entries)

    def apply(self, func: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]) -> Value:
        if not isinstance(func, ast.Name):
            raise self.fail("only a named function can be called")
        if func.id not in FUNCTIONS:
            raise self.fail(f"unknown function {func.id}{nearest(func.id, FUNCTIONS)}")
        if keywords or any(isinstance(arg, ast.Starred) for arg in args):
            raise self.fail(f"{func.id} takes plain arguments only")
        counts, function = FUNCTIONS[func.id]
        if len(args) not in counts:
            wanted = " or ".join(map(str, counts)) if len(counts) <= 2 else f"{counts[0]} or more"
            raise self.fail(f"{func.id} takes {wanted} argument(s), got {len(args)}")
        values = [self.read(arg) for arg in args]
        try:
            result = function(*values)
        except FormulaError as error:
            raise self.fail(str(error)) from None
        if isinstance(result, np.ndarray) and result.size > MAX_ENTRIES:
            raise self.fail(f"{func.id} gives {result.size} entries, at most {MAX_ENTRIES} are read")
        return result


def stack(entries: list[Value]) -> NDArray[np.object_]:
    """One array of equally shaped entries. (np.stack would look inside the expressions.)"""
    inner = entries[0].shape if isinstance(entries[0], np.ndarray) else ()
    out = np.empty((len(entries), *inner), dtype=object)
    for i, entry in enumerate(entries):
        out[i] = entry
    return out


def _scalar(value: NDArray[np.object_]) -> Value:
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
    return total(tuple(_entries(value, "sum").flat))


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
    return np.pad(matrix, int(width.value), constant_values=lift(0))


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
        out[i, j] = total(tuple(a * b for a, b in zip(patch.flat, window.flat, strict=True)))
    return out


def _extreme(name: str) -> Callable[..., Expr]:
    def function(*values: Value) -> Expr:
        entries = list(values[0].flat) if len(values) == 1 and isinstance(values[0], np.ndarray) else list(values)
        if any(isinstance(entry, np.ndarray) for entry in entries):
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
