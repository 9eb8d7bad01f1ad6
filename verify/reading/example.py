"""A worked-example file: what is given, what is computed from it, how it learns, and what is printed about it.

What is given has the printed numbers; the names of ``[symbols]`` have none, and a formula about them has to hold for
all values of their domains. A claim is a figure (``printed``), a formula (``formula``) or a range (``between``). The
file is TOML and plain data; nothing in it is evaluated but by :mod:`verify.reading.formula`. See ``verify/decks`` for
examples, and the README for the format.
"""

from __future__ import annotations

import keyword
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from verify.algebra.normal import Domain
from verify.expr import Call, Expr, Num, Power, Sum, Var, children
from verify.reading import figures, formula, printed
from verify.reading.claims import Claim, Example, ExampleError, Formula, Given, Learning, Renumber, Symbol, What
from verify.reading.formula import FormulaError, Value, nearest
from verify.reading.printed import NAME, FormulaClaim

__all__ = [
    "Claim",
    "Example",
    "ExampleError",
    "Formula",
    "Given",
    "Learning",
    "Renumber",
    "Symbol",
    "What",
    "load",
    "loads",
]

MAX_BYTES = 1_000_000
MAX_SCALARS = 10_000
MAX_STEPS = 100_000
MAX_DEGREE = 2_000

_ENTRY = rf"{NAME}(?:\[\d{{1,4}}(?:,\d{{1,4}})?\])?"
_WHAT = re.compile(rf"(?:d(?P<of>{_ENTRY})/d(?P<by>{_ENTRY})|(?P<name>{_ENTRY}))(?:\s+after\s+(?P<after>\d{{1,6}}))?")
_KEYS = {
    "file": ("id", "title", "source", "note", "given", "symbols", "compute", "learn", "claims", "renumber"),
    "learn": ("loss", "rate", "parameters", "rule"),
    "claim": ("id", "slide", "what", "printed", "expected", "note", "working", "transcribed"),
    "formula claim": ("id", "slide", "what", "formula", "between", "expected", "note", "transcribed", "answer"),
    "symbol": ("shape", "domain"),
    "renumber": ("families", "claims"),
}
_FORMULA_VERDICTS = (figures.Verdict.RIGHT, figures.Verdict.WRONG, figures.Verdict.UNDECIDED)


