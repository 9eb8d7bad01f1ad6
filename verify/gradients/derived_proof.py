"""Is JAX's program for a gradient equal to a derivation's? By random points of a finite field, see there.

Both sides are computed on the same random inputs, with the same oracles for transcendental functions and a random
cotangent for every entry of the result. Comparisons are settled by ordinary numbers beside them: what is proved holds
on the branches (which side of every kink) that the points lie in, and these are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import log2
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from verify.algebra.ball import Ball
from verify.algebra.expression import entry_name
from verify.algebra.field import Field
from verify.algebra.field_array import FieldArray
from verify.algebra.plain import Undecided, as_array
from verify.expr import Call, Expr, Var, children
from verify.gradients.interpret import interpret
from verify.gradients.trace import ROOTS, Program, trace_vjp
from verify.rules import DERIVATIVES
from verify.worked.derivation import Derivation, derivative_name
from verify.worked.scalars import BALL, precision
from verify.worked.tape import Algebra, Tape

Verdict = Literal["PROVED", "WRONG", "INCONCLUSIVE"]
_TRIALS = 12
_BITS = 128
_REPLACE = "replace_radicand"


@dataclass(frozen=True)
class GradientProof:
    """The outcome of comparing JAX's program with the derived steps.

    Attributes:
        verdict: PROVED (equal on the branches visited, but for ``error``), WRONG (a real input at which they differ),
            or INCONCLUSIVE.
        error: the probability that a difference went unnoticed on a branch.
        branches: how many branches of the function were visited.
        detail: where they differ, or why nothing is decided.
    """

    verdict: Verdict
    error: float = 0.0
    branches: int = 0
    detail: str = ""

    def __str__(self) -> str:
        if self.verdict != "PROVED":
            return f"{self.verdict}: {self.detail}" if self.detail else self.verdict
        odds = f"probability of error below 2^{int(log2(self.error)) + 1}" if self.error else "no error possible"
        where = "" if self.branches == 1 else f" on each of the {self.branches} branches visited"
        return f"PROVED: jax.grad's program is equal to these steps{where} ({odds})"

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {"verdict": self.verdict, "error": self.error, "branches": self.branches, "detail": self.detail}


def prove(
    derivation: Derivation,
    outputs: Sequence[str],
    labels: Sequence[str],
    f: Callable[..., Any],
    args: tuple[Any, ...],
    chosen: tuple[int, ...],
    seed: int = 0,
) -> GradientProof:
    """Compare the derivation's backward steps with the program that ``jax.vjp`` makes of ``f``."""
    case = _Case(derivation, outputs, labels, f, args, chosen)
    errors: dict[tuple[Any, ...], float] = {}
    draw = np.random.default_rng(seed)
    for trial in range(_TRIALS):
        point = case.point(draw, near=trial == 0)
        try:
            with np.errstate(all="ignore"):  # residues and samples are meant to wrap, and to be infinite
                outcome = case.compare(point, seed=seed + trial)
        except (Undecided, ZeroDivisionError):
            continue
        if outcome is None:
            continue
        branch, error, different = outcome
        if different:
            try:
                return case.witness(point, different)
            except (Undecided, ZeroDivisionError) as reason:
                return GradientProof("INCONCLUSIVE", detail=f"d/d{different} differs in the field; {reason}")
        errors[branch] = errors.get(branch, 1.0) * error
        if not branch and trial >= 1:
            break
    if not errors:
        return GradientProof("INCONCLUSIVE", detail="every point met a division by zero or an undecided comparison")
    return GradientProof("PROVED", max(errors.values()), len(errors))


