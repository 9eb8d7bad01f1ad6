"""What a literal is taken for."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from verify.algebra.literals import digits, read, shortest


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (np.float32(0.1), "1/10"),
        (np.float32(0.044715), "8943/200000"),
        (np.float32(1e-5), "1/100000"),
        (np.float32(0.7978845608), "sqrt(2/pi)"),
        (np.float64(0.7978845608), "sqrt(2/pi)"),
        (np.float32(-1.1283792), "-2/sqrt(pi)"),
        (np.float32(np.pi), "pi"),
        (np.float32(np.log(2)), "log(2)"),
        (np.float32(1 / 3), "1/3"),
        (np.float64(2 / 3), "2/3"),
        (np.float32(0), "0"),
        (ml_dtypes.bfloat16(0.1), "1/10"),
        (np.float16(0.1), "1/10"),
    ],
)
def test_readings(value, meaning):
    assert str(read(value)) == meaning


@pytest.mark.parametrize("value", [1.0000001, 0.79789, 0.7978, 0.33333, 1.00001, 0.797884])
def test_a_number_beside_a_constant_is_itself(value):
    reading = read(np.float32(value))
    assert not reading.rounded
    assert reading.factor == Fraction(shortest(np.float32(value)))


def test_significant_digits():
    assert [digits(text) for text in ("0.5", "100", "1.25e-3", "0.3333333")] == [1, 1, 3, 7]
