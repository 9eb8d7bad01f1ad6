"""The names that a program's values have in the code: read off the assignments in the source, never run.

JAX keeps, for every step, the line and column that it came from. A step that completes the right side of ``z = ...``
computes ``z``. Where a name is assigned again (in a loop), the values are numbered: ``z1``, ``z2``, ...
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax

from verify.gradients.trace import Program, Step

_PLACE = re.compile(r"(?P<file>[^:]+):(?P<line>\d+):(?P<column>\d+)")


def assigned(program: Program, f: Callable[..., Any], taken: Iterable[str]) -> dict[int, str]:
    """The name in the code for each slot of the program that has one.

    Args:
        program: from :func:`verify.gradients.trace.trace`.
        f: the function that was traced; only assignments in its file count.
        taken: names that are in use (the inputs).
    """
    file, statements = _statements(f)
    places = [_place(step, file) for step in program.steps]
    found: list[tuple[int, str]] = []
    seen: set[tuple[int, int]] = set()
    for number, (step, place) in enumerate(zip(program.steps, places, strict=True)):
        statement = _statement(place, statements)
        if place is None or statement is None:
            seen.clear()
            continue
        following = places[number + 1] if number + 1 < len(places) else None
        same = following is not None and _statement(following, statements) == statement
        seen.add(place)
        # The right side is complete where the statement ends, or where a loop starts it again.
        complete = place == statement[:2] and (not same or (following != place and following in seen))
        if complete:
            found.append((step.outputs[0], statement[2]))
            seen.clear()
        elif not same:
            seen.clear()
    used = set(taken)
    count = Counter(name for _, name in found)
    names: dict[int, str] = {}
    for slot, name in found:
        wanted, number = name, 0
        while wanted in used or (count[name] > 1 and number == 0):
            number += 1
            wanted = f"{name}{number}"
        used.add(wanted)
        names[slot] = wanted
    return names


def leaves(f: Callable[..., Any], args: tuple[Any, ...], names: Any = None) -> list[str]:
    """A name for every leaf of the arguments: the caller's, else the parameter's name and the way to the leaf.

    Args:
        f: the function.
        args: its arguments.
        names: None, or a pytree of strings with the structure of ``args``.

    Raises:
        ValueError: ``names`` has another structure, or two leaves have the same name.
    """
    paths = jax.tree_util.tree_leaves_with_path(args)
    if names is not None:
        given = jax.tree_util.tree_leaves(names)
        if len(given) != len(paths) or not all(isinstance(name, str) for name in given):
            raise ValueError(f"names: expected {len(paths)} strings in the structure of the arguments, got {names!r}")
        chosen = list(given)
    else:
        parameters = _parameters(f, len(args))
        long = [".".join([parameters[path[0].idx], *map(_key, path[1:])]) for path, _ in paths]
        short = [name.rpartition(".")[2] for name in long]
        keyed = all(not name.isdigit() for name in short) and len(set(short)) == len(short)
        chosen = short if keyed else long
    repeated = [name for name, count in Counter(chosen).items() if count > 1]
    if repeated:
        raise ValueError(f"names: two arguments are named {repeated[0]!r}")
    return chosen


def _key(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key))))


def _parameters(f: Callable[..., Any], count: int) -> list[str]:
    try:
        signature = [p for p in inspect.signature(f).parameters.values() if p.kind != p.KEYWORD_ONLY]
    except (TypeError, ValueError):
        signature = []
    plain = [p.name for p in signature if p.kind != p.VAR_POSITIONAL][:count]
    return plain + [f"x{number}" for number in range(len(plain) + 1, count + 1)]


def _statements(f: Callable[..., Any]) -> tuple[str, list[tuple[int, int, str, int]]]:
    """The file of a function, and (line, column, name, last line) of every assignment's right side there."""
    try:
        path = inspect.getsourcefile(inspect.unwrap(f))
        tree = ast.parse(Path(path or "").read_text(encoding="utf-8"))
    except (TypeError, OSError, SyntaxError, UnicodeDecodeError):
        return "", []
    statements = []
    for node in ast.walk(tree):
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        if isinstance(node, ast.AnnAssign):
            target = node.target
        if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            value = node.value
            statements.append((value.lineno, value.col_offset, target.id, value.end_lineno or value.lineno))
    return Path(path or "").name, statements


def _place(step: Step, file: str) -> tuple[int, int] | None:
    match = _PLACE.match(step.source)
    if match is None or not file or match["file"] != file:
        return None
    return int(match["line"]), int(match["column"])


def _statement(
    place: tuple[int, int] | None, statements: list[tuple[int, int, str, int]]
) -> tuple[int, int, str, int] | None:
    if place is None:
        return None
    around = [s for s in statements if s[0] <= place[0] <= s[3]]
    return max(around, default=None)
