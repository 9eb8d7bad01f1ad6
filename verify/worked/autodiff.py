"""The third route: the forward formulas in float64, differentiated by JAX."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from verify.expr import Call, Expr, Num, Power, Product, Quotient, Sum, Var
from verify.reading.example import What
from verify.reading.figures import machine
from verify.worked.derivation import Derivation, Kind, derivative_name

MAX_EAGER = 20
"""Updates up to here are made one by one; more are compiled into one loop."""


class Autodiff:
    """JAX in float64: values, and reverse-mode derivatives by every named scalar at once."""

    def __init__(self, derivation: Derivation) -> None:
        self._forward = derivation.of_kind(Kind.FORWARD)
        self._derivation = derivation
        self._updates = derivation.of_kind(Kind.UPDATE)
        self._states: dict[int, dict[str, Any]] = {0: {given.name: machine(given.value) for given in derivation.given}}
        self._gradients: dict[tuple[str, int], Mapping[str, float]] = {}
        self._values: dict[int, Mapping[str, float]] = {}

    def value(self, what: What) -> float | None:
        """The quantity in float64; None where float64 overflows."""
        if what.by is None:
            found = float(self._forward_values(what.after)[what.name])
        else:
            found = float(self._gradient(what.name, what.after)[what.by])
        return found if math.isfinite(found) else None

    def scale(self, what: What) -> float:
        """The size of the largest number on the way, at least 1: rounding errors are in proportion to it."""
        values = [*self._state(what.after).values(), *self._forward_values(what.after).values()]
        return float(max(1.0, *(abs(value) for value in values if math.isfinite(value))))

    def _forward_values(self, after: int) -> Mapping[str, float]:
        if after not in self._values:
            import jax

            with jax.enable_x64(True):
                values = self._run(self._state(after), {})
                self._values[after] = {name: float(value) for name, value in values.items()}
        return self._values[after]

    def _gradient(self, of: str, after: int) -> Mapping[str, float]:
        """Derivatives by all names at once: each name gets a shift of zero, and JAX differentiates by the shifts."""
        if (of, after) not in self._gradients:
            import jax

            state = self._state(after)
            with jax.enable_x64(True):
                shifts = dict.fromkeys([*state, *(step.name for step in self._forward)], 0.0)
                slopes = jax.grad(lambda shift: self._run(state, shift)[of])(shifts)
                self._gradients[of, after] = {name: float(slope) for name, slope in slopes.items()}
        return self._gradients[of, after]

    def _run(self, state: Mapping[str, Any], shifts: Mapping[str, Any]) -> dict[str, Any]:
        import jax.numpy as jnp

        zero = 0.0
        values = {name: jnp.asarray(value) + shifts.get(name, zero) for name, value in state.items()}
        for step in self._forward:
            values[step.name] = _jax(step.expr, values) + shifts.get(step.name, zero)
        return values

    def _state(self, after: int) -> dict[str, Any]:
        if after not in self._states:
            known = max(n for n in self._states if n < after)
            if after - known > MAX_EAGER:
                self._states[after] = self._far(self._states[known], after - known)
            else:
                for n in range(known, after):
                    self._states[n + 1] = self._updated(n)
        return self._states[after]

    def _updated(self, after: int) -> dict[str, Any]:
        import jax

        before = self._state(after)
        loss = self._derivation.loss or ""
        names = {derivative_name(loss, name): slope for name, slope in self._gradient(loss, after).items()}
        with jax.enable_x64(True):
            changed = {step.name: float(_jax(step.expr, {**before, **names})) for step in self._updates}
        return {**before, **{name: changed[new] for name, new in self._derivation.carried.items()}}

    def _far(self, start: Mapping[str, Any], count: int) -> dict[str, Any]:
        """The state after so many more updates, by one compiled loop."""
        import jax
        import jax.numpy as jnp

        loss, carried = self._derivation.loss or "", self._derivation.carried

        def update(_: int, learned: dict[str, Any]) -> dict[str, Any]:
            slopes = jax.grad(lambda at: self._run({**start, **at}, {})[loss])(learned)
            names = {derivative_name(loss, name): slope for name, slope in slopes.items()}
            changed = {step.name: _jax(step.expr, {**start, **learned, **names}) for step in self._updates}
            return {name: jnp.asarray(changed[new], jnp.float64) for name, new in carried.items()}

        with jax.enable_x64(True):
            first = {name: jnp.asarray(start[name], jnp.float64) for name in carried}
            last = jax.jit(lambda learned: jax.lax.fori_loop(0, count, update, learned))(first)
            return {**start, **{name: float(value) for name, value in last.items()}}


def _jax(expr: Expr, values: Mapping[str, Any]) -> Any:
    match expr:
        case Num(value):
            return machine(value)
        case Var(name):
            return values[name]
        case Sum(terms):
            return sum(_jax(term, values) for term in terms)
        case Product(factors):
            result = _jax(factors[0], values)
            for factor in factors[1:]:
                result = result * _jax(factor, values)
            return result
        case Quotient(numerator, denominator):
            return _jax(numerator, values) / _jax(denominator, values)
        case Power(base, exponent):
            return _jax(base, values) ** exponent
        case Call(function, args):
            return _jax_call(function, [_jax(arg, values) for arg in args])
    raise TypeError(f"jax: not an expression: {expr!r}")


def _jax_call(function: str, args: Sequence[Any]) -> Any:
    import jax
    import jax.numpy as jnp

    x = args[0]
    match function:
        case "sigmoid" | "softplus" | "relu":
            return getattr(jax.nn, function)(x)
        case "step":
            return jnp.where(jnp.asarray(x) > 0, 1.0, 0.0)
        case "max" | "min":
            return (jnp.maximum if function == "max" else jnp.minimum)(*args)
        case "leaky_relu":
            return jnp.where(jnp.asarray(x) > 0, x, args[1] * x)
        case "elu":
            return jnp.where(jnp.asarray(x) > 0, x, args[1] * jnp.expm1(jnp.minimum(x, 0.0)))
        case "atan":
            return jnp.arctan(x)
    return getattr(jnp, function)(x)
