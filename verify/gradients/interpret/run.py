"""The loop over the steps of a program."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from verify.algebra import literals
from verify.algebra.plain import Algebra, Unsupported, as_array
from verify.gradients.interpret import control, elementwise, indexing, linear, order, structure
from verify.gradients.interpret.call import Call, Handler, Observer
from verify.gradients.trace import Program, Step, Type

HANDLERS: dict[str, Handler] = {
    **elementwise.HANDLERS,
    **structure.HANDLERS,
    **linear.HANDLERS,
    **indexing.HANDLERS,
    **order.HANDLERS,
    **control.HANDLERS,
}


class UnsupportedStep(Exception):
    """A primitive without a handler, or used in a way that the algebra has no meaning for.

    Attributes:
        primitive, source: which, and the source line it came from.
    """

    def __init__(self, step: Step, reason: str) -> None:
        self.primitive, self.source, self.reason = step.primitive, step.source, reason
        where = f" at {step.source}" if step.source else ""
        super().__init__(f"primitive {step.primitive!r}{where}: {reason}")


def interpret(program: Program, algebra: Algebra, inputs: Sequence[Any], observer: Observer | None = None) -> list[Any]:
    """Run ``program`` over ``algebra``.

    Args:
        program: from :func:`verify.gradients.trace.trace` or one of its siblings.
        algebra: one of :mod:`verify.algebra`.
        inputs: one for each input of the program; see the package for what each must be.
        observer: called with every comparison.

    Returns:
        The outputs, in order.

    Raises:
        UnsupportedStep: a primitive that has no meaning here.
        Undecided: a comparison that the algebra cannot settle.
    """
    if len(inputs) != len(program.inputs):
        raise TypeError(f"interpret: the program has {len(program.inputs)} inputs, got {len(inputs)}")
    with np.errstate(all="ignore"):
        return _run(program, algebra, inputs, observer)


def _run(program: Program, algebra: Algebra, inputs: Sequence[Any], observer: Observer | None) -> list[Any]:
    values: dict[int, Any] = {}
    known: dict[int, Fraction] = {}
    for slot, value in program.constants.items():
        if program.types[slot].floating:
            values[slot] = algebra.constant(value)
            if (number := _uniform(algebra, value)) is not None:
                known[slot] = number
        else:
            values[slot] = value
    for position, (slot, value) in enumerate(zip(program.inputs, inputs, strict=True)):
        values[slot] = _replaced(algebra, value) if position in program.radicands else value

    def run_body(body: Program, arguments: Sequence[Any]) -> list[Any]:
        return _run(body, algebra, arguments, observer)

    for step in program.steps:
        call = Call(
            algebra,
            step,
            [program.types[slot] for slot in step.inputs],
            [program.types[slot] for slot in step.outputs],
            [known.get(slot) for slot in step.inputs],
            run_body,
            observer,
        )
        if observer is not None:
            for position, (slot, kind) in enumerate(zip(step.inputs, call.in_types, strict=True)):
                if not kind.floating and slot not in program.constants:
                    observer(step, f"choice {position}", values[slot], None)
        results = _step(call, [values[slot] for slot in step.inputs])
        for position, (slot, result, kind) in enumerate(zip(step.outputs, results, call.out_types, strict=True)):
            if kind.floating:
                result = _shaped(algebra, result, kind)
                result = _replaced(algebra, result) if position in step.radicands else _recalled(algebra, result)
            values[slot] = result
        if (number := _known(call)) is not None:
            known[step.outputs[0]] = number
    return [values[slot] for slot in program.outputs]


def _step(call: Call, inputs: list[Any]) -> list[Any]:
    handler = HANDLERS.get(call.step.primitive)
    try:
        if handler is not None:
            result = handler(call, *inputs)
            return result if isinstance(result, list) else [result]
        if any(kind.floating for kind in (*call.in_types, *call.out_types)):
            raise Unsupported("no meaning is known for it")
        return _as_jax_does(call, inputs)
    except Unsupported as error:
        raise UnsupportedStep(call.step, str(error)) from None


def _as_jax_does(call: Call, inputs: list[Any]) -> list[Any]:
    """A step on integers, booleans and random keys alone."""
    equation = call.step.equation
    if any(isinstance(x, np.ndarray) and x.dtype == object for x in inputs):
        raise Unsupported("a condition that is not decided")
    arguments = [jax.numpy.asarray(x) if isinstance(x, np.ndarray) else x for x in inputs]
    result = equation.primitive.bind(*arguments, **equation.params)
    results = result if equation.primitive.multiple_results else [result]
    extended = jax.dtypes.extended
    return [r if jax.numpy.issubdtype(r.dtype, extended) else np.asarray(r) for r in results]


def _shaped(algebra: Algebra, result: Any, kind: Type) -> Any:
    result = as_array(result)
    if tuple(result.shape) == kind.shape:
        return result
    return algebra.rearrange(lambda v: np.broadcast_to(v, kind.shape), result)


def _replaced(algebra: Any, value: Any) -> Any:
    replace = getattr(algebra, "replace_radicand", None)
    return value if replace is None else replace(value)


def _recalled(algebra: Any, value: Any) -> Any:
    recall = getattr(algebra, "replace_known", None)
    return value if recall is None else recall(value)


def _uniform(algebra: Any, value: Any) -> Fraction | None:
    array = np.asarray(value)
    if array.size == 0 or not np.all(np.isfinite(array)) or not (array.ravel() == array.ravel()[0]).all():
        return None
    reading = literals.read(array.ravel()[0])
    if reading.rounded and not getattr(getattr(algebra, "base", algebra), "recognise", True):
        return Fraction(literals.shortest(array.ravel()[0]))
    return None if reading.constant else reading.factor


def _known(call: Call) -> Fraction | None:
    """The rational number that every entry of the result is, where all inputs are known (for exponents, mostly)."""
    values = [value for value in call.known if value is not None]
    if not values or len(values) != len(call.known) or not call.out_types[0].floating:
        return None
    x, y = values[0], values[-1]
    match call.step.primitive:
        case "broadcast_in_dim" | "reshape" | "squeeze" | "convert_element_type" | "copy":
            return x
        case "neg":
            return -x
        case "add":
            return x + y
        case "sub":
            return x - y
        case "mul":
            return x * y
        case "div":
            return x / y if y else None
    return None
