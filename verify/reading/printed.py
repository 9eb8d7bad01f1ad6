"""A printed formula: what it is said to be equal to, and the scalar entries that this means.

A claim's left side is a computed name (``a``), a derivative (``dE/dw``), or a parameter after one update
(``w after 1``). Names may be arrays, entry by entry, or carry free indices: ``dp[i]/da[j]`` stands for every ``i`` and
``j`` that the arrays have, and the formula beside it may use ``i`` and ``j``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from verify.expr import Expr, Var, variables
from verify.reading import formula
from verify.reading.formula import FormulaError, Value, nearest

MAX_CLAIMED = 400

NAME = r"[^\W\d]\w{0,40}"
"""A name in a worked-example file: a letter or _, then letters, digits, _."""
_INDEX = r"(?:\d{1,4}|[a-z])"
_ENTRY = rf"{NAME}(?:\[{_INDEX}(?:,{_INDEX})?\])?"
_SIDE = re.compile(rf"(?:d(?P<of>{_ENTRY})/d(?P<by>{_ENTRY})|(?P<name>{_ENTRY}))(?:\s+after\s+(?P<after>\d{{1,6}}))?")
_PARTS = re.compile(rf"(?P<base>{NAME})(?:\[(?P<indices>[^\]]*)\])?")


@dataclass(frozen=True)
class Side:
    """The left side of a printed formula: a name, a derivative, or either after one update.

    Example:
        >>> from verify.reading.printed import read_side
        >>> read_side("dp[i]/da[j]")
        Side(of='p[i]', by='a[j]', after=0)
        >>> str(read_side("w  after 1"))
        'w after 1'
    """

    of: str
    by: str | None = None
    after: int = 0

    def __str__(self) -> str:
        core = f"d{self.of}/d{self.by}" if self.by else self.of
        return f"{core} after {self.after}" if self.after else core


@dataclass(frozen=True)
class Entry:
    """One scalar equation: the left side as scalar names, the printed formula there, the free indices' values."""

    side: Side
    printed: Expr
    indices: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FormulaClaim:
    """One printed formula.

    Attributes:
        id: unique in its file.
        slide: where it is printed.
        side: what it is said to equal.
        formula: as printed, in the language of :mod:`verify.reading.formula`; empty for a claim about a range.
        entries: the scalar equations that it stands for.
        between: the ends of the closed range that the values are said to lie in.
        expected: the recorded verdict; compared, never used.
        note: for the reader.
        transcribed: whether the conversion of the deck to text may have changed the formula.
        answer: whether the formula is not printed, but answers a question of the deck or puts a statement of it in
            symbols.
    """

    id: str
    slide: str
    side: Side
    formula: str
    entries: tuple[Entry, ...]
    between: tuple[Expr, Expr] | None = None
    expected: str | None = None
    note: str = ""
    transcribed: bool = False
    answer: bool = False

    @property
    def what(self) -> Side:
        """The left side, under the name that figures use."""
        return self.side

    @property
    def text(self) -> str:
        """The claim in one line, as printed."""
        if self.between is not None:
            return f"{self.between[0]} <= {self.side} <= {self.between[1]}"
        return f"{self.side} = {self.formula}"


def read_side(text: str) -> Side:
    """Read a left side.

    Raises:
        FormulaError: if it is none of the three forms.
    """
    match = _SIDE.fullmatch(" ".join(text.split()))
    if not match:
        raise FormulaError("expected a name, dE/dw or either followed by 'after 1', names with indices as in a[i]")
    return Side(match["name"] or match["of"], match["by"], int(match["after"] or 0))


