"""The catalogue of classic mistakes: each is a small, named edit of a derivation.

An entry is a name, a sentence, and a function that gives every edit of its kind. Most are a rule on one node of one
step's expression (``in_each_step``): the same edit made in all like steps (every hidden unit, every bias) comes by
itself, from :func:`everywhere`. Adding a mistake is adding one entry to :data:`CATALOGUE`.

What is not an edit of the steps is searched by :mod:`verify.diagnosis.diagnose` itself: the number of updates
(``step-count``), a given that was misread (``wrong-given``), rounding on the way (``rounded-intermediates``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from verify.diagnosis.slips import (
    Edit,
    add_factors,
    ascend,
    double_steps,
    drop_activation,
    drop_factors,
    drop_terms,
    fix_parameters,
    flip_signs,
    forget_term,
    in_each_step,
    indices,
    is_shifted,
    is_transposed,
    last_only,
    multiply_terms,
    negate_steps,
    output_for_input,
    replacing,
    role,
    swap_givens,
    swap_variables,
    wrong_formula,
)
from verify.expr import Expr, Sum, Var, substitute, variables
from verify.worked.derivation import Derivation, Kind, Step


@dataclass(frozen=True)
class Mistake:
    """A kind of mistake: its name, what it is in one sentence, and every edit of its kind."""

    name: str
    meaning: str
    edits: Callable[[Derivation], Iterator[Edit]]


def everywhere(edits: Iterable[Edit], derivation: Derivation) -> Iterator[Edit]:
    """The same mistake in all like steps at once, for every group of two steps or more.

    Like steps are those that differ in their bracketed indices, in any of their digits, or only in kind; and along the
    diagonal: keep in step i only the path i.
    """
    groups: dict[tuple[str, ...], dict[str, Edit]] = {}
    for edit in edits:
        if len(edit.steps) != 1 or edit.given:
            continue
        (name,) = edit.steps
        kind = derivation.by_name[name].kind
        digitless = re.sub(r"\d+", "#", name)
        for key in dict.fromkeys((role(name), digitless, str(kind))):
            groups.setdefault((edit.mistake, key, edit.label), {}).setdefault(name, edit)
        if edit.mistake == "missing-path" and indices(name):
            kept = _kept_path(derivation.by_name[name].expr, edit.steps[name])
            if kept is not None and kept == indices(name)[-1] - 1:
                groups.setdefault((edit.mistake, digitless, "keep only the path of the same number"), {})[name] = edit
    seen: set[tuple[tuple[str, Expr], ...]] = set()
    for (mistake, where, label), members in groups.items():
        if len(members) < 2:
            continue
        steps = {name: edit.steps[name] for name, edit in members.items()}
        edited = tuple(sorted(steps.items(), key=lambda item: item[0]))
        if edited not in seen:
            seen.add(edited)
            first = next(iter(members.values()))
            detail = f"in each of {', '.join(list(members)[:4])}{', ...' if len(members) > 4 else ''}: {first.detail}"
            yield Edit(mistake, detail, steps, label=f"everywhere {where} {label}")


def _kept_path(original: Expr, edited: Expr) -> int | None:
    if isinstance(original, Sum) and edited in original.terms:
        return original.terms.index(edited)
    return None


def sequential(derivation: Derivation) -> Derivation | None:
    """The update of a layer made before the error is propagated through it: the new weights carry it back.

    Only where the new weight does not itself wait for that error. None where no backward step uses a learned parameter
    of which that holds.
    """
    uses = {step.name: set(variables(step.expr)) for step in derivation.steps}

    def waits(name: str, other: str) -> bool:
        """Whether ``name`` is computed from ``other``."""
        seen, waiting = {name}, [name]
        while waiting:
            fresh = uses.get(waiting.pop(), set()) - seen
            seen |= fresh
            waiting.extend(fresh)
        return other in seen

    steps: list[Step] = []
    for step in derivation.steps:
        new: dict[str, Expr] = {}
        for name in sorted(uses[step.name] & derivation.carried.keys()) if step.kind == Kind.BACKWARD else ():
            if not waits(derivation.carried[name], step.name):
                new[name] = Var(derivation.carried[name])
                uses[step.name].add(derivation.carried[name])
        steps.append(replace(step, expr=substitute(step.expr, new)))
    if all(step.expr == old.expr for step, old in zip(steps, derivation.steps, strict=True)):
        return None
    return derivation.with_steps(in_order(steps))


def in_order(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps, each after those that it uses (which must not go in a circle)."""
    waiting = {step.name: step for step in steps}
    while waiting:
        ready = [s for s in waiting.values() if not any(used in waiting for used in variables(s.expr))]
        if not ready:
            raise ValueError(f"the steps go in a circle: {', '.join(waiting)}")
        for step in ready:
            del waiting[step.name]
            yield step


