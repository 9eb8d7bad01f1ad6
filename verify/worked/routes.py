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
from verify.expr import Call, Expr, Num, Power, Product, Quotient, Sum, Var, children, variables
from verify.reading.example import What
from verify.reading.figures import PRECISIONS, Interval, decimal
from verify.worked.autodiff import Autodiff
from verify.worked.derivation import Derivation, Kind, derivative_name, inline
from verify.worked.scalars import BALL, EXACT, MAX_SIZE, Irrational, Kink, ends, precision
from verify.worked.tape import Tape

SYMPY_DIGITS = 30
MAX_SYMPY_UPDATES = 20
MAX_SYMPY_NODES = 40_000
"""SymPy evaluates every gradient anew in each update, and a closed form repeats what several steps share; beyond so
many updates, or nodes of all the forms that are needed, two routes have to do."""
MAX_EXACT_BITS = 4_000
"""Parameters are followed through the updates as exact rationals as long as none is longer than this."""


def quantity(what: What) -> str:
    """The name in the derivation of what a claim is about, in the iteration that it is about."""
    return derivative_name(what.name, what.by) if what.by else what.name


class Balls:
    """Rigorous enclosures of the quantities of one derivation, narrower with more bits.

    What is rational all the way has its exact value, a point: only so are a tie and a zero decided.

    Raises (from :meth:`enclose`):
        ZeroDivisionError: where a division by zero, or a logarithm of zero, is computed.
        Undecided: where a comparison is undecided at this precision; ``Kink`` where it always will be.
    """

    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        self._states: dict[tuple[int, int], Mapping[str, Any]] = {}
        self._exact: list[Mapping[str, Fraction] | None] = [{}]
        self._tapes: dict[str, Tape] = {}

    def tape(self, name: str) -> Tape:
        if name not in self._tapes:
            self._tapes[name] = Tape(self.derivation, [name])
        return self._tapes[name]

    @cached_property
    def _update(self) -> Tape:
        return Tape(self.derivation, list(self.derivation.carried.values()))

    def enclose(self, what: What, bits: int) -> Interval:
        """An interval that contains the quantity: a point where it is rational."""
        name = quantity(what)
        exact = self._rational_state(what.after)
        if exact is not None:
            try:
                value = self.tape(name).run(EXACT, exact)[0]
                return value, value
            except Irrational:
                pass
        with precision(bits):
            return ends(self.tape(name).run(BALL, self.state(what.after, bits))[0])

    def known(self, what: What, bits: int) -> Interval | None:
        """The enclosure, or None where this precision says nothing: a comparison is undecided, a ball too wide.

        Raises:
            Kink: where a comparison is undecided at every precision.
            ZeroDivisionError, OverflowError: as :meth:`enclose`, at the highest precision only. At a low one it may be
                a ball that contains 0, not a number that is 0.
        """
        try:
            return self.enclose(what, bits)
        except Kink:
            raise
        except Undecided:
            return None
        except (ZeroDivisionError, OverflowError):
            if bits == PRECISIONS[-1]:
                raise
            return None

    def _rational_state(self, after: int) -> Mapping[str, Fraction] | None:
        """The parameters after so many updates, exactly; None where they are irrational, or too long."""
        while len(self._exact) <= after and self._exact[-1] is not None:
            carried = self.derivation.carried
            try:
                values = [Fraction(value) for value in self._update.run(EXACT, self._exact[-1])]
            except Irrational:
                self._exact.append(None)
                break
            short = all(v.numerator.bit_length() + v.denominator.bit_length() <= MAX_EXACT_BITS for v in values)
            self._exact.append(dict(zip(carried, values, strict=True)) if short else None)
        return self._exact[after] if after < len(self._exact) else None

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
        """The quantity to so many significant digits, each certain, and the enclosure they come from.

        What no precision tells from 0 has so many decimals, all of them 0.
        """
        interval = None
        for bits in PRECISIONS:
            interval = self.known(what, bits)
            text = None if interval is None else decimal(interval, count)
            if interval is not None and text is not None:
                return text, interval
        if interval is not None and max(map(abs, interval)) < Fraction(1, 10 ** (2 * count)):
            return decimal((Fraction(0),) * 2, count) or "", interval
        return None


class Symbolic:
    """Closed forms by composition and differentiation in SymPy."""

    def __init__(self, derivation: Derivation) -> None:
        import sympy

        self._sympy = sympy
        self._derivation = derivation
        self._forward = derivation.with_steps(derivation.of_kind(Kind.FORWARD))
        self._updates = {step.name: step for step in derivation.of_kind(Kind.UPDATE)}
        self._nodes: dict[str, int] = {}  # of each closed form, counted without writing it out
        for step in self._forward.steps:
            self._nodes[step.name] = _size(step.expr, self._nodes)
        self._forms: dict[tuple[str, str | None], Any] = {}
        self._states: list[dict[str, Any]] = [
            {given.name: sympy.Rational(given.value.numerator, given.value.denominator) for given in derivation.given}
        ]

    def value(self, what: What) -> Any:
        """The quantity as a SymPy number of 30 digits, or None where that would take too long."""
        if what.after > MAX_SYMPY_UPDATES:
            return None
        nodes = self._nodes.get(what.name, 1)
        nodes += what.after * len(self._updates) * self._nodes.get(self._derivation.loss or "", 1)
        if nodes > MAX_SYMPY_NODES:
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
                names = {name: before.get(name) for name in set(variables(self._updates[update].expr))}
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


def _size(expr: Expr, known: Mapping[str, int]) -> int:
    """The number of nodes once every name is replaced by what it stands for."""
    if isinstance(expr, Var):
        return known.get(expr.name, 1)
    return 1 + sum(_size(child, known) for child in children(expr))


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


@dataclass(frozen=True)
class Agreement:
    """One quantity by three routes: the enclosure, SymPy's digits, JAX's float, and whether they agree.

    None stands for a route that has no answer: too much work for SymPy, too large a number for float64.
    """

    enclosure: Interval
    sympy: str | None
    jax: float | None
    agree: bool


def compare(what: What, enclosure: Interval, symbolic: Symbolic, autodiff: Autodiff) -> Agreement:
    """Hold SymPy's and JAX's values against a narrow enclosure (of 20 digits or better).

    SymPy has to match to 20 significant digits; JAX to the error that float64 can make: a millionth of the value, or
    the rounding of the largest number on the way. Without any answer there is no agreement.
    """
    low, high = enclosure
    middle = (low + high) / 2
    formal, machine = symbolic.value(what), autodiff.value(what)
    agree = formal is not None or machine is not None
    if formal is not None:
        rational = _rational(formal)
        slack = (high - low) + abs(middle) / 10**20 + Fraction(1, 10**25)
        agree = agree and rational is not None and abs(rational - middle) <= slack
    if machine is not None:
        slack = abs(middle) / 10**6 + Fraction(autodiff.scale(what)) / 10**13
        agree = agree and abs(Fraction(machine) - middle) <= slack
    return Agreement(enclosure, None if formal is None else str(formal), machine, agree)


def _rational(value: Any) -> Fraction | None:
    """A SymPy number as a rational, 0 if it is nearer to 0 than any that is judged; None if it is not finite."""
    import sympy

    if not (value.is_Number and value.is_finite):
        return None
    if isinstance(value, sympy.Float):
        _, _, exponent, bits = value._mpf_
        if abs(exponent + bits) > MAX_SIZE:
            return Fraction(0) if exponent < 0 else None
    exact = sympy.Rational(value)
    return Fraction(int(exact.p), int(exact.q))
