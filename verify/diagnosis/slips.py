"""The edits that mistakes are made of: rules on one node of a step, and edits of whole steps, givens and schedules.

Each function gives every edit of its kind; :mod:`verify.diagnosis.mistakes` names them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from verify.expr import (
    ONE,
    ZERO,
    Call,
    Expr,
    Num,
    Power,
    Product,
    Quotient,
    Sum,
    Var,
    partial,
    product,
    rewrites,
    substitute,
    tidy,
    total,
    variables,
)
from verify.reading.example import Given
from verify.worked.derivation import Derivation, Kind, Step, backward, derivative_name, updated_name

Rule = Callable[[Expr], Iterator[tuple[str, Expr]]]


@dataclass(frozen=True)
class Edit:
    """One mistake at one place, or the same one at all like places.

    Attributes:
        mistake: its name in the catalogue.
        detail: where, and what stands there instead, in one line.
        steps: the expressions that replace those of the named steps.
        given: the values that replace those of the named givens.
        after: the number of updates, where that is the mistake.
        label: what was done where, without the step's own indices; edits of one label are one mistake made everywhere.
    """

    mistake: str
    detail: str
    steps: Mapping[str, Expr] = field(default_factory=dict)
    given: Mapping[str, Given] = field(default_factory=dict)
    after: int | None = None
    label: str = ""

    def apply(self, derivation: Derivation) -> Derivation:
        """The derivation with the mistake in it. A replaced name that is no step yet is added."""
        steps = [
            replace(step, expr=self.steps[step.name]) if step.name in self.steps else step for step in derivation.steps
        ]
        given = tuple(self.given.get(g.name, g) for g in derivation.given)
        return replace(derivation, steps=tuple(steps), given=given)


def role(name: str) -> str:
    """A name without its indices: those in brackets if it has any (``W2[]``), else all digits (``w#``, ``z_h#``)."""
    return re.sub(r"\[[\d,]+\]", "[]", name) if "[" in name else re.sub(r"\d+", "#", name)


def indices(name: str) -> tuple[int, ...]:
    """The numbers in a name that :func:`role` leaves out."""
    inside = "".join(re.findall(r"\[[\d,]+\]", name)) or name
    return tuple(int(digits) for digits in re.findall(r"\d+", inside))


# --- rules on one node -----------------------------------------------------------------------------------------------


def flip_signs(node: Expr) -> Iterator[tuple[str, Expr]]:
    if isinstance(node, Sum):
        for i, term in enumerate(node.terms):
            yield f"sign of term {i}", total((*node.terms[:i], -term, *node.terms[i + 1 :]))


def drop_factors(node: Expr) -> Iterator[tuple[str, Expr]]:
    match node:
        case Product(factors):
            rest = factors[1:] if factors[0] == Num(Fraction(-1)) else factors
            sign = factors[: len(factors) - len(rest)]
            for i in range(len(rest)):
                yield f"drop factor {i}", product((*sign, *rest[:i], *rest[i + 1 :]))
            if len(rest) > 2:
                yield "drop all but the first factor", product((*sign, rest[0]))
        case Quotient(numerator, _):
            yield "drop the division", numerator
        case Power(base, _):
            yield "drop the power", base


def drop_activation(node: Expr) -> Iterator[tuple[str, Expr]]:
    if isinstance(node, Call) and len(node.args) == 1:
        yield "drop the function", node.args[0]


def drop_terms(node: Expr) -> Iterator[tuple[str, Expr]]:
    if isinstance(node, Sum):
        for i in range(len(node.terms)):
            yield f"drop term {i}", total((*node.terms[:i], *node.terms[i + 1 :]))
        if len(node.terms) > 2:
            for i, term in enumerate(node.terms):
                yield f"keep only term {i}", term


def multiply_terms(node: Expr) -> Iterator[tuple[str, Expr]]:
    if isinstance(node, Sum):
        yield "multiply the terms", product(node.terms)


def add_factors(node: Expr) -> Iterator[tuple[str, Expr]]:
    if isinstance(node, Product) and not any(isinstance(factor, Num) for factor in node.factors):
        yield "add the factors", total(node.factors)


def change_activation(node: Expr) -> Iterator[tuple[str, Expr]]:
    activations = ("sigmoid", "tanh", "relu")
    if isinstance(node, Call) and node.function in activations:
        for other in activations:
            if other != node.function:
                yield f"{other} for {node.function}", Call(other, node.args)


# --- from rules to edits ---------------------------------------------------------------------------------------------


def in_each_step(
    mistake: str, rule: Rule, kinds: Iterable[Kind] = Kind, *, root_only: bool = False, nested_only: bool = False
) -> Callable[[Derivation], Iterator[Edit]]:
    """The rule at each place of each step of those kinds, one edit a place."""
    wanted = set(kinds)

    def edits(derivation: Derivation) -> Iterator[Edit]:
        for step in derivation.steps:
            if step.kind in wanted:
                for label, expr in rewrites(step.expr, rule):
                    at_root = label.startswith(" ")
                    if (root_only and not at_root) or (nested_only and at_root) or expr == step.expr:
                        continue
                    yield in_step(mistake, step, expr, label)

    return edits


def in_step(mistake: str, step: Step, expr: Expr, label: str) -> Edit:
    return Edit(mistake, f"{step.name} = {expr}, not {step.expr}", {step.name: expr}, label=label)


def forget_term(derivation: Derivation) -> Iterator[Edit]:
    """A term of an update left out, where it has more than the parameter and its gradient."""
    for edit in in_each_step("missing-term", drop_terms, [Kind.UPDATE])(derivation):
        ((name, _),) = edit.steps.items()
        expr = derivation.by_name[name].expr
        if not (edit.label.startswith(" ") and isinstance(expr, Sum) and len(expr.terms) == 2):
            yield edit


def negate_steps(derivation: Derivation) -> Iterator[Edit]:
    for step in derivation.of_kind(Kind.BACKWARD):
        yield in_step("sign", step, -step.expr, "negate")


def double_steps(derivation: Derivation) -> Iterator[Edit]:
    for step in derivation.of_kind(Kind.BACKWARD):
        yield in_step("extra-factor", step, 2 * step.expr, "twice")
        yield in_step("extra-factor", step, Num(Fraction(1, 2)) * step.expr, "half")


def output_for_input(derivation: Derivation) -> Iterator[Edit]:
    """f'(a) where f'(z) is due, a = f(z): the activation is applied once too often in the derivative."""
    calls = {s.name: s.expr for s in derivation.of_kind(Kind.FORWARD) if isinstance(s.expr, Call)}
    for step in derivation.of_kind(Kind.BACKWARD):
        for name in dict.fromkeys(variables(step.expr)):
            node = derivative_name("", name)[2:]
            if name in calls and len(calls[name].args) == 1 and not step.name.endswith(f"/d{node}"):
                yield in_step(
                    "derivative-at-output",
                    step,
                    substitute(step.expr, {name: Call(calls[name].function, (Var(name),))}),
                    "function of the output",
                )


def replaced_variables(derivation: Derivation) -> Iterator[tuple[Step, str, str, Expr, str]]:
    """(step, a name in it, another that could stand there by mistake, the step's new expression, the place).

    The name is replaced where it stands once, and at all its places together. Only names that are known before the
    step come in, so that nothing goes in a circle.
    """
    near = neighbours(derivation)
    position = {step.name: i for i, step in enumerate(derivation.steps)}
    by_role: dict[str, list[str]] = {}
    for name in [*(g.name for g in derivation.given), *position]:
        by_role.setdefault(role(name), []).append(name)
    for i, step in enumerate(derivation.steps):
        used = list(variables(step.expr))
        for place, name in enumerate(dict.fromkeys(used)):
            if step.kind == Kind.UPDATE and updated_name(name) == step.name:
                continue
            for other in dict.fromkeys([*by_role[role(name)], *near.get(name, ())]):
                if other != name and position.get(other, -1) < i:
                    yield step, name, other, substitute(step.expr, {name: Var(other)}), f"variable {place}"
                    if used.count(name) > 1:
                        for label, expr in rewrites(step.expr, _one_variable(name, other)):
                            yield step, name, other, expr, label


def _one_variable(name: str, other: str) -> Rule:
    def rule(node: Expr) -> Iterator[tuple[str, Expr]]:
        if isinstance(node, Var) and node.name == name:
            yield "variable", Var(other)

    return rule


def neighbours(derivation: Derivation) -> Mapping[str, list[str]]:
    """For each value: the values it is computed from, those computed from it, and its companions in those steps.

    Derivatives have no neighbours here: one derivative in another's place is a missing or an extra factor.
    """
    near: dict[str, list[str]] = {given.name: [] for given in derivation.given}
    for step in derivation.of_kind(Kind.FORWARD):
        used = list(dict.fromkeys(variables(step.expr)))
        near.setdefault(step.name, []).extend(used)
        for name in used:
            near.setdefault(name, []).extend([step.name, *(other for other in used if other != name)])
    return near


def replacing(mistake: str, fits: Callable[[str, str], bool]) -> Callable[[Derivation], Iterator[Edit]]:
    def edits(derivation: Derivation) -> Iterator[Edit]:
        for step, name, other, expr, place in replaced_variables(derivation):
            if fits(name, other):
                detail = f"{step.name}: {other} stands for {name}: {expr}"
                yield Edit(mistake, detail, {step.name: expr}, label=f"{place} {_relation(name, other)}")

    return edits


def _relation(name: str, other: str) -> str:
    """How one name stands to another, in words that do not depend on which of several like steps it is."""
    if role(name) == role(other):
        if is_transposed(name, other):
            return "transposed"
        shift = [b - a for a, b in zip(indices(name), indices(other), strict=False)]
        return f"shifted {shift}"
    return f"{role(other)} for {role(name)}"


def is_transposed(name: str, other: str) -> bool:
    return role(name) == role(other) and len(indices(name)) == 2 and indices(other) == indices(name)[::-1]


def is_shifted(name: str, other: str) -> bool:
    if role(name) != role(other) or is_transposed(name, other):
        return False
    return sum(abs(a - b) for a, b in zip(indices(name), indices(other), strict=True)) == 1


def swap_variables(derivation: Derivation) -> Iterator[Edit]:
    """Two like variables of one step in each other's place."""
    for step in derivation.steps:
        used = list(dict.fromkeys(variables(step.expr)))
        for i, first in enumerate(used):
            for j, second in enumerate(used[i + 1 :], i + 1):
                if role(first) == role(second):
                    expr = substitute(step.expr, {first: Var(second), second: Var(first)})
                    if expr != step.expr:
                        yield Edit(
                            "swapped",
                            f"{step.name}: {first} and {second} in each other's place: {expr}",
                            {step.name: expr},
                            label=f"swap {i} and {j}",
                        )


def swap_givens(derivation: Derivation) -> Iterator[Edit]:
    """Two like givens exchanged before the work begins."""
    for i, first in enumerate(derivation.given):
        for second in derivation.given[i + 1 :]:
            if role(first.name) == role(second.name) and first.value != second.value:
                yield Edit(
                    "swapped",
                    f"given {first.name} = {second.text} and {second.name} = {first.text}, exchanged",
                    given={
                        first.name: Given(first.name, second.value, second.text),
                        second.name: Given(second.name, first.value, first.text),
                    },
                    label=f"swap given {first.name} {second.name}",
                )


def wrong_formula(derivation: Derivation) -> Iterator[Edit]:
    """A forward formula with a mistake in it, and everything differentiated from that formula."""
    rules: tuple[tuple[str, Rule], ...] = (
        ("missing-factor", drop_factors),
        ("missing-term", drop_terms),
        ("sign", flip_signs),
        ("wrong-activation", change_activation),
        ("missing-activation", drop_activation),
    )
    forward = derivation.of_kind(Kind.FORWARD)
    for mistake, rule in rules:
        for i, step in enumerate(forward):
            for label, expr in rewrites(step.expr, rule):
                if expr == step.expr or not list(variables(expr)):
                    continue
                edited = replace(step, expr=expr)
                after = (*forward[:i], edited, *forward[i + 1 :])
                yield Edit(
                    mistake,
                    f"{step.name} = {expr}, not {step.expr}, and differentiated so",
                    {step.name: expr, **rederived(derivation, after, edited)},
                    label=f"formula {label}",
                )


def rederived(derivation: Derivation, forward: tuple[Step, ...], edited: Step) -> Mapping[str, Expr]:
    """The backward steps that change when one forward step is edited: those of the names in it, old and new."""
    changed: dict[str, Expr] = {}
    old = derivation.by_name[edited.name].expr
    touched = dict.fromkeys([*variables(old), *variables(edited.expr)])
    for of in targets(derivation):
        if edited.name not in ancestors(forward, of):
            continue
        known_names = {name for name in touched if derivative_name(of, name) in derivation.by_name}
        if any(name in derivation.by_name for name in touched if name not in known_names):
            changed.update(_rederived_whole(derivation, forward, of))  # a slope of 1, that had no line, may be none now
            continue
        for name in known_names:
            terms = []
            for step in forward:
                upstream = ONE if step.name == of else Var(derivative_name(of, step.name))
                known = step.name == of or str(upstream) in derivation.by_name
                if known and name in variables(step.expr):
                    local = partial(step.expr, name, Var(step.name) if isinstance(step.expr, Call) else None)
                    terms.append(tidy(product((upstream, local))))
            expr = total(tuple(terms))
            if expr != derivation.by_name[derivative_name(of, name)].expr:
                changed[derivative_name(of, name)] = expr
    return changed


def targets(derivation: Derivation) -> Mapping[str, list[str]]:
    """What is differentiated, and by which names."""
    found: dict[str, list[str]] = {}
    for step in derivation.of_kind(Kind.BACKWARD):
        of, by = step.name[1:].split("/d", 1)
        found.setdefault(of, []).append(by)
    return found


def _rederived_whole(derivation: Derivation, forward: tuple[Step, ...], of: str) -> Mapping[str, Expr]:
    wanted = targets(derivation)[of]
    made: dict[str, Expr] = {}
    new: dict[str, Expr] = {}  # steps that the derivation has no line for are written into those that use them
    for step in backward(forward, of, wanted):
        expr = substitute(step.expr, new)
        (made if step.name in derivation.by_name else new)[step.name] = expr
    names = [derivative_name(of, by) for by in wanted]
    return {n: made.get(n, ZERO) for n in names if made.get(n, ZERO) != derivation.by_name[n].expr}


def ancestors(steps: tuple[Step, ...], name: str) -> set[str]:
    """The names that a value is computed from, its own included."""
    found = {name}
    for step in reversed(steps):
        if step.name in found:
            found.update(variables(step.expr))
    return found


def ascend(derivation: Derivation) -> Iterator[Edit]:
    steps = {}
    for step in derivation.of_kind(Kind.UPDATE):
        gradients = {n: -Var(n) for n in variables(step.expr) if n in derivation.by_name and n.startswith("d")}
        steps[step.name] = substitute(step.expr, gradients)
    if steps:
        yield Edit("ascent", "the update adds the gradient instead of subtracting it", steps, label="ascent")


def fix_parameters(derivation: Derivation) -> Iterator[Edit]:
    """A group of like parameters that is never updated."""
    groups: dict[str, list[str]] = {}
    for parameter in derivation.carried:
        groups.setdefault(re.sub(r"[\d_]*(\[[\d,]*\])?$", "", parameter), []).append(parameter)
    for group, members in groups.items():
        if len(groups) > 1:
            name = "biases-fixed" if group.lower().startswith(("b", "theta0")) else "weights-fixed"
            steps: dict[str, Expr] = {derivation.carried[member]: Var(member) for member in members}
            yield Edit(name, f"{', '.join(members)} are not updated", steps, label=f"fixed {group}")


def last_only(derivation: Derivation) -> Iterator[Edit]:
    """Only the last layer's parameters are updated: those whose derivative needs no propagation through a layer."""
    depth = {p: _chain(derivation, derivative_name(derivation.loss or "", p)) for p in derivation.carried}
    if len(set(depth.values())) > 1:
        shallow = min(depth.values())
        steps: dict[str, Expr] = {derivation.carried[p]: Var(p) for p, d in depth.items() if d > shallow}
        yield Edit("layer-fixed", "only the last layer is updated", steps, label="last layer only")


def _chain(derivation: Derivation, name: str) -> int:
    """How many backward steps lie before a derivative, along the longest path."""
    depth: dict[str, int] = {}
    for step in derivation.of_kind(Kind.BACKWARD):
        depth[step.name] = 1 + max((depth.get(used, 0) for used in variables(step.expr)), default=0)
    return depth.get(name, 0)
