"""Text to expressions, without eval: Python's own parser, then a whitelist over its syntax tree.

Formulas are over scalars, vectors and matrices. Arrays are NumPy object arrays of expressions, so what comes out is
always scalar expressions with names; entries are counted from 1, as on a slide: ``W[1,2]*x[2]``. Decimals are read
from the digits as written (0.1 is one tenth), never through a float.

Cases and sums are written as Python writes them: ``v if v > 0 else alpha*(exp(v) - 1)`` becomes the same thing in
``step``; ``sum(W[j,k]*a[k] for k in a if k != j)`` runs ``k`` over the indices of ``a``; ``i == j`` between indices is
decided while reading. ``phi`` is a function of which nothing is known but that it has a derivative, ``dphi``.
``D(E, w)``, the derivative of one named quantity by another, stands in printed formulas only.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from verify.expr import ONE, Expr, Num, lift
from verify.reading.functions import FUNCTIONS, MAX_ENTRIES, FormulaError, Value, scalar, stack

__all__ = ["FUNCTIONS", "FormulaError", "Value", "nearest", "number", "parse", "stack"]

MAX_LENGTH = 2_000
MAX_NODES = 2_000
MAX_DEPTH = 60
MAX_EXPONENT = 64
_NUMBER = re.compile(r"(\d{1,60}(\.\d{0,60})?|\.\d{1,60})([eE][+-]?\d{1,3})?")


def parse(text: str, names: Mapping[str, Value], indices: Mapping[str, int] | None = None) -> Value:
    """Read a formula.

    Args:
        text: for example ``"sigmoid(W @ x + b)"``. Operators ``+ - * / **`` (whole-number exponents) and ``@``,
            entries ``W[1,2]`` counted from 1, lists, and the functions of :data:`FUNCTIONS`.
        names: what each name stands for: a scalar expression or an object array of them.
        indices: for a printed formula, the values of its free indices (an empty mapping where it has none); with
            None, the formula is not a printed one, and ``D`` is refused.

    Returns:
        An expression, or an object array of expressions.

    Raises:
        FormulaError: on anything else.

    Example:
        >>> from verify.expr import Var
        >>> from verify.reading.formula import parse
        >>> str(parse("2*w + .50", {"w": Var("w")}))
        '2*w + .50'
        >>> str(parse("sum(w*k[i] for i in k if i != j)", {"w": Var("w"), "k": parse("[4, 5, 6]", {})}, {"j": 2}))
        'w*4 + w*6'
        >>> parse("__import__('os')", {})
        Traceback (most recent call last):
        verify.reading.functions.FormulaError: formula "__import__('os')": unknown function __import__
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
        return _Reader(text.strip(), names, indices).read(tree.body)
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
    def __init__(self, text: str, names: Mapping[str, Value], indices: Mapping[str, int] | None) -> None:
        self.text = text
        self.names = names
        self.printed = indices is not None
        self.indices = dict(indices or {})
        self.repeats = 0

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
                if name in self.indices:
                    raise self.fail(f"{name} is an index: it stands inside [ ] or in a condition")
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
            case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp(elt=term, generators=[loop])], keywords=[]):
                return self.repeated(term, loop)
            case ast.Call(func=func, args=args, keywords=keywords):
                return self.apply(func, args, keywords)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.cases(test, body, orelse)
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
        return scalar(np.asarray(np.dot(left, right), dtype=object))

    def entry(self, value: Value, index: ast.expr) -> Value:
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        numbers = [n for part in parts if (n := self.index(part)) is not None]
        if not isinstance(value, np.ndarray) or len(numbers) != len(parts) or len(numbers) > value.ndim:
            raise self.fail("an index is one whole number per axis of an array, counted from 1, as in W[1,2]")
        if any(not 1 <= n <= size for n, size in zip(numbers, value.shape, strict=False)):
            raise self.fail(f"index {numbers} is outside of shape {value.shape} (entries are counted from 1)")
        picked = value[tuple(n - 1 for n in numbers)]
        return picked if isinstance(picked, Expr) else np.asarray(picked, dtype=object)

    def index(self, node: ast.expr) -> int | None:
        """The whole number that an index stands for (``2``, ``k``, ``k + 1``), or None where it is no index."""
        match node:
            case ast.Constant(value=int() as value) if type(value) is int:
                return value
            case ast.Name(id=name):
                return self.indices.get(name)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                a, b = self.index(left), self.index(right)
                return None if a is None or b is None else a + b if isinstance(op, ast.Add) else a - b
        return None

    def decided(self, test: ast.expr) -> bool | None:
        """The truth of a condition between indices; None where it is not one."""
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return None
        left, right = self.index(test.left), self.index(test.comparators[0])
        if left is None or right is None:
            return None
        order = {ast.Eq: left == right, ast.NotEq: left != right, ast.Lt: left < right, ast.LtE: left <= right,
                 ast.Gt: left > right, ast.GtE: left >= right}  # fmt: skip
        return order.get(type(test.ops[0]))

    def cases(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Value:
        """``a if x > 0 else b``, by ``step``, which is 1 above 0 and 0 at 0 and below."""
        decided = self.decided(test)
        if decided is not None:
            return self.read(body if decided else orelse)
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            raise self.fail("a condition is one comparison, as in x > 0 or i == j")
        above = self.binary(ast.Sub(), self.read(test.left), self.read(test.comparators[0]))
        below = -above
        match test.ops[0]:
            case ast.Gt():
                holds = _step(above)
            case ast.GtE():
                holds = ONE - _step(below)
            case ast.Lt():
                holds = _step(below)
            case ast.LtE():
                holds = ONE - _step(above)
            case _:
                raise self.fail("a condition on numbers is one of > >= < <=")
        first = self.binary(ast.Mult(), holds, self.read(body))
        return self.binary(ast.Add(), first, self.binary(ast.Mult(), ONE - holds, self.read(orelse)))

    def repeated(self, term: ast.expr, loop: ast.comprehension) -> Value:
        """``sum(... for k in a if k != j)``: ``k`` runs over the indices of ``a``, or over a list of whole numbers."""
        if not isinstance(loop.target, ast.Name) or loop.is_async:
            raise self.fail("a sum runs over one index, as in sum(a[k] for k in a)")
        name = loop.target.id
        if name in self.names or name in self.indices:
            raise self.fail(f"the index {name} is the name of something else")
        if isinstance(loop.iter, ast.List):
            run = [n for entry in loop.iter.elts if (n := self.index(entry)) is not None]
            if len(run) != len(loop.iter.elts):
                raise self.fail("a sum runs over the indices of an array, or over a list of whole numbers")
        else:
            over = self.read(loop.iter)
            if not isinstance(over, np.ndarray):
                raise self.fail("a sum runs over the indices of an array, or over a list of whole numbers")
            run = list(range(1, over.shape[0] + 1))
        entries: list[Value] = []
        for n in run:
            self.repeats += 1
            if self.repeats > MAX_ENTRIES:
                raise self.fail(f"more than {MAX_ENTRIES} terms")
            self.indices[name] = n
            kept = [self.decided(test) for test in loop.ifs]
            if None in kept:
                raise self.fail("the condition of a sum is a comparison between indices, as in k != j")
            if all(kept):
                entries.append(self.read(term))
        del self.indices[name]
        if not entries:
            return lift(0)
        result = entries[0]
        for value in entries[1:]:
            result = self.binary(ast.Add(), result, value)
        return result

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
        if func.id == "D" and not self.printed:
            raise self.fail("D stands in printed formulas only; what is computed is not computed from derivatives")
        values = [self.read(arg) for arg in args]
        try:
            result = function(*values)
        except FormulaError as error:
            raise self.fail(str(error)) from None
        if isinstance(result, np.ndarray) and result.size > MAX_ENTRIES:
            raise self.fail(f"{func.id} gives {result.size} entries, at most {MAX_ENTRIES} are read")
        return result


def _step(value: Value) -> Value:
    return FUNCTIONS["step"][1](value)
