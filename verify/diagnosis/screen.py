"""Try thousands of edited derivations at once, in floats.

Each axis is a list of edits, and each value an array over the axes: with two axes of 500 edits, one pass over the
steps evaluates 250,000 derivations. A step that no edit touches costs one NumPy operation for all of them; a step that
edit k replaces costs one more on slice k. Nothing is concluded here: what comes near a printed figure is evaluated
again in balls (see :mod:`verify.diagnosis.diagnose`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.diagnosis.slips import Edit
from verify.expr import Call, Expr, Num, Power, Product, Quotient, Sum, Var, variables
from verify.reading.example import What
from verify.reading.figures import machine
from verify.worked.derivation import Derivation
from verify.worked.routes import quantity

Array = NDArray[np.float64]


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sign")},
    "atan": np.arctan,
    "abs": np.abs,
    "sigmoid": _sigmoid,
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "relu": lambda x: np.maximum(x, 0.0),
    "step": lambda x: np.where(x > 0, 1.0, 0.0),
    "heaviside": lambda x: np.heaviside(x, 0.5),
    "dstep": np.zeros_like,
    "max": np.maximum,
    "min": np.minimum,
    "leaky_relu": lambda x, alpha: np.where(x > 0, x, alpha * x),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))),
}


def screen(derivation: Derivation, axes: Sequence[Sequence[Edit]], wanted: Sequence[What]) -> dict[What, Array]:
    """The wanted quantities under every combination of one edit from each axis.

    Args:
        derivation: what is edited.
        axes: lists of edits; where two axes edit the same step, the later axis wins.
        wanted: quantities, each after at most a few updates (every update is one more pass).

    Returns:
        For each quantity a float64 array of shape (len(axis) for axis in axes). Overflow and division by zero give inf
        and nan, which match nothing.
    """
    with np.errstate(all="ignore"):
        return _Screen(derivation, axes).run(wanted)


class _Screen:
    def __init__(self, derivation: Derivation, axes: Sequence[Sequence[Edit]]) -> None:
        self.derivation = derivation
        self.shape = tuple(len(axis) for axis in axes)
        self.edits: dict[str, list[tuple[int, int, Expr]]] = {}
        for axis, edits in enumerate(axes):
            for k, edit in enumerate(edits):
                for name, expr in edit.steps.items():
                    self.edits.setdefault(name, []).append((axis, k, expr))
        self.start: dict[str, Array] = {}
        for given in derivation.given:
            value = np.full((1,) * len(axes), machine(given.value))
            for axis, edits in enumerate(axes):
                changed = [(k, edit.given[given.name]) for k, edit in enumerate(edits) if given.name in edit.given]
                if changed:
                    value = self.widen(value, axis)
                    for k, other in changed:
                        value[self.at(axis, k)] = machine(other.value)
            self.start[given.name] = value

    def widen(self, value: Array, axis: int) -> Array:
        shape = list(value.shape)
        shape[axis] = self.shape[axis]
        return np.array(np.broadcast_to(value, shape))

    def at(self, axis: int, k: int) -> tuple[slice, ...]:
        return (*(slice(None),) * axis, slice(k, k + 1))

    def array(self, value: Any) -> Array:
        """With all axes, of length 1 where the value does not depend on them."""
        array: Array = np.asarray(value, dtype=float)
        return array.reshape(array.shape or (1,) * len(self.shape))

    def run(self, wanted: Sequence[What]) -> dict[What, Array]:
        found: dict[What, Array] = {}
        state = self.start
        for after in range(max((what.after for what in wanted), default=0) + 1):
            values = dict(state)
            here = [what for what in wanted if what.after == after]
            last = all(what.after <= after for what in wanted)
            carried = {} if last else self.derivation.carried
            for name in self.needed([*(quantity(what) for what in here), *carried.values()]):
                values[name] = self.step(name, values)
            for what in here:
                found[what] = np.broadcast_to(values[quantity(what)], self.shape)
            state = {**state, **{name: values[new] for name, new in carried.items()}}
        return found

    def needed(self, outputs: Sequence[str]) -> list[str]:
        steps = self.derivation.by_name
        reached, waiting = set(outputs), list(outputs)
        while waiting:
            name = waiting.pop()
            if name in steps:
                exprs = [steps[name].expr, *(expr for _, _, expr in self.edits.get(name, ()))]
                fresh = {used for expr in exprs for used in variables(expr)} - reached
                reached |= fresh
                waiting.extend(fresh)
        return [name for name in steps if name in reached]

    def step(self, name: str, values: Mapping[str, Array]) -> Array:
        result = self.array(evaluate(self.derivation.by_name[name].expr, values))
        for axis, k, expr in self.edits.get(name, ()):
            used = {}
            for variable in set(variables(expr)):
                value = values[variable]
                used[variable] = value[self.at(axis, k)] if value.shape[axis] > 1 else value
            special = self.array(evaluate(expr, used))
            wide = np.broadcast_shapes(special.shape, result.shape)
            if result.shape[axis] == 1 or any(a < b for a, b in zip(result.shape, wide, strict=True)):
                shape = list(wide)
                shape[axis] = self.shape[axis]
                result = np.array(np.broadcast_to(result, shape))
            result[self.at(axis, k)] = special
        return result


def evaluate(expr: Expr, values: Mapping[str, Any]) -> Any:
    """An expression over floats or arrays of them."""
    match expr:
        case Num(value):
            return machine(value)
        case Var(name):
            return values[name]
        case Sum(terms):
            result = evaluate(terms[0], values)
            for term in terms[1:]:
                result = result + evaluate(term, values)
            return result
        case Product(factors):
            result = evaluate(factors[0], values)
            for factor in factors[1:]:
                result = result * evaluate(factor, values)
            return result
        case Quotient(numerator, denominator):
            return evaluate(numerator, values) / np.asarray(evaluate(denominator, values), dtype=float)
        case Power(base, exponent):
            return np.asarray(evaluate(base, values), dtype=float) ** exponent
        case Call(function, args):
            return FUNCTIONS[function](*(evaluate(arg, values) for arg in args))
    raise TypeError(f"screen: not an expression: {expr!r}")
