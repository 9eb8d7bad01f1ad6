"""The derivation as worked by hand: every step's result rounded to so many decimals before it is used again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from verify.algebra.ball import Undecided
from verify.expr import variables
from verify.reading.example import Given, What
from verify.reading.figures import PRECISIONS
from verify.worked.derivation import Derivation
from verify.worked.routes import quantity
from verify.worked.scalars import BALL, EXACT, Irrational, ends, precision
from verify.worked.tape import Tape


def rounded(derivation: Derivation, places: int, wanted: Sequence[What]) -> dict[What, Fraction]:
    """The wanted quantities, every intermediate result rounded half away from zero to ``places`` decimals.

    The wanted quantity itself is left as its last step gives it: what is printed may be that, or its rounding. A
    quantity that cannot be decided (a tie between two roundings of an irrational number, a division by zero) is left
    out.
    """
    found: dict[What, Fraction] = {}
    state = {given.name: given.value for given in derivation.given}
    unrounded: dict[str, Fraction] = {}
    for after in range(max((what.after for what in wanted), default=0) + 1):
        exact: dict[str, Fraction] = {}
        values: dict[str, Fraction] = dict(state)
        for step in derivation.steps:
            try:
                exact[step.name] = _value(derivation, step.name, values)
            except (ArithmeticError, KeyError):
                continue  # what needs it is left out too
            values[step.name] = round_half_away(exact[step.name], places)
        for what in wanted:
            if what.after == after:
                name = quantity(what)
                if name in exact:
                    found[what] = exact[name]
                elif name in unrounded and after:
                    found[what] = unrounded[name]
        unrounded = {name: exact[new] for name, new in derivation.carried.items() if new in exact}
        state = {**state, **{name: values[new] for name, new in derivation.carried.items() if new in values}}
    return found


def round_half_away(value: Fraction, places: int) -> Fraction:
    """The decimal with so many places that is nearest, a tie away from zero.

    Example:
        >>> from fractions import Fraction
        >>> round_half_away(Fraction(-5, 2), 0), round_half_away(Fraction(1, 3), 2)
        (Fraction(-3, 1), Fraction(33, 100))
    """
    unit = Fraction(10) ** -places
    size = abs(value) / unit + Fraction(1, 2)
    whole = size.numerator // size.denominator
    return (whole if value >= 0 else -whole) * unit


def _value(derivation: Derivation, name: str, values: Mapping[str, Fraction]) -> Fraction:
    """One step over exact operands: the value itself if it is rational, else a decimal of 60 certain bits."""
    step = derivation.by_name[name]
    operands = tuple(Given(used, values[used], "") for used in dict.fromkeys(variables(step.expr)))
    tape = Tape(Derivation(operands, (step,), {}), [name])
    try:
        return Fraction(tape.run(EXACT)[0])
    except Irrational:
        pass
    for bits in PRECISIONS:
        with precision(bits):
            try:
                low, high = ends(tape.run(BALL)[0])
            except Undecided:
                continue
        if high - low <= abs(low) / 2**60:
            return (low + high) / 2
    raise Undecided(f"{name} is not determined")