CATALOGUE: tuple[Mistake, ...] = (
    Mistake("sign", "a sign is wrong", in_each_step("sign", flip_signs)),
    Mistake("sign", "a derivative has the opposite sign", negate_steps),
    Mistake(
        "missing-factor",
        "a factor of the chain rule is left out: an activation's derivative, an input, a constant",
        in_each_step("missing-factor", drop_factors),
    ),
    Mistake("missing-activation", "an activation is not applied", in_each_step("missing-activation", drop_activation)),
    Mistake(
        "missing-path",
        "a path of the sum over paths is left out",
        in_each_step("missing-path", drop_terms, [Kind.BACKWARD], root_only=True),
    ),
    Mistake(
        "missing-term",
        "a term of a sum is left out",
        in_each_step("missing-term", drop_terms, [Kind.FORWARD], root_only=True),
    ),
    Mistake(
        "missing-term",
        "a term inside a factor is left out",
        in_each_step("missing-term", drop_terms, [Kind.FORWARD, Kind.BACKWARD], nested_only=True),
    ),
    Mistake("missing-term", "a term of the update rule (a decay, a momentum) is left out", forget_term),
    Mistake(
        "product-for-sum",
        "terms are multiplied where they are to be added",
        in_each_step("product-for-sum", multiply_terms),
    ),
    Mistake("sum-for-product", "factors are added", in_each_step("sum-for-product", add_factors)),
    Mistake("extra-factor", "a derivative is doubled or halved", double_steps),
    Mistake("derivative-at-output", "f'(a) is taken where f'(z) is due", output_for_input),
    Mistake("transposed", "an entry of the transposed matrix is used", replacing("transposed", is_transposed)),
    Mistake("index-shift", "an index is off by one", replacing("index-shift", is_shifted)),
    Mistake(
        "wrong-variable",
        "another variable stands in a formula (1 - y for 1 - a)",
        replacing("wrong-variable", lambda a, b: not is_transposed(a, b) and not is_shifted(a, b)),
    ),
    Mistake("swapped", "two like variables of a formula are exchanged", swap_variables),
    Mistake("swapped", "two givens are exchanged", swap_givens),
    Mistake("wrong-formula", "a forward formula is wrong, and differentiated as it stands", wrong_formula),
    Mistake("ascent", "the gradient is added", ascend),
    Mistake("biases-fixed", "the biases (or the weights) are not updated", fix_parameters),
    Mistake("layer-fixed", "only the last layer is updated", last_only),
)
"""Every kind of mistake that edits steps or givens."""


def all_edits(derivation: Derivation) -> list[Edit]:
    """Every edit of the catalogue, single places first, then everywhere at once; none twice."""
    single = [edit for mistake in CATALOGUE for edit in mistake.edits(derivation)]
    seen: set[object] = set()
    result = []
    for edit in [*single, *everywhere(single, derivation)]:
        key = (
            tuple(sorted(edit.steps.items(), key=lambda item: item[0])),
            tuple(sorted((name, given.value) for name, given in edit.given.items())),
        )
        if key not in seen:
            seen.add(key)
            result.append(edit)
    return result
