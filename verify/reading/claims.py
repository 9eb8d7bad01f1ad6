"""What a worked-example file holds, as plain data; :mod:`verify.reading.example` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from verify.algebra.normal import Domain
from verify.expr import Expr
from verify.reading import figures
from verify.reading.functions import Value
from verify.reading.printed import FormulaClaim


class ExampleError(ValueError):
    """A worked-example file that cannot be used: one line that says what and where."""


@dataclass(frozen=True)
class Given:
    """A number that the slide starts from: its name, the exact value, and the digits as printed."""

    name: str
    value: Fraction
    text: str


@dataclass(frozen=True)
class Symbol:
    """A free name, and the values that it may take."""

    name: str
    domain: Domain


@dataclass(frozen=True)
class Renumber:
    """Families of names numbered by layer (``W`` for W1, W2, ...), and the claims whose numbering has to agree."""

    families: tuple[str, ...]
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Formula:
    """One forward step on scalars, and the line of the file it comes from."""

    name: str
    expr: Expr
    line: str


@dataclass(frozen=True)
class Learning:
    """How the parameters are learned.

    ``rule`` is the new value of a parameter, in the names ``w`` (its old value), ``g`` (the derivative of the loss)
    and ``rate``, besides the givens.
    """

    loss: str
    rate: Expr
    parameters: tuple[str, ...]
    rule: str = "w - rate*g"


@dataclass(frozen=True)
class What:
    """What a figure is about: a value, or a derivative of one named scalar by another, after some updates.

    Example:
        >>> What("E", "w5", 0), str(What("w5", None, 1))
        (What(name='E', by='w5', after=0), 'w5 after 1')
    """

    name: str
    by: str | None = None
    after: int = 0

    def __str__(self) -> str:
        core = f"d{self.name}/d{self.by}" if self.by else self.name
        return f"{core} after {self.after}" if self.after else core


@dataclass(frozen=True)
class Claim:
    """One printed figure: where, what it is about, its digits, and the arithmetic printed beside it, if any."""

    id: str
    slide: str
    what: What
    printed: figures.Figure
    expected: str | None = None
    note: str = ""
    working: str = ""
    transcribed: bool = False


@dataclass(frozen=True)
class Example:
    """A worked example, read and checked: every name resolves and every formula parses.

    ``claims`` are the figures, ``formula_claims`` the formulas and ranges.
    """

    id: str
    title: str
    source: str
    given: tuple[Given, ...]
    formulas: tuple[Formula, ...]
    names: Mapping[str, Value]
    learning: Learning | None
    claims: tuple[Claim, ...]
    note: str = ""
    symbols: tuple[Symbol, ...] = ()
    formula_claims: tuple[FormulaClaim, ...] = ()
    renumber: Renumber | None = None