def load(path: Path) -> Example:
    """Read a worked-example file.

    Raises:
        ExampleError: naming the file, the place in it, what was expected and what came.
    """
    try:
        size = path.stat().st_size
        if not path.is_file() and not path.is_dir():
            raise ExampleError(f"{path}: a pipe or a device, not a file")
        if size > MAX_BYTES:
            raise ExampleError(f"{path}: {size} bytes; at most {MAX_BYTES} are read")
        return loads(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ExampleError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ExampleError(f"{path}: not a UTF-8 text file") from None


def loads(text: str, origin: str = "example") -> Example:
    """Read a worked example from TOML text; ``origin`` names it in errors.

    Example:
        >>> from verify.reading.example import loads
        >>> example = loads('''
        ... id = "line"
        ... title = "y = wx"
        ... source = "blackboard"
        ... [given]
        ... w = "0.5"
        ... x = ["2", "4"]
        ... [compute]
        ... y = "w*x"
        ... [[claims]]
        ... slide = 1
        ... what = "y[2]"
        ... printed = "2.0"
        ... ''')
        >>> [str(f.expr) for f in example.formulas], str(example.claims[0].what)
        (['w*x[1]', 'w*x[2]'], 'y[2]')
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ExampleError(f"{origin}: not TOML: {error}") from None
    except RecursionError:
        raise ExampleError(f"{origin}: not TOML: nested too deeply") from None
    except ValueError:
        raise ExampleError(f"{origin}: a number that is too long") from None
    return _Reader(origin).example(document)


class _Reader:
    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.names: dict[str, Value] = {}
        self.given: list[Given] = []
        self.symbols: list[Symbol] = []
        self.formulas: list[Formula] = []
        self.degrees: dict[str, int] = {}

    def fail(self, where: str, why: str) -> ExampleError:
        return ExampleError(f"{self.origin}: {where}: {why}")

    def example(self, document: Mapping[str, Any]) -> Example:
        self.known_keys(document, "file", "the file")
        for name, value in self.table(document, "given").items():
            self.read_given(name, value)
        for name, value in self.table(document, "symbols").items():
            self.read_symbols(name, value)
        for name, line in self.table(document, "compute").items():
            self.read_formula(name, line)
        learning = self.learning(self.table(document, "learn")) if "learn" in document else None
        claims = document.get("claims", [])
        if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
            raise self.fail("claims", "expected [[claims]] tables")
        numbered = list(enumerate(claims, 1))
        formulas = [(i, claim) for i, claim in numbered if "formula" in claim or "between" in claim]
        read = [self.claim(claim, i, learning) for i, claim in numbered if (i, claim) not in formulas]
        if read and self.symbols:
            raise self.fail("claims", "a figure needs numbers; put figures and [symbols] into files of their own")
        if read and any(_calls(f.expr, "phi") for f in self.formulas):
            raise self.fail("claims", "a figure needs numbers; phi has none")
        checked = self.numbered([self.formula_claim(claim, i, learning) for i, claim in formulas])
        return Example(
            id=self.text(document, "id", "the file"),
            title=self.text(document, "title", "the file"),
            source=self.text(document, "source", "the file"),
            given=tuple(self.given),
            formulas=tuple(self.formulas),
            names=self.names,
            learning=learning,
            claims=tuple(self.distinct(read, {claim.id for claim in checked})),
            note=self.text(document, "note", "the file", ""),
            symbols=tuple(self.symbols),
            formula_claims=checked,
            renumber=self.renumber(document, checked),
        )

    def table(self, document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = document.get(key, {})
        if not isinstance(value, dict):
            raise self.fail(key, f"expected a table [{key}], got {value!r}")
        return value

    def known_keys(self, table: Mapping[str, Any], kind: str, where: str) -> None:
        for key in table:
            if key not in _KEYS[kind]:
                raise self.fail(where, f"unknown key {key}{nearest(key, _KEYS[kind])}")

    def text(self, table: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
        value = table.get(key, default)
        if value is None:
            raise self.fail(where, f"{key} is missing")
        if not isinstance(value, str):
            raise self.fail(where, f"{key}: expected a string, got {value!r}")
        return value

    def new_name(self, name: str, where: str) -> None:
        if not re.fullmatch(NAME, name):
            raise self.fail(where, f"{name!r} is not a name (letters, digits, _)")
        plain = unicodedata.normalize("NFKC", name)
        if plain != name:
            raise self.fail(where, f"{name!r} is read as {plain!r} in formulas; write it so")
        if keyword.iskeyword(name):
            raise self.fail(
                where, f"{name} means something in formulas and cannot be a name; take {name[:3]} or {name}_"
            )
        if name in self.names:
            raise self.fail(where, f"{name} is defined twice")
        if name in formula.FUNCTIONS:
            raise self.fail(where, f"{name} is the name of a function")

    def read_given(self, name: str, value: object) -> None:
        self.new_name(name, "given")
        self.names[name] = self.given_value(name, value)

    def given_value(self, name: str, value: object) -> Value:
        if isinstance(value, str):
            text = value.strip().replace(",", ".").replace("−", "-")  # as they are printed, and as figures may be too
            try:
                exact = formula.number(text)
            except FormulaError:
                raise self.fail(f"given {name}", f'"{value[:40]}" is not a decimal number') from None
            self.given.append(Given(name, exact, text))
            self.limit_size()
            return Var(name)
        if isinstance(value, list) and value:
            base = name[:-1] + "," if name.endswith("]") else name + "["
            if base.count(",") > 1:
                raise self.fail(f"given {name}", "an array has at most two axes")
            entries = [self.given_value(f"{base}{i}]", entry) for i, entry in enumerate(value, 1)]
            shapes = {np.shape(entry) if isinstance(entry, np.ndarray) else () for entry in entries}
            if len(shapes) != 1:
                raise self.fail(f"given {name}", "the rows differ in length")
            return formula.stack(entries)
        raise self.fail(f"given {name}", f'expected the printed digits as a string, like "0.50", got {value!r}')

    def read_symbols(self, name: str, value: object) -> None:
        where = f"symbols {name}"
        self.new_name(name, where)
        table = value if isinstance(value, dict) else {"domain": value}
        self.known_keys(table, "symbol", where)
        domain, shape = table.get("domain", "real"), table.get("shape", [])
        if not isinstance(domain, str) or domain not in set(Domain):
            raise self.fail(where, f"domain: {domain!r} is none of {', '.join(Domain)}")
        if not isinstance(shape, list) or len(shape) > 2 or not all(type(n) is int and 1 <= n <= 100 for n in shape):
            raise self.fail(where, f"shape: expected one or two whole numbers from 1 to 100, got {shape!r}")
        entries = np.empty(shape, dtype=object)
        for index in np.ndindex(*shape):
            entries[index] = Var(f"{name}[{','.join(str(i + 1) for i in index)}]" if shape else name)
            self.symbols.append(Symbol(str(entries[index]), Domain(domain)))
        self.names[name] = entries if shape else Var(name)
        self.limit_size()

    def limit_size(self) -> None:
        if len(self.given) + len(self.symbols) + len(self.formulas) > MAX_SCALARS:
            raise self.fail("the file", f"more than {MAX_SCALARS} scalars")

    def read_formula(self, name: str, line: object) -> None:
        where = f"compute {name}"
        self.new_name(name, where)
        if not isinstance(line, str):
            raise self.fail(where, f"expected a formula as a string, got {line!r}")
        value = self.parse(line, where)
        if any(_calls(expr, "dphi") for expr in np.atleast_1d(np.asarray(value, dtype=object)).flat):
            raise self.fail(where, "dphi stands in printed formulas only; nothing is known of its own derivative")
        if isinstance(value, Expr):
            self.limit_degree(name, value, where)
            self.formulas.append(Formula(name, value, line))
            self.names[name] = Var(name)
        else:
            named = np.empty(value.shape, dtype=object)
            for index, expr in np.ndenumerate(value):
                entry = f"{name}[{','.join(str(i + 1) for i in index)}]"
                self.limit_degree(entry, expr, where)
                self.formulas.append(Formula(entry, expr, line))
                named[index] = Var(entry)
            self.names[name] = named
        self.limit_size()

    def limit_degree(self, name: str, expr: Expr, where: str) -> None:
        """Refuse powers of powers of powers, whose exact values fill the memory."""
        self.degrees[name] = degree = _degree(expr, self.degrees)
        if degree > MAX_DEGREE:
            raise self.fail(where, f"a power of degree {degree}; at most {MAX_DEGREE} is computed")

    def parse(self, line: str, where: str) -> Value:
        try:
            return formula.parse(line, self.names)
        except FormulaError as error:
            raise self.fail(where, str(error)) from None

    def learning(self, table: Mapping[str, Any]) -> Learning:
        self.known_keys(table, "learn", "learn")
        loss = self.text(table, "loss", "learn")
        if not isinstance(self.names.get(loss), Var) or loss not in {f.name for f in self.formulas}:
            raise self.fail("learn", f"loss: {loss} is not a computed scalar{nearest(loss, self.names)}")
        rate = self.parse(self.text(table, "rate", "learn"), "learn rate")
        if not isinstance(rate, Num | Var):
            raise self.fail("learn", "rate: expected a number or the name of a given scalar")
        listed = table.get("parameters")
        if not isinstance(listed, list) or not listed or not all(isinstance(name, str) for name in listed):
            raise self.fail("learn", f"parameters: expected a list of given names, got {listed!r}")
        scalars = {given.name for given in self.given} | {symbol.name for symbol in self.symbols}
        parameters: list[str] = []
        for name in listed:
            entries = [str(entry) for entry in np.atleast_1d(np.asarray(self.names.get(name, ()), dtype=object)).flat]
            if not entries or not set(entries) <= scalars:
                raise self.fail("learn", f"parameters: {name} is not given{nearest(name, self.names)}")
            parameters.extend(entries)
        if len(set(parameters)) != len(parameters):
            raise self.fail("learn", "parameters: a name stands twice")
        rule = self.text(table, "rule", "learn", Learning.rule)
        try:
            update = formula.parse(rule, {**self.names, "w": Var("w"), "g": Var("g"), "rate": Var("rate")})
        except FormulaError as error:
            raise self.fail("learn rule", str(error)) from None
        if not isinstance(update, Expr):
            raise self.fail("learn rule", "expected one number, got an array")
        return Learning(loss, rate, tuple(parameters), rule)

    def claim(self, table: Mapping[str, Any], number: int, learning: Learning | None) -> Claim:
        where = f"claim {number}"
        self.known_keys(table, "claim", where)
        text = self.text(table, "what", where)
        where = f"claim {number} ({text})"
        what = self.what(text, where, learning)
        slide = self.slide(table, where)
        try:
            figure = figures.read(self.text(table, "printed", where))
        except figures.FigureError as error:
            raise self.fail(where, str(error)) from None
        return Claim(
            id=self.text(table, "id", where, _id(slide, str(what))),
            slide=slide,
            what=what,
            printed=figure,
            expected=self.expected(table, where, tuple(figures.Verdict)),
            note=self.text(table, "note", where, ""),
            working=self.working(table, where),
            transcribed=self.flag(table, "transcribed", where),
        )

    def working(self, table: Mapping[str, Any], where: str) -> str:
        text = self.text(table, "working", where, "")
        try:
            if text and not isinstance(formula.parse(text, {}), Expr):
                raise FormulaError("expected one number, got an array")
        except FormulaError as error:
            raise self.fail(where, f"working: {error}") from None
        return text

    def slide(self, table: Mapping[str, Any], where: str) -> str:
        slide = table.get("slide")
        if not isinstance(slide, int | str) or isinstance(slide, bool):
            raise self.fail(where, f"slide: expected a number or a string, got {slide!r}")
        return str(slide)

    def expected(self, table: Mapping[str, Any], where: str, known: tuple[str, ...]) -> str | None:
        expected = table.get("expected")
        if expected is not None and expected not in known:
            raise self.fail(where, f"expected: {expected!r} is none of {', '.join(known)}")
        return expected

    def flag(self, table: Mapping[str, Any], key: str, where: str) -> bool:
        value = table.get(key, False)
        if not isinstance(value, bool):
            raise self.fail(where, f"{key}: expected true or false, got {value!r}")
        return value

    def formula_claim(self, table: Mapping[str, Any], number: int, learning: Learning | None) -> FormulaClaim:
        where = f"claim {number}"
        self.known_keys(table, "formula claim", where)
        text = self.text(table, "what", where)
        where = f"claim {number} ({text})"
        line, between = table.get("formula"), table.get("between")
        if (line is None) == (between is None):
            raise self.fail(where, "expected either a formula or between = [low, high]")
        if between is not None and not (isinstance(between, list) and len(between) == 2):
            raise self.fail(where, f"between: expected two formulas, got {between!r}")
        try:
            side = printed.read_side(text)
            if side.after and (learning is None or side.after > 1 or side.by):
                raise FormulaError("'after 1' needs a [learn] table, and stands behind a parameter")
            if line is not None:
                line = self.text(table, "formula", where)
            ends = self.ends(between, where)
            entries = printed.entries(side, line or side.of, self.names)
            for entry in entries:
                self.limit_degree("", entry.printed, where)
        except FormulaError as error:
            raise self.fail(where, str(error)) from None
        if side.after and not {entry.side.of for entry in entries} <= set(learning.parameters if learning else ()):
            raise self.fail(where, f"{side.of} is not one of the learned parameters")
        slide = self.slide(table, where)
        return FormulaClaim(
            id=self.text(table, "id", where, _id(slide, str(side))),
            slide=slide,
            side=side,
            formula=line or "",
            entries=entries,
            between=ends,
            expected=self.expected(table, where, _FORMULA_VERDICTS),
            note=self.text(table, "note", where, ""),
            transcribed=self.flag(table, "transcribed", where),
            answer=self.flag(table, "answer", where),
        )

    def ends(self, between: list[object] | None, where: str) -> tuple[Expr, Expr] | None:
        if between is None:
            return None
        read = [formula.parse(end, self.names) if isinstance(end, str) else end for end in between]
        low, high = read
        if not isinstance(low, Expr) or not isinstance(high, Expr):
            raise self.fail(where, f"between: expected two formulas in quotes, each one number, got {between!r}")
        return low, high

    def numbered(self, claims: list[FormulaClaim]) -> tuple[FormulaClaim, ...]:
        """Ids made from the left side are numbered where one left side is printed several times."""
        seen: dict[str, int] = {}
        made = []
        for claim in claims:
            seen[claim.id] = seen.get(claim.id, 0) + 1
            made.append(claim if seen[claim.id] == 1 else replace(claim, id=f"{claim.id}#{seen[claim.id]}"))
        return tuple(made)

    def renumber(self, document: Mapping[str, Any], claims: tuple[FormulaClaim, ...]) -> Renumber | None:
        if "renumber" not in document:
            return None
        table = self.table(document, "renumber")
        self.known_keys(table, "renumber", "renumber")
        lists: dict[str, tuple[str, ...]] = {}
        for key in ("families", "claims"):
            listed = table.get(key)
            if not isinstance(listed, list) or not listed or not all(isinstance(name, str) for name in listed):
                raise self.fail("renumber", f"{key}: expected a list of strings, got {listed!r}")
            lists[key] = tuple(listed)
        for name in lists["families"]:
            if not any(re.fullmatch(rf"{re.escape(name)}\d+", known) for known in self.names):
                raise self.fail("renumber", f"families: no name is {name} followed by a number")
        known = {claim.id for claim in claims}
        for name in lists["claims"]:
            if name not in known:
                raise self.fail("renumber", f"claims: no formula claim has the id {name}{nearest(name, known)}")
        return Renumber(lists["families"], lists["claims"])

    def what(self, text: str, where: str, learning: Learning | None) -> What:
        match = _WHAT.fullmatch(" ".join(text.split()))
        if not match:
            raise self.fail(where, "expected a name, dE/dw or either followed by 'after N'")
        after = int(match["after"] or 0)
        if after and learning is None:
            raise self.fail(where, "'after' needs a [learn] table")
        if after > MAX_STEPS:
            raise self.fail(where, f"after {after}: at most {MAX_STEPS} updates are followed")
        scalars = {given.name for given in self.given} | {f.name for f in self.formulas}
        wanted = [match["name"]] if match["name"] else [match["of"], match["by"]]
        # "dx" may itself be a name, but "dE/dw" never is.
        for name in wanted:
            if name not in scalars:
                raise self.fail(where, f"{name} is neither given nor computed as a scalar{nearest(name, scalars)}")
        return What(match["name"] or match["of"], match["by"], after)

    def distinct(self, claims: list[Claim], taken: set[str]) -> Iterator[Claim]:
        seen = set(taken)
        for claim in claims:
            if claim.id in seen:
                raise self.fail(f"claim {claim.what}", f'id "{claim.id}" stands twice; give one of them an id')
            seen.add(claim.id)
            yield claim


def _calls(expr: Expr, function: str) -> bool:
    called = isinstance(expr, Call) and expr.function == function
    return called or any(_calls(child, function) for child in children(expr))


def _degree(expr: Expr, known: Mapping[str, int]) -> int:
    """The degree in the givens, numbers counted too: how far the digits of an exact value can grow."""
    match expr:
        case Var(name):
            return known.get(name, 1)
        case Sum(terms):
            return max(_degree(term, known) for term in terms)
        case Power(base, exponent):
            return abs(exponent) * _degree(base, known)
    operands = children(expr)
    return sum(_degree(operand, known) for operand in operands) if operands else 1


def _id(slide: str, what: str) -> str:
    """``s43-dE/dw`` on slide 43; a heading in place of a number is cut down to plain letters."""
    if slide.isdigit():
        return f"s{slide}-{what}".replace(" ", "-")
    plain = unicodedata.normalize("NFKD", slide).encode("ascii", "ignore").decode().lower()
    return f"{re.sub(r'[^a-z0-9]+', '-', plain).strip('-')[:40]}-{what}".replace(" ", "-")