class _Case:
    """One function and its derivation, to be compared at points."""

    def __init__(
        self,
        derivation: Derivation,
        outputs: Sequence[str],
        labels: Sequence[str],
        f: Callable[..., Any],
        args: tuple[Any, ...],
        chosen: tuple[int, ...],
    ) -> None:
        self.derivation, self.outputs = derivation, tuple(outputs)
        leaves, tree = jax.tree_util.tree_flatten(args)
        owner = [number for number, arg in enumerate(args) for _ in jax.tree_util.tree_leaves(arg)]
        self.floating = [n for n, leaf in enumerate(leaves) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)]
        self.wanted = [n for n in self.floating if owner[n] in chosen]
        self.labels = {n: labels[n] for n in self.floating}
        self.values = {n: np.asarray(leaves[n], np.float64) for n in self.floating}

        def flat(*values: Any) -> tuple[Any]:
            full = list(leaves)
            for n, value in zip(self.floating, values, strict=True):
                full[n] = value
            return (f(*jax.tree_util.tree_unflatten(tree, full)),)

        primals = [jnp.asarray(leaves[n]) for n in self.floating]
        (shape,) = jax.eval_shape(flat, *primals)
        self.shape = tuple(shape.shape)
        self.program: Program = trace_vjp(flat, primals, [jnp.zeros(shape.shape, shape.dtype)])
        self.entries = [
            (n, index, entry_name(self.labels[n], index))
            for n in self.wanted
            for index in np.ndindex(*self.values[n].shape)
        ]
        pairs = [(output, name) for output in self.outputs for _, _, name in self.entries]
        self.pairs = pairs
        results = [derivative_name(*pair) for pair in pairs]
        self.tape = Tape(derivation, results)
        self.radicands = _radicands(derivation)
        self.field_tape = Tape(_with_replaced_radicands(derivation, self.radicands), results)

    def point(self, draw: np.random.Generator, near: bool) -> dict[int, Any]:
        """Real inputs: those that were given, or others about them and about 0."""
        if near:
            return dict(self.values)
        return {n: np.round(draw.normal(size=value.shape), 3) for n, value in self.values.items()}

    def compare(self, point: Mapping[int, Any], seed: int) -> tuple[tuple[Any, ...], float, str] | None:
        """The branch that the point lies in, the probability of error, and an entry that differs ("" for none)."""
        field = Field(seed=seed)
        inputs = {n: field.random(value) for n, value in point.items()}
        cotangent = field.random(np.random.default_rng(seed).normal(size=self.shape))
        branch: list[Any] = []

        def observe(_step: Any, relation: str, x: Any, y: Any) -> None:
            branch.append(field.compare(relation, x, y).tobytes() if y is not None else b"")

        by_jax = interpret(self.program, field, [*(inputs[n] for n in self.floating), cotangent], observe)
        start = {
            entry_name(self.labels[n], index): self._replaced(field, n, index, _entry(field, inputs[n], index))
            for n in self.floating
            for index in np.ndindex(*self.values[n].shape)
        }
        ties: list[FieldArray] = []
        derived = dict(zip(self.pairs, self.field_tape.run(_field_algebra(field, ties), start), strict=True))
        places = list(np.ndindex(*self.shape))
        worst = 0.0
        for n, index, name in self.entries:
            theirs = _entry(field, by_jax[self.floating.index(n)], index)
            ours: Any = field.lift(0)
            for place, output in zip(places, self.outputs, strict=True):
                ours = ours + _entry(field, cotangent, place) * derived[output, name]
            difference = ours - theirs
            if field.unlucky or (int(difference.value) and ties):
                return None
            if int(difference.value):
                return tuple(branch), 1.0, name
            worst = max(worst, field.error(difference.degree))
        return tuple(branch), worst, ""

    def _replaced(self, field: Field, n: int, index: tuple[int, ...], value: FieldArray) -> FieldArray:
        return field.replace_radicand(value) if entry_name(self.labels[n], index) in self.radicands else value

    def witness(self, point: Mapping[int, Any], name: str) -> GradientProof:
        """The two values at a real point, enclosed, where the field says that they differ."""
        with precision(_BITS):
            ball = Ball()
            inputs = {n: ball.constant(value) for n, value in point.items()}
            start = {
                entry_name(self.labels[n], index): inputs[n][index]
                for n in self.floating
                for index in np.ndindex(*self.values[n].shape)
            }
            derived = dict(zip(self.pairs, self.tape.run(BALL, start), strict=True))
            for place, output in zip(np.ndindex(*self.shape), self.outputs, strict=True):
                one = np.zeros(self.shape)
                one[place] = 1.0
                by_jax = interpret(self.program, ball, [*(inputs[n] for n in self.floating), ball.constant(one)])
                for n, index, entry in self.entries:
                    theirs = as_array(by_jax[self.floating.index(n)])[index]
                    ours = derived[output, entry]
                    if not theirs.overlaps(ours):
                        values = ", ".join(f"{self.labels[m]} = {np.asarray(v).tolist()}" for m, v in point.items())
                        what = derivative_name(output, entry)
                        return GradientProof(
                            "WRONG", detail=f"at {values}: {what} is {ours.str(12)}, jax.grad gives {theirs.str(12)}"
                        )
        return GradientProof("INCONCLUSIVE", detail=f"the field tells d/d{name} apart, real numbers do not")


def _radicands(derivation: Derivation) -> frozenset[str]:
    """The names that a root is taken of: the field replaces their values, in every use (see there)."""
    found: set[str] = set()

    def visit(expr: Expr) -> None:
        if isinstance(expr, Call) and expr.function in ROOTS:
            found.update(arg.name for arg in expr.args if isinstance(arg, Var))
        for child in children(expr):
            visit(child)

    for step in derivation.steps:
        visit(step.expr)
    return frozenset(found)


def _with_replaced_radicands(derivation: Derivation, names: frozenset[str]) -> Derivation:
    return derivation.with_steps(
        replace(step, expr=Call(_REPLACE, (step.expr,))) if step.name in names else step for step in derivation.steps
    )


def _entry(field: Field, array: FieldArray, index: tuple[int, ...]) -> FieldArray:
    chosen: FieldArray = field.rearrange(lambda v: np.asarray(v[index]), array)
    return chosen


def _field_algebra(field: Field, ties: list[FieldArray]) -> Algebra:
    """The field as the number system of a tape.

    A slope at a kink (two entries under a pooling window that are both 0) is a random element, noted in ``ties``: what
    is equal whatever it is needs no convention for it.
    """

    def extreme(relation: str) -> Callable[[FieldArray, FieldArray], FieldArray]:
        return lambda x, y: field.select(field.compare(relation, x, y), [y, x])

    def heaviside(x: FieldArray) -> FieldArray:
        if float(x.sample):
            return field.lift(int(x.sample > 0))
        if int(x.value):
            raise Undecided("a sample at a kink")
        ties.append(field.random(np.array(0.5)))
        return ties[-1]

    def dstep(x: FieldArray) -> FieldArray:
        return field.lift(0) if float(x.sample) else heaviside(x)

    functions: dict[str, Callable[..., Any]] = {
        name: (lambda x, name=name: field.function(name, x)) for name in DERIVATIVES
    }
    functions |= {
        "max": extreme("ge"),
        "min": extreme("le"),
        "heaviside": heaviside,
        "dstep": dstep,
        "relu": lambda x: x if x.sample > 0 else field.lift(0),
        "step": lambda x: field.lift(int(x.sample > 0)),
        _REPLACE: field.replace_radicand,
    }
    return Algebra("field", lambda q: field.lift(Fraction(q)), functions)