def entries(
    side: Side, text: str, names: Mapping[str, Value], only: Mapping[str, int] | None = None
) -> tuple[Entry, ...]:
    """The scalar equations of a printed formula.

    Args:
        side: the left side.
        text: the formula.
        names: what each name stands for.
        only: one value for each free index; None for all values.

    Raises:
        FormulaError: on unknown names, shapes that do not fit, more than :data:`MAX_CLAIMED` entries.

    Example:
        >>> from verify.reading.formula import parse
        >>> from verify.reading.printed import entries, read_side
        >>> from verify.expr import Var
        >>> p, a = (parse(f"[{n}1, {n}2]", {f"{n}1": Var(f"{n}[1]"), f"{n}2": Var(f"{n}[2]")}) for n in "pa")
        >>> jacobian = "p[i]*(1 - p[i]) if i == j else -p[i]*p[j]"
        >>> for entry in entries(read_side("dp[i]/da[j]"), jacobian, {"p": p, "a": a}):
        ...     print(entry.side, "=", entry.printed)
        dp[1]/da[1] = p[1]*(1 - p[1])
        dp[1]/da[2] = -p[1]*p[2]
        dp[2]/da[1] = -p[2]*p[1]
        dp[2]/da[2] = p[2]*(1 - p[2])
    """
    made: list[Entry] = []
    for indices in _assignments(side, names):
        if only is not None and indices != only:
            continue
        above = _array(side.of, indices, names)
        below = _array(side.by, indices, names) if side.by else np.asarray(None, dtype=object)
        printed = formula.parse(text, names, indices)
        shape = above.shape + below.shape
        if len(shape) > 2:
            raise FormulaError(f"{side} has more than two axes; give the entries indices")
        if shape != np.shape(np.asarray(printed, dtype=object)):
            got = "one number" if isinstance(printed, Expr) else f"shape {printed.shape}"
            raise FormulaError(f"{side} is {f'of shape {shape}' if shape else 'one number'}, the formula gives {got}")
        for index in np.ndindex(shape):
            of, by = above[index[: above.ndim]], below[index[above.ndim :]]
            value = printed if isinstance(printed, Expr) else printed.item(*index)
            made.append(Entry(Side(str(of), None if by is None else str(by), side.after), value, indices))
        if len(made) > MAX_CLAIMED:
            raise FormulaError(f"{side} has more than {MAX_CLAIMED} entries")
    return tuple(made)


def base_name(name: str) -> str:
    """The array's name of an entry's."""
    return name.split("[")[0]


def related(names: Iterable[str], claim: FormulaClaim) -> tuple[str, ...]:
    """The names that a claim mentions, in the order of ``names``."""
    used = {base_name(name) for name in (claim.side.of, claim.side.by) if name}
    for entry in claim.entries:
        for name in variables(entry.printed):
            used.update(map(base_name, name[1:].split("/d") if "/" in name else [name]))
    return tuple(name for name in names if name in used)


def free_indices(side: Side) -> tuple[str, ...]:
    """The letters that stand for indices, in order."""
    written = itertools.chain(*(_split(name)[1] for name in (side.of, side.by) if name))
    return tuple(dict.fromkeys(index for index in written if not index.isdigit()))


def _split(name: str) -> tuple[str, list[str]]:
    match = _PARTS.fullmatch(name)
    assert match is not None
    return match["base"], match["indices"].split(",") if match["indices"] else []


def _array(name: str, indices: Mapping[str, int], names: Mapping[str, Value]) -> np.ndarray:
    """The entries that a name with indices stands for, as an object array of variables."""
    base, written = _split(name)
    if base not in names:
        raise FormulaError(f"{base} is neither given nor computed{nearest(base, names)}")
    value = np.asarray(names[base], dtype=object)
    numbers = [int(index) if index.isdigit() else indices[index] for index in written]
    if len(numbers) > value.ndim or any(not 1 <= n <= size for n, size in zip(numbers, value.shape, strict=False)):
        raise FormulaError(f"{name}: index {numbers} is outside of shape {value.shape} (entries are counted from 1)")
    picked = np.asarray(value[tuple(n - 1 for n in numbers)], dtype=object)
    if not all(isinstance(entry, Var) for entry in picked.flat):
        raise FormulaError(f"{name} is not the name of a quantity")
    return picked


def _assignments(side: Side, names: Mapping[str, Value]) -> Iterator[Mapping[str, int]]:
    """Every value of the free indices that the arrays have."""
    sizes: dict[str, int] = {}
    for name in filter(None, (side.of, side.by)):
        base, written = _split(name)
        if base not in names:
            raise FormulaError(f"{base} is neither given nor computed{nearest(base, names)}")
        shape = np.shape(np.asarray(names[base], dtype=object))
        if len(written) > len(shape):
            raise FormulaError(f"{name}: {base} has {len(shape)} axes")
        for index, size in zip(written, shape, strict=False):
            if not index.isdigit():
                if index in names:
                    raise FormulaError(f"the index {index} is the name of something else")
                if sizes.setdefault(index, size) != size:
                    raise FormulaError(f"the index {index} runs to {sizes[index]} and to {size}")
    runs: Iterable[tuple[int, ...]] = itertools.product(*(range(1, size + 1) for size in sizes.values()))
    return (dict(zip(sizes, run, strict=True)) for run in runs)
