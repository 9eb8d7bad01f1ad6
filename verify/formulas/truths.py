"""What the left sides of an example's formulas truly are, by its own forward formulas and reverse mode."""

from __future__ import annotations

from collections.abc import Iterable

from verify.expr import ZERO, Expr, Var, substitute, tidy, variables
from verify.formulas.points import Setting
from verify.reading import formula
from verify.reading.example import Example
from verify.reading.printed import Side
from verify.worked.derivation import Kind, Step, backward, derivative_name


class Truths:
    """What the left sides of an example's formulas truly are, in the names of its forward steps."""

    def __init__(self, example: Example) -> None:
        self._example = example
        self._forward = tuple(Step(f.name, Kind.FORWARD, f.expr, f.line) for f in example.formulas)
        self._slopes: dict[tuple[str, str], Expr] = {}
        self.setting = Setting(
            domains={symbol.name: symbol.domain for symbol in example.symbols},
            definitions={step.name: step.expr for step in self._forward},
            constants={given.name: given.value for given in example.given},
        )

    def side(self, side: Side) -> Expr:
        """The true value of a left side of scalar names."""
        if side.after:
            return self._updated(side.of)
        return Var(side.of) if side.by is None else self.slope(side.of, side.by)

    def slope(self, of: str, by: str) -> Expr:
        """The derivative of one scalar by another, by reverse mode."""
        if (of, by) not in self._slopes:
            self.prepare(of, [by])
        return self._slopes[of, by]

    def prepare(self, of: str, names: Iterable[str]) -> None:
        """Derive by several names in one sweep."""
        wanted = [name for name in names if (of, name) not in self._slopes]
        if not wanted:
            return
        known: dict[str, Expr] = {}
        for step in backward(self._forward, of, wanted):
            known[step.name] = substitute(step.expr, known)
        for name in wanted:
            self._slopes[of, name] = tidy(known[derivative_name(of, name)])

    def formula(self, expr: Expr) -> Expr:
        """A printed formula with its derivatives ``dE/dw`` replaced by what they are."""
        slopes: dict[str, Expr] = {}
        for name in set(variables(expr)):
            if "/" in name:
                of, by = name[1:].split("/d")
                slopes[name] = self.slope(of, by)
        return substitute(expr, slopes) if slopes else expr

    def defined(self, name: str) -> Expr:
        """The formula of a computed name; a free name stands for itself."""
        return self.setting.definitions.get(name, Var(name))

    def _updated(self, parameter: str) -> Expr:
        learning = self._example.learning
        assert learning is not None
        names = {
            **self._example.names,
            "w": Var(parameter),
            "g": self.slope(learning.loss, parameter),
            "rate": learning.rate,
        }
        update = formula.parse(learning.rule, names)
        return update if isinstance(update, Expr) else ZERO
