"""Rewriting a formula's syntax tree: the tree with one node replaced, in every place, and trees as text."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

from verify.reading.functions import FUNCTIONS

Rule = Callable[[ast.expr], Iterator[tuple[str, str, ast.expr]]]
"""Gives, for a node, its replacements, each with the name of a mistake and a description."""


def everywhere(tree: ast.expr, rule: Rule) -> Iterator[tuple[str, str, ast.expr]]:
    """The tree with one node replaced, for every node and replacement; names of functions are left alone."""
    yield from rule(tree)
    yield from _inside(tree, lambda child: everywhere(child, rule))


def terms(tree: ast.expr, rule: Rule) -> Iterator[tuple[str, str, ast.expr]]:
    """The tree with one of its terms replaced: itself, what it adds up, what a sum runs over."""
    yield from rule(tree)
    if (
        (isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add | ast.Sub))
        or isinstance(tree, ast.UnaryOp)
        or (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "sum")
        or isinstance(tree, ast.GeneratorExp | ast.IfExp)
    ):
        yield from _inside(tree, lambda child: terms(child, rule))


def _inside(node: ast.AST, inner: Rule) -> Iterator[tuple[str, str, Any]]:
    for field, value in ast.iter_fields(node):
        if isinstance(node, ast.Call) and field == "func":
            continue
        if isinstance(node, ast.comprehension) and field != "ifs":
            continue
        if isinstance(node, ast.IfExp) and field == "test":
            continue
        parts = value if isinstance(value, list) else [value]
        for i, part in enumerate(parts):
            if isinstance(part, ast.expr):
                changes = inner(part)
            elif isinstance(part, ast.comprehension):
                changes = _inside(part, inner)
            else:
                continue
            for mistake, detail, child in changes:
                changed = copy.copy(node)
                setattr(changed, field, [*parts[:i], child, *parts[i + 1 :]] if isinstance(value, list) else child)
                yield mistake, detail, changed


def parsed(text: str) -> ast.expr:
    """The syntax tree of a formula; a decimal stands in it as written, not as the float that Python makes of it.

    Example:
        >>> as_text(parsed("0.50*x + 1e-999"))
        '0.50*x + 1e-999'
    """
    text = text.strip()

    class Written(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            return ast.Name(ast.get_source_segment(text, node) or "") if isinstance(node.value, float) else node

    tree: ast.expr = Written().visit(ast.parse(text, mode="eval").body)
    return tree


def as_text(tree: ast.AST) -> str:
    """The formula as text, products and quotients without spaces, one pair of brackets around what a sum runs over."""
    text = re.sub(r" (\*\*|\*|/) ", r"\1", ast.unparse(tree))
    while (start := text.find("sum((")) >= 0:
        depth, end = 0, start + 4
        for end in range(start + 4, len(text)):
            depth += (text[end] == "(") - (text[end] == ")")
            if depth == 0:
                break
        if text[end + 1 : end + 2] != ")" or " for " not in text[start:end]:
            break
        text = text[: start + 4] + text[start + 5 : end] + text[end + 1 :]
    return text


def call(function: str, *args: ast.expr) -> ast.Call:
    assert function in FUNCTIONS
    return ast.Call(ast.Name(function), list(args), [])


def transposed(node: ast.expr) -> ast.Call:
    return call("transpose", node)


def entry_of(name: str, indices: list[ast.Name]) -> ast.expr:
    index: ast.expr = indices[0] if len(indices) == 1 else ast.Tuple([*indices], ast.Load())
    return ast.Subscript(ast.Name(name), index, ast.Load())
