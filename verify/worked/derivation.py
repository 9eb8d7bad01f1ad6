"""The derivation: named steps forward, backward and update, as plain data.

This one list is what the report prints, what the algebras evaluate (:mod:`verify.worked.tape`), and what a mistake
edits. The forward steps are the example's formulas. The backward steps are made here, by reverse mode on the named
scalars: the derivative at a node is the sum, over the paths that leave it, of the derivative at the path's end times
one local derivative. The update steps are the declared rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from verify.expr import ONE, ZERO, Call, Expr, Num, Var, partial, product, substitute, tidy, total, variables
from verify.reading import formula
from verify.reading.example import Example, Given


class Kind(StrEnum):
    FORWARD = "forward"
    BACKWARD = "backward"
    UPDATE = "update"


@dataclass(frozen=True)
class Step:
    """``name = expr``; ``rule`` says in words where it comes from."""

    name: str
    kind: Kind
    expr: Expr
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.name} = {self.expr}"


@dataclass(frozen=True)
class Derivation:
    """One iteration, in order; each name is defined once.

    Attributes:
        given: the numbers it starts from.
        steps: forward, backward and update steps, each using only what stands before it.
        carried: for each learned parameter, the step that gives its value in the next iteration.
        loss: the name whose derivative is descended, or None.
    """

    given: tuple[Given, ...]
    steps: tuple[Step, ...]
    carried: Mapping[str, str]
    loss: str | None = None

    @cached_property
    def by_name(self) -> Mapping[str, Step]:
        return {step.name: step for step in self.steps}

    def of_kind(self, kind: Kind) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.kind == kind)

    def with_steps(self, steps: Iterable[Step]) -> Derivation:
        """The same derivation over edited steps."""
        return replace(self, steps=tuple(steps))


def derivative_name(of: str, by: str) -> str:
    """How the derivative of one name by another is called in a derivation: ``dE/dw5``."""
    return f"d{of}/d{by}"


def updated_name(parameter: str) -> str:
    """The name of a parameter after one update: ``w5'``."""
    return f"{parameter}'"


def build(example: Example) -> Derivation:
    """The derivation of an example: its formulas, the derivatives that it needs, its updates.

    Example:
        >>> from verify.reading.example import loads
        >>> from verify.worked.derivation import build
        >>> neuron = loads('''
        ... id = "n"
        ... title = "one neuron"
        ... source = "blackboard"
        ... given = {w = "0.5", b = "0.1", x = "2", y = "1"}
        ... compute = {z = "w*x + b", a = "sigmoid(z)", E = "1/2*(y - a)**2"}
        ... learn = {loss = "E", rate = "0.5", parameters = ["w"]}
        ... ''')
        >>> for step in build(neuron).steps:
        ...     print(step)
        z = w*x + b
        a = sigmoid(z)
        E = 1/2*(y - a)**2
        dE/da = a - y
        dE/dz = dE/da*a*(1 - a)
        dE/dw = dE/dz*x
        w' = w - rate*dE/dw
    """
    forward = tuple(Step(f.name, Kind.FORWARD, f.expr, f.line) for f in example.formulas)
    targets: dict[str, set[str]] = {}
    learning = example.learning
    if learning is not None:
        targets[learning.loss] = set(learning.parameters)
    for claim in example.claims:
        if claim.what.by is not None:
            targets.setdefault(claim.what.name, set()).add(claim.what.by)
    steps = list(forward)
    for of, wanted in targets.items():
        steps.extend(backward(forward, of, wanted))
    if learning is None:
        return Derivation(example.given, tuple(steps), {})
    made = {step.name for step in steps}
    given, rate = example.given, learning.rate
    if isinstance(rate, Num) and "rate" not in example.names:
        # The rate is a number that the slide gives, like any other: it has a name, and can be misread.
        given, rate = (*given, Given("rate", rate.value, rate.text or str(rate.value))), Var("rate")
    carried = {}
    for parameter in learning.parameters:
        gradient: Expr = Var(derivative_name(learning.loss, parameter))
        if str(gradient) not in made:
            gradient = ZERO  # the loss does not depend on it
        names = {**example.names, "w": Var(parameter), "g": gradient, "rate": rate}
        update = formula.parse(learning.rule, names)
        assert isinstance(update, Expr)
        steps.append(Step(updated_name(parameter), Kind.UPDATE, update, learning.rule))
        carried[parameter] = updated_name(parameter)
    return Derivation(given, tuple(steps), carried, learning.loss)


def backward(forward: tuple[Step, ...], of: str, wanted: Iterable[str]) -> list[Step]:
    """Reverse mode: the steps ``d of/d node`` for every wanted name and every node on a path to one.

    A derivative that is constantly zero or one needs a step too where it is wanted, and has one.
    """
    wanted = set(wanted)
    leads: set[str] = set(wanted)  # nodes through which a wanted name acts
    for step in forward:
        if leads.intersection(variables(step.expr)):
            leads.add(step.name)
    paths: dict[str, list[tuple[str, Expr]]] = {of: []}  # node -> (consumer, local derivative)
    reached = {of}
    order = forward[::-1]
    for step in order:
        if step.name not in reached:
            continue
        value = Var(step.name) if isinstance(step.expr, Call) else None
        for name in dict.fromkeys(variables(step.expr)):
            if name not in leads:
                continue
            local = partial(step.expr, name, value)
            if local != ZERO:
                paths.setdefault(name, []).append((step.name, local))
                reached.add(name)
    steps: list[Step] = []
    constants: dict[str, Expr] = {of: ONE}
    sequence = [step.name for step in order if step.name in leads] + sorted(wanted - {s.name for s in forward})
    for node in sequence:
        if node == of and node not in wanted:
            continue
        if node not in paths:
            if node in wanted:
                steps.append(Step(derivative_name(of, node), Kind.BACKWARD, ZERO, f"{of} does not depend on {node}"))
            continue
        terms = [
            tidy(product((constants.get(consumer, Var(derivative_name(of, consumer))), local)))
            for consumer, local in reversed(paths[node])
        ]
        slope = ONE if node == of else total(tuple(terms))
        if slope == ONE and node not in wanted:
            constants[node] = slope  # E = E_1 + E_2: dE/dE_1 = 1 needs no line of its own
        else:
            steps.append(Step(derivative_name(of, node), Kind.BACKWARD, slope, _words(of, node, paths[node])))
    return steps


def _words(of: str, node: str, paths: list[tuple[str, Expr]]) -> str:
    ends = [consumer for consumer, _ in reversed(paths)]
    if len(ends) > 1:
        return f"sum over the paths from {node}: {', '.join(ends)}"
    return f"chain rule through {ends[0]}" if ends and ends[0] != of else "derivative of the formula"


def inline(derivation: Derivation, name: str, keep: Iterable[str]) -> Expr:
    """The expression of a step in terms of the kept names and the givens, every other step substituted."""
    kept = set(keep)

    def resolve(expr: Expr) -> Expr:
        inner = {
            used: resolve(derivation.by_name[used].expr)
            for used in dict.fromkeys(variables(expr))
            if used in derivation.by_name and used not in kept
        }
        return substitute(expr, inner) if inner else expr

    return resolve(derivation.by_name[name].expr)
