"""One small edit that makes a wrong printed formula right.

Edits are made on the syntax tree of the formula as printed, arrays staying arrays, or on its left side. Each candidate
is screened at a few points and then proved; what is reported makes the formula right for all values. Their names are
those of the catalogue of mistakes.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from verify.expr import ZERO, Expr, Var, partial, variables
from verify.formulas.identity import Answer, prove
from verify.formulas.points import Screen
from verify.formulas.truths import Truths
from verify.reading import printed
from verify.reading.example import Example
from verify.reading.formula import FormulaError, Value
from verify.reading.printed import Entry, FormulaClaim, Side, base_name
from verify.reading.rewriting import as_text, call, entry_of, everywhere, parsed, terms, transposed

MAX_CANDIDATES = 4_000
MAX_PAIRS = 1_000
MAX_REPORTED = 5
MAX_PATHS = 64

RANK = (
    "wrong-variable", "index-shift", "transposed", "sign", "derivative-mark", "missing-factor", "extra-factor",
    "missing-path", "off-by-one", "product-for-sum", "extra-term", "wrong-exponent",
)  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """What was changed, and the formula that it gives.

    Attributes:
        mistake: the name of the mistake that the edit takes back; of two, joined by " and ".
        detail: what to read for what, in words.
        formula: the right side after the edit.
        side: the left side after the edit.
    """

    mistake: str
    detail: str
    formula: str
    side: str


@dataclass(frozen=True)
class _Candidate:
    mistake: str
    detail: str
    text: str
    side: Side

    def named(self) -> Edit:
        return Edit(self.mistake, self.detail, self.text, str(self.side))


def small_edits(example: Example, claim: FormulaClaim, wrong: Entry, truths: Truths) -> tuple[Edit, ...]:
    """The edits that make a wrong formula right: single ones, or, where there are none, pairs.

    Args:
        example: the file that the claim is from.
        claim: the wrong formula.
        wrong: an entry where it is wrong.
        truths: those of the example.

    Returns:
        The plainest first, at most :data:`MAX_REPORTED`; none where no edit within the budget does.
    """
    search = _Search(example, claim, wrong, truths)
    singles = search.right(itertools.islice(search.singles(), MAX_CANDIDATES))
    found = singles or search.missing_paths() or search.right(itertools.islice(search.pairs(), MAX_PAIRS))
    ranked = sorted(found, key=search.rank)
    kept: list[_Candidate] = []
    for candidate in ranked:
        if sum(candidate.mistake == other.mistake for other in kept) < 2:
            kept.append(candidate)
    return tuple(candidate.named() for candidate in kept[:MAX_REPORTED])


class _Search:
    def __init__(self, example: Example, claim: FormulaClaim, wrong: Entry, truths: Truths) -> None:
        self.example = example
        self.claim = claim
        self.wrong = wrong
        self.truths = truths
        self.names: Mapping[str, Value] = example.names
        self.near = _related(example, claim)
        self.screen = Screen(truths.setting)
        self._targets: dict[Side, list[float | None]] = {}
        self.shapes = {name: np.shape(np.asarray(value, dtype=object)) for name, value in self.names.items()}
        self.unknown = any("phi(" in f.line for f in example.formulas)
        tree = parsed(claim.formula)
        targets = [node.target for node in ast.walk(tree) if isinstance(node, ast.comprehension)]
        self.loops = [target.id for target in targets if isinstance(target, ast.Name)]
        self.tree = tree

    def rank(self, candidate: _Candidate) -> tuple[int, bool, int, int, str]:
        parts = candidate.mistake.split(" and ")
        order = RANK.index(parts[0]) if parts[0] in RANK else len(RANK)
        return (
            len(parts),
            candidate.side != self.claim.side,
            order,
            abs(len(candidate.text) - len(as_text(self.tree))),
            candidate.text,
        )

    # Does a candidate hold?

    def right(self, candidates: Iterator[_Candidate]) -> list[_Candidate]:
        seen: set[tuple[str, Side]] = {(as_text(self.tree), self.claim.side)}
        found = []
        for candidate in candidates:
            if (candidate.text, candidate.side) in seen:
                continue
            seen.add((candidate.text, candidate.side))
            if self.holds(candidate):
                found.append(candidate)
        return found

    def holds(self, candidate: _Candidate) -> bool:
        try:
            here = printed.entries(candidate.side, candidate.text, self.names, self.wrong.indices or None)
            if not all(self.screened(entry) for entry in here):
                return False
            everywhere = printed.entries(candidate.side, candidate.text, self.names)
        except FormulaError:
            return False
        if not everywhere or any(_circular(entry) for entry in everywhere):
            return False
        if not all(self.screened(entry) for entry in everywhere):
            return False
        return all(
            prove(self.truths.side(entry.side), self.truths.formula(entry.printed), self.truths.setting).answer
            == Answer.PROVED
            for entry in everywhere
        )

    def screened(self, entry: Entry) -> bool:
        if entry.side not in self._targets:
            self._targets[entry.side] = self.screen.values(self.truths.side(entry.side))
        return self.screen.matches(self._targets[entry.side], self.truths.formula(entry.printed))

    # Candidates.

    def singles(self) -> Iterator[_Candidate]:
        for mistake, detail, tree in self.on_right():
            yield _Candidate(mistake, detail, as_text(tree), self.claim.side)
        for mistake, detail, side in self.on_left():
            yield _Candidate(mistake, detail, as_text(self.tree), side)

    def pairs(self) -> Iterator[_Candidate]:
        plain = ("wrong-variable", "index-shift", "transposed", "sign", "derivative-mark")
        right = [(m, d, t) for m, d, t in self.on_right() if m in plain]
        for mistake, detail, side in self.on_left():
            for other, more, tree in right:
                yield _Candidate(f"{mistake} and {other}", f"{detail}; {more}", as_text(tree), side)
        for mistake, detail, tree in right:
            for other, more, twice in self.on_right(tree):
                if other in plain:
                    yield _Candidate(f"{mistake} and {other}", f"{detail}; {more}", as_text(twice), self.claim.side)

    def on_right(self, tree: ast.expr | None = None) -> Iterator[tuple[str, str, ast.expr]]:
        tree = tree or self.tree
        yield from everywhere(tree, self.at_node)
        yield "sign", "the sign of the whole", ast.UnaryOp(ast.USub(), tree)
        yield from terms(tree, self.factors)

    def on_left(self) -> Iterator[tuple[str, str, Side]]:
        side = self.claim.side
        if side.after:
            return
        of, by = base_name(side.of), side.by
        if by is None:
            rest = side.of[len(of) :]
            for name in self.computed():
                if self.shapes[name] == self.shapes.get(of) and name != of:
                    yield _naming(of, name), f"{name} for {of} on the left", replace(side, of=name + rest)
            for name in self._arguments(of):
                yield "derivative-mark", f"d{of}/d{name} for {of}", replace(side, by=name + rest)
            return
        yield "derivative-mark", f"{side.of} for its derivative", replace(side, by=None)
        for name in self.near:
            if name != of and name in self.computed() and self.shapes[name] == self.shapes.get(of):
                yield _naming(of, name), f"{name} for {of} on the left", replace(side, of=name + side.of[len(of) :])
            under = base_name(by)
            if name != under and self.shapes[name] == self.shapes.get(under):
                yield _naming(under, name), f"{name} for {under} on the left", replace(side, by=name + by[len(under) :])

    def computed(self) -> tuple[str, ...]:
        """The names that may stand alone on the left."""
        made = {base_name(name) for name in self.truths.setting.definitions}
        return tuple(name for name in self.near if name in made)

    def _arguments(self, name: str) -> Iterator[str]:
        """The names, of the same shape, that a computed name is directly computed from."""
        entry = str(np.asarray(self.names[name], dtype=object).flat[0]) if name in self.names else name
        used = dict.fromkeys(base_name(v) for v in variables(self.truths.defined(entry)))
        return (other for other in used if other != name and self.shapes.get(other) == self.shapes.get(name))

    def at_node(self, node: ast.expr) -> Iterator[tuple[str, str, ast.expr]]:
        """The replacements of one node."""
        shown = as_text(node)
        match node:
            case ast.Name(id=name) if name in self.names:
                for other in self.near:
                    if other != name and self.shapes[other] == self.shapes[name]:
                        yield _naming(name, other), f"{other} for {name}", ast.Name(other)
                if self.shapes[name] == ():
                    for op in (ast.Add(), ast.Sub()):
                        shifted = ast.BinOp(node, op, ast.Constant(1))
                        yield "off-by-one", f"{as_text(shifted)} for {name}", shifted
            case ast.Name(id=name):
                for other in dict.fromkeys((*printed.free_indices(self.claim.side), *self.loops)):
                    if other != name and len(name) == 1:
                        yield "wrong-variable", f"index {other} for {name}", ast.Name(other)
            case ast.Subscript(value=value, slice=ast.Tuple(elts=[row, column])):
                swapped = ast.Subscript(value, ast.Tuple([column, row], ast.Load()), ast.Load())
                yield "transposed", f"{as_text(swapped)} for {shown}", swapped
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                yield "sign", f"minus in {shown}", ast.BinOp(left, ast.Sub(), right)
                yield "sign", f"minus in {shown}", ast.BinOp(right, ast.Sub(), left)
                yield "product-for-sum", f"product in {shown}", ast.BinOp(left, ast.Mult(), right)
                yield "extra-term", f"without {as_text(left)}", right
                yield "extra-term", f"without {as_text(right)}", left
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                turned = ast.BinOp(right, ast.Sub(), left)
                yield "sign", f"{as_text(turned)} for {shown}", turned
                yield "sign", f"plus in {shown}", ast.BinOp(left, ast.Add(), right)
                yield "extra-term", f"without {as_text(left)}", ast.UnaryOp(ast.USub(), right)
                yield "extra-term", f"without {as_text(right)}", left
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                yield "extra-factor", f"without {as_text(left)}", right
                yield "extra-factor", f"without {as_text(right)}", left
                yield "product-for-sum", f"sum in {shown}", ast.BinOp(left, ast.Add(), right)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                yield "extra-factor", f"without the divisor {as_text(right)}", left
            case ast.BinOp(left=left, op=ast.Pow()):
                yield "wrong-exponent", f"{as_text(left)} for {shown}", left
            case ast.BinOp(left=left, op=ast.MatMult(), right=right):
                yield "transposed", f"factors of {shown} exchanged", ast.BinOp(right, ast.MatMult(), left)
                for a, b in ((transposed(left), right), (left, transposed(right))):
                    yield "transposed", f"transpose in {shown}", ast.BinOp(a, ast.MatMult(), b)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                yield "sign", f"{as_text(operand)} for {shown}", operand
            case ast.Call(func=ast.Name(id="transpose"), args=[inner]):
                yield "transposed", f"{as_text(inner)} for {shown}", inner
            case ast.Call(func=ast.Name(id="outer"), args=[left, right]):
                yield "transposed", f"factors of {shown} exchanged", call("outer", right, left)
            case ast.Call(func=ast.Name(id="phi" | "dphi" as name), args=[inner]):
                marked = call("dphi" if name == "phi" else "phi", inner)
                yield "derivative-mark", f"{as_text(marked)} for {shown}", marked
            case ast.Call(func=ast.Name(id="sigmoid"), args=[_]):
                slope = ast.BinOp(node, ast.Mult(), ast.BinOp(ast.Constant(1), ast.Sub(), node))
                yield "derivative-mark", f"{as_text(slope)} for {shown}", slope

    def factors(self, term: ast.expr) -> Iterator[tuple[str, str, ast.expr]]:
        """One term, times or divided by something that may have been forgotten."""
        for factor in self._factors():
            yield "missing-factor", f"times {as_text(factor)}", ast.BinOp(term, ast.Mult(), factor)

    def _factors(self) -> Iterator[ast.expr]:
        letters = [ast.Name(index) for index in printed.free_indices(self.claim.side)]
        whole = np.shape(np.asarray(self.claim.entries[0].printed, dtype=object)) if letters else self._shape()
        sizes = sorted({n for shape in self.shapes.values() for n in shape if n > 1} | {2})
        half = [ast.BinOp(ast.Constant(1), ast.Div(), ast.Constant(n)) for n in sizes]
        yield from (ast.Constant(2), *half)
        for name in self.near:
            shape = self.shapes[name]
            things: list[ast.expr] = [ast.Name(name)] if shape in ((), whole) else []
            if letters and len(shape) == 1:
                things += [entry_of(name, [letter]) for letter in letters]
            if letters and len(shape) == 2:
                things += [entry_of(name, [a, b]) for a, b in itertools.permutations(letters, 2)]
            for thing in things:
                yield thing
                yield ast.BinOp(ast.Constant(1), ast.Sub(), thing)
                yield ast.BinOp(thing, ast.Mult(), ast.BinOp(ast.Constant(1), ast.Sub(), thing))
                yield ast.BinOp(ast.Constant(1), ast.Div(), thing)
                if self.unknown:
                    yield call("dphi", thing)

    def _shape(self) -> tuple[int, ...]:
        side = self.claim.side
        parts = [self.shapes.get(base_name(name), ()) if "[" not in name else () for name in (side.of, side.by) if name]
        return tuple(itertools.chain(*parts))

    # Sums over paths.

    def missing_paths(self) -> list[_Candidate]:
        """Paths of a derivative that, added to a printed sum, make it right: the fewest that do."""
        side = self.wrong.side
        if side.by is None or side.after or len(self.claim.entries) != 1:
            return []
        paths = list(itertools.islice(self.paths(side.of, side.by), MAX_PATHS))
        if not 2 <= len(paths) < MAX_PATHS:
            return []
        target = self.screen.values(self.truths.side(side))
        stated = self.truths.formula(self.wrong.printed)
        for count in (1, 2, 3):
            found = []
            for chosen in itertools.combinations(paths, count):
                text = " + ".join((as_text(self.tree), *(_chain(path) for path in chosen)))
                total = stated
                for path in chosen:
                    total = total + self.along(path)
                if not self.screen.matches(target, total):
                    continue
                detail = "the path " + " and the path ".join(" > ".join(path) for path in chosen)
                candidate = _Candidate(" and ".join(["missing-path"] * count), detail, text, self.claim.side)
                if self.holds(candidate):
                    found.append(candidate)
            if found:
                return found
        return []

    def paths(self, of: str, start: str) -> Iterator[tuple[str, ...]]:
        if start == of:
            yield (of,)
            return
        for name, expr in self.truths.setting.definitions.items():
            if start in variables(expr):
                for path in self.paths(of, name):
                    yield (start, *path)

    def along(self, path: tuple[str, ...]) -> Expr:
        result: Expr | None = None
        for node, consumer in itertools.pairwise(path):
            local = partial(self.truths.setting.definitions[consumer], node, Var(consumer))
            result = local if result is None else result * local
        return result if result is not None else ZERO


def _naming(written: str, meant: str) -> str:
    """Names that differ in their number only are a shift of the index, others another variable."""
    family = [re.sub(r"\d+", "#", name) for name in (written, meant)]
    return "index-shift" if family[0] == family[1] and "#" in family[0] else "wrong-variable"


def _related(example: Example, claim: FormulaClaim) -> tuple[str, ...]:
    """The names that are connected with those of the claim by the formulas of the example, in the file's order."""
    groups = [{base_name(f.name), *map(base_name, variables(f.expr))} for f in example.formulas]
    near = set(printed.related(example.names, claim))
    if claim.side.after and example.learning is not None:
        near.update({base_name(example.learning.loss), *map(base_name, variables(example.learning.rate))})
    while True:
        more = near.union(*(group for group in groups if group & near))
        if more == near:
            return tuple(name for name in example.names if name in near)
        near = more


def _circular(entry: Entry) -> bool:
    """Whether the right side is written with the left side."""
    side = entry.side
    own = side.of if side.by is None else f"d{side.of}/d{side.by}"
    return not side.after and own in set(variables(entry.printed))


def _chain(path: tuple[str, ...]) -> str:
    return "*".join(f"D({consumer}, {node})" for node, consumer in itertools.pairwise(path))
