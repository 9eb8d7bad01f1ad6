"""The gradient of a small function in closed form, from its code: the steps of the chain rule, in order.

The function is traced; its values get the names that they have in the code; each named value is one forward step. The
backward steps are the checker's own reverse mode (:func:`verify.worked.derivation.backward`), one node at a time. Then
JAX's own program for the gradient is compared with these steps, by random points of a finite field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from verify.algebra import literals
from verify.algebra.expression import Expression, entry_name, named
from verify.algebra.plain import as_array
from verify.expr import Expr, Num, Var
from verify.gradients import names as naming
from verify.gradients.closed_form import lowest_terms, shortest, to_sympy
from verify.gradients.derived_proof import GradientProof, prove
from verify.gradients.interpret import interpret
from verify.gradients.interpret.elementwise import FUNCTIONS
from verify.gradients.trace import Program, trace
from verify.reading.claims import Given
from verify.worked.derivation import Derivation, Kind, Step, backward, derivative_name

MAX_ENTRIES = 4_000
_CURVED = frozenset(FUNCTIONS) | {
    "max",
    "min",
    "pow",
    "reduce_max",
    "reduce_min",
    "reduce_window_max",
    "reduce_window_min",
}


@dataclass(frozen=True)
class Derived:
    """A function's gradient, derived.

    Attributes:
        derivation: the named steps, forward and backward.
        outputs: the names of the result's entries.
        inputs: the names of the entries that are differentiated in.
        held: names that stand for values under ``stop_gradient``: constants for the derivative.
        proof: is JAX's own program for the gradient equal to these steps?
    """

    derivation: Derivation
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    held: tuple[str, ...]
    proof: GradientProof

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order of the chain rule."""
        return self.derivation.steps

    def sympy(self, name: str) -> Any:
        """The right side of one step as a SymPy object, in the names of the steps before it.

        Raises:
            KeyError: no step has this name.
        """
        return to_sympy(self.derivation.by_name[name].expr)

    def gradient(self, input_name: str, output: str | None = None) -> Any:
        """``d output/d input`` as a SymPy object in the forward names (``a*(1 - a)`` rather than exponentials).

        Args:
            input_name: an entry, such as ``"W[1,2]"``.
            output: an entry of the result; may be left out where there is one only.

        Raises:
            KeyError: there is no such derivative.
        """
        name = derivative_name(self._output(output), input_name)
        return shortest(self._backward_forms[name], self._forward_forms)

    def closed_form(self, input_name: str, output: str | None = None) -> Any:
        """``d output/d input`` as a SymPy object in the function's inputs alone, in lowest terms."""
        form = self._backward_forms[derivative_name(self._output(output), input_name)]
        for step in reversed(self.derivation.of_kind(Kind.FORWARD)):
            form = form.xreplace({to_sympy(Var(step.name)): to_sympy(step.expr)})
        return lowest_terms(form)

    def __str__(self) -> str:
        lines = ["Forward"]
        lines += [
            f"  {step}" + (f"   [{step.rule}]" if step.rule else "") for step in self.derivation.of_kind(Kind.FORWARD)
        ]
        back = self.derivation.of_kind(Kind.BACKWARD)
        lines.append("Backward")
        width = min(max((len(str(step)) for step in back), default=0), 70)
        lines += [f"  {step!s:<{width}}   [{step.rule}]" for step in back]
        lines.append("Gradient")
        for output in self.outputs:
            lines += [f"  {derivative_name(output, name)} = {self.gradient(name, output)}" for name in self.inputs]
        return "\n".join([*lines, str(self.proof)])

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "steps": [
                {"name": s.name, "kind": s.kind.value, "expression": str(s.expr), "rule": s.rule} for s in self.steps
            ],
            "gradient": {
                derivative_name(output, name): str(self.gradient(name, output))
                for output in self.outputs
                for name in self.inputs
            },
            "held": list(self.held),
            "proof": self.proof.to_dict(),
        }

    def _output(self, output: str | None) -> str:
        if output is None and len(self.outputs) != 1:
            raise KeyError(f"the result has {len(self.outputs)} entries: say which of {', '.join(self.outputs)}")
        return self.outputs[0] if output is None else output

    @cached_property
    def _forward_forms(self) -> Mapping[str, Any]:
        return {step.name: to_sympy(step.expr) for step in self.derivation.of_kind(Kind.FORWARD)}

    @cached_property
    def _backward_forms(self) -> Mapping[str, Any]:
        forms: dict[str, Any] = {}
        for step in self.derivation.of_kind(Kind.BACKWARD):
            forms[step.name] = to_sympy(step.expr, forms)
        return forms


