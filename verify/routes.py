"""Three independent ways to one number; a figure is judged only where they agree.

* balls: the derivation's own backward steps, run over Arb (or exact rationals): a rigorous enclosure.
* SymPy: the forward formulas composed into one closed form, differentiated by SymPy, evaluated to 30 digits.
* JAX: the forward formulas in float64, differentiated by JAX.

Only the forward formulas are common to them. The last two confirm the first; the verdict itself rests on balls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from verify.algebra.ball import Undecided
from verify.derivation import Derivation, Kind, Step, derivative_name, inline
from verify.example import What
from verify.expr import Call, Expr, Num, Power, Product, Quotient, Sum, Var
from verify.figures import PRECISIONS, Interval, decimal
from verify.scalars import BALL, EXACT, Irrational, ends, precision
from verify.tape import Tape

SYMPY_DIGITS = 30
MAX_SYMPY_UPDATES = 20
"""SymPy evaluates every gradient anew in each update; beyond this many, two routes have to do."""


def quantity(what: What) -> str:
    """The name in the derivation of what a claim is about, in the iteration that it is about."""
    return derivative_name(what.name, what.by) if what.by else what.name


class Balls:
    """Rigorous enclosures of the quantities of one derivation, narrower with more bits.

    Raises (from :meth:`enclose`):
        ZeroDivisionError: where a division by zero, or a logarithm of zero, is computed.
        Undecided: where a comparison is undecided at this precision; ``Kink`` where it always will be.
    """

    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        self._states: dict[tuple[int, int], Mapping[str, Any]] = {}
        self._tapes: dict[str, Tape] = {}

    def tape(self, name: str) -> Tape:
        if name not in self._tapes:
            self._tapes[name] = Tape(self.derivation, [name])
        return self._tapes[name]

    @cached_property
    def _update(self) -> Tape:
        return Tape(self.derivation, list(self.derivation.carried.values()))

    def enclose(self, what: What, bits: int) -> Interval:
        """An interval that contains the quantity: a point where it is rational and no update comes before it."""
        name = quantity(what)
        if not what.after:
            try:
                value = self.tape(name).run(EXACT)[0]
                return value, value
            except Irrational:
                pass
        with precision(bits):
            return ends(self.tape(name).run(BALL, self.state(what.after, bits))[0])

    def state(self, after: int, bits: int) -> Mapping[str, Any]:
        """The parameters after so many updates, as balls."""
        if after == 0:
            return {}
        if (after, bits) not in self._states:
            carried = self.derivation.carried
            runs = self._update.iterate(BALL, list(carried))
            with precision(bits):
                for _ in range(after):
                    values = next(runs)
            self._states[after, bits] = dict(zip(carried, values, strict=True))
        return self._states[after, bits]

    def digits(self, what: What, count: int) -> tuple[str, Interval] | None:
        """The quantity to so many significant digits, each certain, and the enclosure they come from."""
        for bits in PRECISIONS:
            try:
                interval = self.enclose(what, bits)
            except Undecided:
                continue
            text = decimal(interval, count)
            if text is not None:
                return text, interval
        return None


class Symbolic:
    """Closed forms by composition and differentiation in SymPy."""

    def __init__(self, derivation: Derivation) -> None:
        import sympy

        self._sympy = sympy
        self._derivation = derivation
        self._forward = derivation.with_steps(derivation.of_kind(Kind.FORWARD))
        self._updates = {step.name: step for step in derivation.of_kind(Kind.UPDATE)}
        self._forms: dict[tuple[str, str | None], Any] = {}
        self._states: list[dict[str, Any]] = [
            {given.name: sympy.Rational(given.value.numerator, given.value.denominator) for given in derivation.given}
        ]

    def value(self, what: What) -> Any:
        """The quantity as a SymPy number of 30 digits, or None where there are too many updates before it."""
        if what.after > MAX_SYMPY_UPDATES:
            return None
        return self._evaluate(what.name, what.by, self._state(what.after), SYMPY_DIGITS)

    def _state(self, after: int) -> dict[str, Any]:
        while len(self._states) <= after:
            before = self._states[-1]
            state = dict(before)
            loss = self._derivation.loss
            for parameter, update in self._derivation.carried.items():
                # The update rule is read with the gradient as a plain symbol, then given SymPy's own gradient.
                gradient = derivative_name(loss or "", parameter)
                names = {name: before.get(name) for name in _names(self._updates[update].expr)}
                if gradient in names:
                    names[gradient] = self._evaluate(loss or "", parameter, before, 2 * SYMPY_DIGITS)
                state[parameter] = self._form_of(self._updates[update].expr, names).evalf(2 * SYMPY_DIGITS)
            self._states.append(state)
        return self._states[after]

    def _evaluate(self, name: str, by: str | None, state: Mapping[str, Any], digits: int) -> Any:
        if name in state and by is None:
            return state[name].evalf(digits)
        form = self._form(name, by)
        symbols = {self._sympy.Symbol(key, real=True): value for key, value in state.items()}
        if by is not None and by not in state:
            symbols[self._sympy.Symbol(by, real=True)] = self._evaluate(by, None, state, 2 * digits)
        return form.xreplace(symbols).evalf(digits)

    def _form(self, name: str, by: str | None) -> Any:
        if (name, by) not in self._forms:
            keep = [by] if by is not None and by in self._forward.by_name else []
            if name in keep or name not in self._forward.by_name:
                closed: Expr = Var(name)
            else:
                closed = inline(self._forward, name, keep)
            form = self._form_of(closed, {})
            self._forms[name, by] = form if by is None else form.diff(self._sympy.Symbol(by, real=True))
        return self._forms[name, by]

    def _form_of(self, expr: Expr, values: Mapping[str, Any]) -> Any:
        sympy = self._sympy

        def convert(node: Expr) -> Any:
            match node:
                case Num(value):
                    return sympy.Rational(value.numerator, value.denominator)
                case Var(name):
                    return values[name] if name in values else sympy.Symbol(name, real=True)
                case Sum(terms):
                    return sympy.Add(*map(convert, terms))
                case Product(factors):
                    return sympy.Mul(*map(convert, factors))
                case Quotient(numerator, denominator):
                    return convert(numerator) / convert(denominator)
                case Power(base, exponent):
                    return convert(base) ** exponent
                case Call(function, args):
                    return _sympy_call(sympy, function, [convert(arg) for arg in args])
            raise TypeError(f"sympy: not an expression: {node!r}")

        return convert(expr)


def _names(expr: Expr) -> set[str]:
    from verify.expr import variables

    return set(variables(expr))


def _sympy_call(sympy: Any, function: str, args: Sequence[Any]) -> Any:
    x = args[0]
    match function:
        case "sigmoid":
            return 1 / (1 + sympy.exp(-x))
        case "softplus":
            return sympy.log(1 + sympy.exp(x))
        case "relu":
            return sympy.Max(x, 0)
        case "step":
            return sympy.Heaviside(x, 0)
        case "abs":
            return sympy.Abs(x)
        case "max":
            return sympy.Max(*args)
        case "min":
            return sympy.Min(*args)
        case "leaky_relu":
            return sympy.Max(x, 0) + args[1] * sympy.Min(x, 0)
        case "elu":
            return sympy.Max(x, 0) + args[1] * (sympy.exp(sympy.Min(x, 0)) - 1)
    return getattr(sympy, function)(*args)


class Autodiff:
    """JAX in float64: values, and reverse-mode derivatives by every named scalar at once."""

    def __init__(self, derivation: Derivation) -> None:
        self._forward = derivation.of_kind(Kind.FORWARD)
        self._derivation = derivation
        self._updates = derivation.of_kind(Kind.UPDATE)
        self._states: list[dict[str, Any]] = [{given.name: float(given.value) for given in derivation.given}]
        self._gradients: dict[tuple[str, int], Mapping[str, float]] = {}
        self._values: dict[int, Mapping[str, float]] = {}

    def value(self, what: What) -> float:
        """The quantity in float64."""
        if what.by is None:
            return self._forward_values(what.after)[what.name]
        return self._gradient(what.name, what.after)[what.by]

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
        import jax

        while len(self._states) <= after:
            before = self._states[-1]
            gradient = self._gradient(self._derivation.loss or "", len(self._states) - 1)
            names = {derivative_name(self._derivation.loss or "", name): slope for name, slope in gradient.items()}
            with jax.enable_x64(True):
                changed = {step.name: float(_jax(step.expr, {**before, **names})) for step in self._updates}
            self._states.append({**before, **{name: changed[new] for name, new in self._derivation.carried.items()}})
        return self._states[after]


def _jax(expr: Expr, values: Mapping[str, Any]) -> Any:
    match expr:
        case Num(value):
            return float(value)
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


@dataclass(frozen=True)
class Agreement:
    """One quantity by three routes: the enclosure, SymPy's digits, JAX's float, and whether they agree."""

    enclosure: Interval
    sympy: str | None
    jax: float
    agree: bool


def compare(what: What, enclosure: Interval, symbolic: Symbolic, autodiff: Autodiff) -> Agreement:
    """Hold SymPy's and JAX's values against a narrow enclosure (of 20 digits or better).

    SymPy has to match to 20 significant digits; JAX to the error that float64 can make, a millionth of the value or
    a few units of rounding of a number of size one.
    """
    low, high = enclosure
    middle = (low + high) / 2
    formal = symbolic.value(what)
    close = True
    if formal is not None:
        rational = _rational(formal)
        close = abs(rational - middle) <= (high - low) + abs(middle) / 10**20 + Fraction(1, 10**25)
    machine = autodiff.value(what)
    near = abs(Fraction(machine) - middle) <= abs(middle) / 10**6 + Fraction(1, 10**13) if _finite(machine) else False
    return Agreement(enclosure, None if formal is None else str(formal), machine, close and near)


def _finite(value: float) -> bool:
    return value - value == 0


def _rational(value: Any) -> Fraction:
    import sympy

    exact = sympy.Rational(value)
    return Fraction(int(exact.p), int(exact.q))


def forward_names(steps: Sequence[Step]) -> tuple[str, ...]:
    """The names that the forward steps define."""
    return tuple(step.name for step in steps if step.kind == Kind.FORWARD)
