"""From a JAX function to a flat list of steps: the one place that knows how JAX writes programs down.

Nested calls (jit, remat, custom rules) are opened up, dead steps are dropped; loops and branches keep their bodies, as
programs of their own. What differs between JAX 0.10 and 0.12 (names of parameters, closed and open jaxprs) ends here.

A custom rule is opened into the function that it stands for, its *forward*: so :func:`trace` gives the function as it
is computed, and :func:`trace_vjp` and :func:`trace_jvp`, in which JAX has already applied the rules, give the
derivative as it is computed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

OPENED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "eval_jaxpr": "call_jaxpr",
    "composite": "jaxpr",
}
"""Primitives that only call a jaxpr, and the parameter that holds it."""

_MOVES = (
    "broadcast_in_dim reshape squeeze expand_dims transpose convert_element_type copy copy_p slice rev "
    "reduce_precision stop_gradient optimization_barrier"
)
MOVES = frozenset(_MOVES.split())
"""Primitives that hand on their operand's entries: a root of the result is a root of the operand."""

KERNELS = {"exp_neg_sq": "lax/erf.py"}
"""Functions inside JAX that are written for accuracy, with the bits of a number in hand, and the file that holds each.
They are taken at their word (``exp_neg_sq(x)`` is exp(-x^2)): every other function is read."""

ROOTS = frozenset(["sqrt", "rsqrt", "cbrt", "pow"])


@dataclass(frozen=True)
class Type:
    """The shape and dtype of a value."""

    shape: tuple[int, ...]
    dtype: Any

    @property
    def floating(self) -> bool:
        """Is it a real number, and so in the realm of an algebra?"""
        return bool(jnp.issubdtype(self.dtype, jnp.floating))