def derive(f: Callable[..., Any], *args: Any, argnums: int | Sequence[int] = 0, names: Any = None) -> Derived:
    """The gradient of ``f`` at ``args`` in closed form, with the steps of the chain rule, proved equal to JAX's.

    Args:
        f: a function of arrays (or pytrees of arrays) whose result is one floating-point array; small: every entry of
            every value becomes a formula.
        args: give the shapes, and the values for the numbers in the report.
        argnums: the arguments to differentiate in.
        names: the names of the arguments' leaves, as a pytree of strings like ``args``; None takes them from the code.

    Raises:
        ValueError: the function is too large, or its result is not one floating-point array.
        UnsupportedStep: a primitive that has no meaning in formulas (sorting, a loop without a known end, ...).

    Example:
        >>> import jax.numpy as jnp
        >>> def loss(w, x, y):
        ...     return (jnp.dot(w, x) - y) ** 2
        >>> derived = derive(loss, jnp.ones(2), jnp.ones(2), 0.5)
        >>> derived.gradient("w[1]")
        2*x[1]*(w[1]*x[1] + w[2]*x[2] - y)
        >>> derived.proof.verdict
        'PROVED'
    """
    program = trace(f, *args)
    if program.size > MAX_ENTRIES:
        raise ValueError(f"derive: expected at most {MAX_ENTRIES} entries in all values, got {program.size}")
    if len(program.outputs) != 1 or not program.types[program.outputs[0]].floating:
        raise ValueError("derive: expected a function whose result is one floating-point array")
    labels = naming.leaves(f, args, names)
    forward = _Forward(program, naming.assigned(program, f, labels), labels, _output_name(f))
    forward.run(jax.tree_util.tree_leaves(args))
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    inputs = tuple(_entries_of(args, chosen, labels))
    seen = [step for step in forward.steps if step.name not in forward.held]
    steps = list(forward.steps)
    for output in forward.outputs:
        steps += backward(tuple(seen), output, inputs)
    derivation = Derivation(tuple(forward.given), tuple(_distinct(steps)), {}, None)
    derived = Derived(derivation, tuple(forward.outputs), inputs, tuple(forward.held), GradientProof("INCONCLUSIVE"))
    return replace(derived, proof=prove(derivation, derived.outputs, labels, f, args, chosen))


def _distinct(steps: list[Step]) -> list[Step]:
    return list({step.name: step for step in steps}.values())


def _output_name(f: Callable[..., Any]) -> str:
    name = getattr(f, "__name__", "")
    return name if name.isidentifier() else "f"


def _entries_of(args: tuple[Any, ...], chosen: tuple[int, ...], labels: list[str]) -> list[str]:
    found, at = [], 0
    for number, arg in enumerate(args):
        for leaf in jax.tree_util.tree_leaves(arg):
            if number in chosen and jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
                found += [entry_name(labels[at], index) for index in np.ndindex(*np.shape(leaf))]
            at += 1
    return found


class _Forward:
    """Run a program over expressions, stopping to name values on the way."""

    def __init__(self, program: Program, code: Mapping[int, str], labels: list[str], result: str) -> None:
        self.program, self.labels = program, labels
        self.algebra = Expression()
        self.steps: list[Step] = []
        self.given: list[Given] = []
        self.held: list[str] = []
        self.outputs: list[str] = []
        self._used = {*labels, *code.values()}
        self._wanted = dict(code)
        (self._result,) = program.outputs
        self._name_what_is_curved()
        self._wanted.setdefault(self._result, self._unused(result))

    def _unused(self, name: str) -> str:
        while name in self._used:
            name += "_"
        self._used.add(name)
        return name

    def _name_what_is_curved(self) -> None:
        """What goes into an elementary function, and what comes out, is a node of the chain rule."""
        made = {slot for step in self.program.steps for slot in step.outputs}
        number = 0
        for step in self.program.steps:
            if step.primitive not in _CURVED:
                continue
            for slot in (*step.inputs, *step.outputs):
                if (
                    slot in made
                    and slot not in self._wanted
                    and self.program.types[slot].floating
                    and slot != self._result
                ):
                    number += 1
                    while f"v{number}" in self._used:
                        number += 1
                    self._wanted[slot] = self._unused(f"v{number}")

    def run(self, values: Sequence[Any]) -> None:
        """Make the forward steps."""
        known: dict[int, Any] = {}
        for slot, label, value in zip(self.program.inputs, self.labels, values, strict=True):
            known[slot] = self._input(slot, label, value)
        for step in self.program.steps:
            used = [slot for slot in step.inputs if slot not in self.program.constants]
            constants = {slot: self.program.constants[slot] for slot in step.inputs if slot in self.program.constants}
            one = Program(tuple(dict.fromkeys(used)), step.outputs, constants, (step,), self.program.types)
            results = interpret(one, self.algebra, [known[slot] for slot in one.inputs])
            self._note_held(step.call or step.source)
            for slot, result in zip(step.outputs, results, strict=True):
                known[slot] = self._named(slot, result, step.call) if slot in self._wanted else result
        result = (
            known[self._result]
            if self._result in known
            else self.algebra.constant(self.program.constants[self._result])
        )
        result = self._named(self._result, result, "", always=True)
        self.outputs = [entry.name for entry in as_array(result).ravel()]

    def _input(self, slot: int, label: str, value: Any) -> Any:
        kind = self.program.types[slot]
        if not kind.floating:
            return value if jnp.issubdtype(kind.dtype, jax.dtypes.extended) else np.asarray(value)
        array = np.asarray(value, dtype=kind.dtype)
        for index in np.ndindex(*array.shape):
            number = array.dtype.type(array[index])
            reading = literals.read(number)
            exact = Fraction(float(number)) if reading.constant else reading.factor
            self.given.append(Given(entry_name(label, index), exact, str(number)))
        return named(label, array.shape)

    def _note_held(self, where: str) -> None:
        for name, expr in self.algebra.held.items():
            if name not in self.held:
                self.held.append(name)
                self.steps.append(Step(name, Kind.FORWARD, expr, "held constant by stop_gradient"))

    def _named(self, slot: int, result: Any, label: str, always: bool = False) -> Any:
        name = self._wanted[slot]
        array = as_array(result)
        answer = np.empty(array.shape, object)
        same: dict[Expr, Var] = {}
        made = {step.name for step in self.steps}
        for index in np.ndindex(*array.shape):
            expr = array[index]
            keep = isinstance(expr, Var) and (not always or expr.name in made)
            if keep or (isinstance(expr, Num) and not always):
                answer[index] = expr
                continue
            if expr not in same or always:
                same[expr] = Var(entry_name(name, index))
                self.steps.append(Step(same[expr].name, Kind.FORWARD, expr, label))
            answer[index] = same[expr]
        return answer
