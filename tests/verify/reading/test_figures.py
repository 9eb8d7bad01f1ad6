"""Printed figures: their intervals and their verdicts."""

from __future__ import annotations

from fractions import Fraction

import pytest

from verify.reading.figures import FigureError, Interval, Verdict, decimal, judge, read


def exactly(text: str) -> Interval:
    value = Fraction(text)
    return value, value


@pytest.mark.parametrize(
    ("printed", "exact", "verdict"),
    [
        ("0.186815602", "0.18681560180895948661", Verdict.RIGHT),
        ("0.40", "0.4", Verdict.RIGHT),
        ("1", "1", Verdict.RIGHT),
        ("-0.217071535", "-0.21707153467853741148", Verdict.RIGHT),
        ("0.2", "0.25", Verdict.RIGHT),  # an exact tie is right both ways
        ("0.3", "0.25", Verdict.RIGHT),
        ("0.66", "0.6666666", Verdict.TRUNCATED),
        ("-0.66", "-0.6666666", Verdict.TRUNCATED),
        ("0.0", "0.09", Verdict.TRUNCATED),
        ("0.249751140", "0.24975114363236956996", Verdict.PADDED),
        ("-0.019049119", "-0.019049118258278108266", Verdict.LAST_DIGIT),
        ("0.34", "0.3333333", Verdict.LAST_DIGIT),
        ("-0.005276551", "0.10040032511200074945", Verdict.WRONG),
        ("0.5", "-0.5", Verdict.WRONG),
        ("1.2e3", "1249", Verdict.RIGHT),
        ("1200", "1249", Verdict.WRONG),
    ],
)
def test_verdicts(printed: str, exact: str, verdict: Verdict) -> None:
    assert judge(read(printed), lambda bits: exactly(exact)) == verdict


def test_a_straddled_boundary_asks_for_more_bits_and_then_decides() -> None:
    asked: list[int] = []

    def enclose(bits: int) -> Interval:
        asked.append(bits)
        width = Fraction(1, 2**bits)
        return Fraction("0.1250000000000000000000000001") - width, Fraction("0.1250000000000000000000000001") + width

    assert judge(read("0.12"), enclose) == Verdict.TRUNCATED
    assert len(asked) == 2


def test_a_boundary_that_never_resolves_is_undecided() -> None:
    def enclose(bits: int) -> Interval:
        return Fraction(1, 8) - Fraction(1, 2**bits), Fraction(1, 8) + Fraction(1, 2**bits)

    assert judge(read("0.12"), enclose) == Verdict.UNDECIDED


def test_an_interval_around_the_printed_value_is_right() -> None:
    assert judge(read("-0.930000000"), lambda bits: (Fraction("-0.93") - 1 / Fraction(10**12), Fraction("-0.93"))) == (
        Verdict.RIGHT
    )


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "--1", "0x10", "1e999999", "nan", "1_000", "٣", "1" * 70])
def test_what_is_no_figure_is_refused(text: str) -> None:
    with pytest.raises(FigureError, match="is not a decimal number"):
        read(text)


def test_a_decimal_comma_and_a_typographic_minus() -> None:
    assert read("−0,75").value == Fraction(-3, 4)


def test_digits_counts_significant_digits() -> None:
    assert [read(t).digits for t in ("0.0050", "12.0", "0", "1200")] == [2, 3, 0, 4]


def test_decimal_rounds_only_what_is_certain() -> None:
    assert decimal((Fraction(1, 3), Fraction(1, 3) + Fraction(1, 10**20)), 15) == "0.333333333333333"
    assert decimal((Fraction(0), Fraction(1)), 15) is None
    assert decimal(exactly("0.99999"), 3) == "1.00"
    assert decimal(exactly("0"), 15) == "0." + "0" * 15
    assert decimal(exactly("1234567890123456789"), 3) == "1.23e+18"