@dataclass(frozen=True)
class Step:
    """One primitive. Inputs and outputs are slots of the program that it belongs to.

    Attributes:
        source: "file.py:12 (function)" where that is known, else "".
        call: the innermost call with a name that it came from ("relu", "softmax"), else "".
        radicands: outputs (positions) that flow into a root.
        bodies: programs that a loop or a branch runs.
    """

    primitive: str
    params: Mapping[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    source: str = ""
    call: str = ""
    radicands: tuple[int, ...] = ()
    bodies: tuple[Program, ...] = ()
    equation: Any = None


@dataclass(frozen=True)
class Program:
    """A flat program over numbered slots.

    Attributes:
        inputs, outputs: slots.
        constants: the slots that hold a known value, and that value (a NumPy array or a JAX key array).
        types: of every slot.
        radicands: inputs (positions) that flow into a root.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants: Mapping[int, Any]
    steps: tuple[Step, ...]
    types: Mapping[int, Type]
    radicands: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The number of entries that it computes, loops counted once: a measure of work."""
        own = sum(int(np.prod(self.types[slot].shape)) for step in self.steps for slot in step.outputs)
        return own + sum(body.size for step in self.steps for body in step.bodies)


@dataclass
class _Builder:
    types: dict[int, Type] = field(default_factory=dict)
    constants: dict[int, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def slot(self, aval: Any) -> int:
        number = len(self.types)
        self.types[number] = Type(tuple(aval.shape), aval.dtype)
        return number

    def constant(self, value: Any, aval: Any) -> int:
        number = self.slot(aval)
        known = value if jnp.issubdtype(aval.dtype, jax.dtypes.extended) else np.asarray(value, dtype=aval.dtype)
        self.constants[number] = known
        return number

    def run(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[int], source: str, call: str) -> list[int]:
        slots: dict[Any, int] = dict(zip(jaxpr.invars, arguments, strict=True))
        for variable, value in zip(jaxpr.constvars, constants, strict=True):
            slots[variable] = self.constant(value, variable.aval)

        def read(atom: Any) -> int:
            return self.constant(atom.val, atom.aval) if isinstance(atom, Literal) else slots[atom]

        for equation in jaxpr.eqns:
            name, params = equation.primitive.name, dict(equation.params)
            here = _where(equation) or source
            inputs = [read(atom) for atom in equation.invars]
            kernel = _kernel(name, params)
            if kernel:
                outputs = [self.slot(variable.aval) for variable in equation.outvars]
                self.steps.append(Step(kernel, {}, tuple(inputs), tuple(outputs), here, call))
            elif name == "call_hi_primitive":  # JAX 0.12: a primitive that can say what it stands for
                expanded = jax.make_jaxpr(params["_prim"].expand)(*[variable.aval for variable in equation.invars])
                outputs = self.run(expanded.jaxpr, expanded.consts, inputs, here, call)
            elif name in OPENED:
                inner, inner_constants = _open(params[OPENED[name]])
                label = str(params.get("name") or getattr(params.get("jvp_jaxpr_fun"), "__name__", "") or call)
                outputs = self.run(inner, inner_constants, inputs, here, label)
            else:
                outputs = [self.slot(variable.aval) for variable in equation.outvars]
                bodies = tuple(build(body) for body in _bodies(name, params))
                step = Step(
                    name, _parameters(name, params), tuple(inputs), tuple(outputs), here, call, (), bodies, equation
                )
                self.steps.append(step)
            slots.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]


def build(jaxpr: Any) -> Program:
    """A program from a (closed or open) jaxpr."""
    inner, constants = _open(jaxpr)
    builder = _Builder()
    inputs = [builder.slot(variable.aval) for variable in inner.invars]
    outputs = builder.run(inner, constants, inputs, "", "")
    program = Program(tuple(inputs), tuple(outputs), builder.constants, tuple(builder.steps), builder.types)
    return _mark_radicands(_without_dead_steps(program))


def _open(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    inner = getattr(jaxpr, "jaxpr", jaxpr)
    constants = getattr(jaxpr, "consts", ())
    return inner, constants if len(constants) == len(inner.constvars) else ()


def _kernel(name: str, params: Mapping[str, Any]) -> str:
    """The name of the kernel of JAX that a custom_jvp call stands for, or ""."""
    if name != "custom_jvp_call":
        return ""
    described = str(getattr(_open(params["call_jaxpr"])[0].debug_info, "func_src_info", ""))
    label, _, path = described.partition(" at ")
    if label not in KERNELS:
        return ""
    inside = os.path.join(os.path.dirname(jax.__file__), "_src", *KERNELS[label].split("/"))
    return label if path.rpartition(":")[0] == inside else ""


def _where(equation: Any) -> str:
    from jax._src import source_info_util  # no public way to an equation's source line exists

    text = str(source_info_util.summarize(equation.source_info))
    if text.startswith(os.path.dirname(__file__) + os.sep):  # the line of this package that called the function
        return ""
    head, _, rest = text.rpartition("/")
    return rest if head else text


def _bodies(name: str, params: Mapping[str, Any]) -> Iterable[Any]:
    match name:
        case "scan":
            return [params["jaxpr"]]
        case "while":
            return [params["cond_jaxpr"], params["body_jaxpr"]]
        case "cond":
            return list(params["branches"])
    return []


def _parameters(name: str, params: dict[str, Any]) -> dict[str, Any]:
    if name == "scan" and "num_carry" not in params:
        constants, carry, _ = params["ft_in"].unpack()
        params["num_consts"], params["num_carry"] = len(list(constants)), len(list(carry))
    return params


def _without_dead_steps(program: Program) -> Program:
    needed = set(program.outputs)
    kept: list[Step] = []
    for step in reversed(program.steps):
        if needed.intersection(step.outputs):
            kept.append(step)
            needed.update(step.inputs)
    constants = {slot: value for slot, value in program.constants.items() if slot in needed}
    return replace(program, steps=tuple(reversed(kept)), constants=constants)


def _rooted(step: Step, constants: Mapping[int, Any]) -> bool:
    if step.primitive == "pow":
        exponent = constants.get(step.inputs[1])
        return exponent is not None and not np.all(np.asarray(exponent, np.float64) % 1 == 0)
    return step.primitive in ROOTS


def _mark_radicands(program: Program) -> Program:
    """Mark, backwards, what flows into a root by moves alone."""
    flows: set[int] = set()
    steps: list[Step] = []
    for step in reversed(program.steps):
        if _rooted(step, program.constants):
            flows.add(step.inputs[0])
        for body in step.bodies:
            offset = len(step.inputs) - len(body.inputs)
            if step.primitive == "cond" or (step.primitive == "scan" and offset == 0):
                flows.update(step.inputs[offset + position] for position in body.radicands)
        marked = tuple(i for i, slot in enumerate(step.outputs) if slot in flows)
        if step.primitive in MOVES and marked:
            flows.add(step.inputs[0])
            marked = ()
        steps.append(replace(step, radicands=marked))
    radicands = tuple(i for i, slot in enumerate(program.inputs) if slot in flows)
    return replace(program, steps=tuple(reversed(steps)), radicands=radicands)


def with_stop(program: Program, position: int) -> Program:
    """``program`` with the results of one step held constant, as by ``stop_gradient``."""
    step, types = program.steps[position], dict(program.types)
    hidden = []
    for slot in step.outputs:
        types[len(types)] = types[slot]
        hidden.append(len(types) - 1)
    stops = [Step("stop_gradient", {}, (inner,), (outer,)) for inner, outer in zip(hidden, step.outputs, strict=True)]
    held = [replace(step, outputs=tuple(hidden)), *stops]
    return replace(program, steps=(*program.steps[:position], *held, *program.steps[position + 1 :]), types=types)


def trace(f: Callable[..., Any], *args: Any) -> Program:
    """The program that ``f(*args)`` runs; every array leaf of ``args`` is an input, every leaf of the result an output.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> [step.primitive for step in trace(lambda x: jax.nn.relu(jnp.sin(x)), 1.0).steps]
        ['sin', 'max']
    """
    return build(jax.make_jaxpr(f)(*args))


def _only(f: Callable[..., Any], values: Sequence[Any], chosen: Sequence[int]) -> Callable[..., Any]:
    """``f`` as a function of some of its arguments, the others held at ``values``."""

    def restricted(*some: Any) -> Any:
        full = list(values)
        for position, value in zip(chosen, some, strict=True):
            full[position] = value
        return f(*full)

    return restricted


def trace_vjp(
    f: Callable[..., Any],
    primals: Sequence[Any],
    cotangents: Sequence[Any],
    chosen: Sequence[int] | None = None,
    with_results: bool = False,
) -> Program:
    """The program of ``jax.vjp``: inputs are the primals, then the cotangents; outputs the chosen primals' cotangents.

    Args:
        f: takes ``*primals`` (floating arrays) and returns a tuple of floating arrays.
        primals, cotangents: arrays or their types.
        chosen: positions to differentiate with respect to (all by default).
        with_results: further outputs are the results, as the rules' forward passes give them.
    """
    count = len(primals)
    wanted = range(count) if chosen is None else chosen

    def pullback(*values: Any) -> Any:
        restricted = _only(f, values[:count], wanted)
        results, transposed = jax.vjp(restricted, *[values[i] for i in wanted])
        return (*transposed(tuple(values[count:])), *(results if with_results else ()))

    return trace(pullback, *primals, *cotangents)


def trace_jvp(
    f: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    chosen: Sequence[int] | None = None,
    with_results: bool = False,
) -> Program:
    """The program of ``jax.jvp``: inputs are the primals, then the chosen ones' tangents; outputs the result's."""
    count = len(primals)
    wanted = range(count) if chosen is None else chosen

    def pushforward(*values: Any) -> Any:
        restricted = _only(f, values[:count], wanted)
        results, tangents = jax.jvp(restricted, tuple(values[i] for i in wanted), tuple(values[count:]))
        return (*tangents, *(results if with_results else ()))

    return trace(pushforward, *primals, *tangents)
