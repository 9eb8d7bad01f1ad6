"""A printed figure, the interval that its digits stand for, and the verdict on it.

The verdict rests on an enclosure of the exact value, never on a float: as long as the enclosure straddles a boundary,
the caller is asked for a narrower one, and if none settles it, the answer is ``undecided``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

Interval = tuple[Fraction, Fraction]
Enclose = Callable[[int], Interval | None]

PRECISIONS = (64, 128, 256, 512, 1024, 2048)
_FIGURE = re.compile(r"([+\-−]?)\s*(\d{0,60})(?:[.,](\d{0,60}))?(?:[eE]([+-]?\d{1,5}))?", re.ASCII)


class Verdict(StrEnum):
    """What a printed figure is, next to the exact value."""

    RIGHT = "right"  # correctly rounded
    TRUNCATED = "truncated"  # the exact digits, cut off
    PADDED = "padded"  # right to fewer digits, then zeros
    LAST_DIGIT = "last-digit"  # one unit off in the last printed digit
    WRONG = "wrong"
    UNDECIDED = "undecided"


class FigureError(ValueError):
    """A printed figure that is not a decimal number."""


@dataclass(frozen=True)
class Figure:
    """A printed decimal: its value, and the place of its last digit (3 for 0.775, -1 for 1.2e2)."""

    text: str
    value: Fraction
    places: int

    @property
    def unit(self) -> Fraction:
        """One unit in the last printed place."""
        return Fraction(10) ** -self.places

    @property
    def digits(self) -> int:
        """How many significant digits are printed (leading zeros are not, trailing zeros are)."""
        scaled = abs(self.value / self.unit)
        return len(str(int(scaled))) if scaled else 0

    @property
    def interval(self) -> Interval:
        """The values that round to what is printed."""
        return self.value - self.unit / 2, self.value + self.unit / 2


def read(text: str) -> Figure:
    """Read a printed figure. A decimal comma is a decimal point.

    Raises:
        FigureError: if the text is not a decimal number.

    Example:
        >>> from verify.reading.figures import read
        >>> read("0,40").value, read("0.40").places, read("-1.2e3").unit
        (Fraction(2, 5), 2, Fraction(100, 1))
    """
    match = _FIGURE.fullmatch(text.strip())
    if not match or not (match[2] or match[3]):
        raise FigureError(f'printed figure "{text[:40]}" is not a decimal number')
    sign, whole, decimals, exponent = match[1], match[2] or "0", match[3] or "", int(match[4] or 0)
    magnitude = Fraction(int(whole + decimals)) / Fraction(10) ** len(decimals) * Fraction(10) ** exponent
    return Figure(text.strip(), -magnitude if sign in ("-", "−") else magnitude, len(decimals) - exponent)


def judge(printed: Figure, enclose: Enclose) -> Verdict:
    """The verdict on a printed figure.

    Args:
        printed: the figure.
        enclose: gives, for a precision in bits, an interval that surely contains the exact value, or None where that
            precision says nothing.

    Returns:
        The first that holds of right, truncated, padded, last-digit; else wrong; ``undecided`` where even the highest
        precision leaves the exact value on a boundary. An exact tie (0.25 printed 0.2 or 0.3) is right both ways.

    Example:
        >>> from fractions import Fraction
        >>> from verify.reading.figures import judge, read
        >>> third = lambda bits: (Fraction(1, 3), Fraction(1, 3))
        >>> [str(judge(read(t), third)) for t in ("0.333", "0.330", "0.334", "0.34", "0.4")]
        ['right', 'padded', 'last-digit', 'last-digit', 'last-digit']
    """
    for bits in PRECISIONS:
        interval = enclose(bits)
        verdict = None if interval is None else _decide(printed, *interval)
        if verdict is not None:
            return verdict
    return Verdict.UNDECIDED


def _decide(printed: Figure, low: Fraction, high: Fraction) -> Verdict | None:
    """The verdict, or None where it is not the same for the whole of [low, high]."""
    verdict = _classify(printed, low)
    if verdict != _classify(printed, high):
        return None
    # What is right at both ends is right between them; the other verdicts hold on several intervals each.
    return verdict if verdict == Verdict.RIGHT or not _boundary_between(printed, low, high) else None


def _boundary_between(printed: Figure, low: Fraction, high: Fraction) -> bool:
    """Whether a point where the verdict may change lies in [low, high]."""
    unit, value = printed.unit, printed.value
    if low == high:
        return False
    cut_off = [k for k in (-2, 2) if k * value >= 0]  # digits are cut off away from 0
    edges = [value + unit * Fraction(k, 2) for k in (-3, -1, 1, 3, *cut_off)]
    shorter = without_zeros(printed)
    if shorter is not None:
        edges.extend(shorter.interval)
    return any(low <= edge <= high for edge in edges)


def _classify(printed: Figure, exact: Fraction) -> Verdict:
    distance, unit = abs(exact - printed.value), printed.unit
    if distance <= unit / 2:
        return Verdict.RIGHT
    same_sign = printed.value * exact > 0 or printed.value == 0
    if same_sign and 0 <= abs(exact) - abs(printed.value) < unit:
        return Verdict.TRUNCATED
    shorter = without_zeros(printed)
    if shorter is not None and abs(exact - shorter.value) <= shorter.unit / 2:
        return Verdict.PADDED
    if distance <= unit * Fraction(3, 2):
        return Verdict.LAST_DIGIT
    return Verdict.WRONG


def without_zeros(printed: Figure) -> Figure | None:
    """The figure without the zeros at its end; None if there are none, or nothing else."""
    scaled, places = printed.value / printed.unit, printed.places
    if scaled == 0:
        return None
    while scaled % 10 == 0 and places > 0:
        scaled, places = scaled / 10, places - 1
    return Figure(printed.text, printed.value, places) if places < printed.places else None


def machine(value: Fraction) -> float:
    """The nearest float64; infinite where there is none.

    Example:
        >>> from fractions import Fraction
        >>> machine(Fraction(1, 4)), machine(-(Fraction(10) ** 400))
        (0.25, -inf)
    """
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def decimal(interval: Interval, digits: int) -> str | None:
    """The decimal with that many significant digits which every number of the interval rounds to; None if none does.

    Example:
        >>> from fractions import Fraction
        >>> decimal((Fraction(1, 3), Fraction(1, 3)), 15), decimal((Fraction(-1), Fraction(-1)), 3)
        ('0.333333333333333', '-1.00')
    """
    ends = {_round(end, digits) for end in interval}
    return ends.pop() if len(ends) == 1 else None


def _round(value: Fraction, digits: int) -> str:
    if value == 0:
        return "0." + "0" * digits
    magnitude = abs(value)
    bits = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent = math.floor(bits * math.log10(2))  # at most one off
    while magnitude < Fraction(10) ** exponent:
        exponent -= 1
    while magnitude >= Fraction(10) ** (exponent + 1):
        exponent += 1
    places = digits - 1 - exponent
    scaled = round(magnitude * Fraction(10) ** places)
    if scaled >= 10**digits:
        scaled, places, exponent = scaled // 10, places - 1, exponent + 1
    sign = "-" if value < 0 else ""
    if not -7 <= exponent < digits:
        text = str(scaled)
        return f"{sign}{text[0]}.{text[1:]}e{exponent:+03d}"
    text = str(scaled).rjust(places + 1, "0")
    return f"{sign}{text[:-places]}.{text[-places:]}" if places > 0 else sign + text
