"""Arrays modulo 2^61 - 1 against Python's integers."""

from fractions import Fraction

import numpy as np
import pytest

from verify.algebra import modular
from verify.algebra.modular import P

EDGES = [0, 1, 2, P - 1, P - 2, (1 << 32) - 1, 1 << 32, (1 << 60) + 12345]


@pytest.fixture(scope="module")
def pair():
    generator = np.random.default_rng(0)
    x = np.append(np.array(EDGES, np.uint64), generator.integers(0, P, 200, dtype=np.uint64))
    y = np.append(np.array(EDGES[::-1], np.uint64), generator.integers(0, P, 200, dtype=np.uint64))
    return x, y


def integers(x):
    return [int(v) for v in np.ravel(x)]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (modular.add, lambda a, b: (a + b) % P),
        (modular.sub, lambda a, b: (a - b) % P),
        (modular.mul, lambda a, b: a * b % P),
        (modular.power, lambda a, b: pow(a, b, P)),
    ],
)
def test_two_arguments(pair, ours, theirs):
    x, y = pair
    assert integers(ours(x, y)) == [theirs(a, b) for a, b in zip(integers(x), integers(y), strict=True)]


def test_negation_and_inverse(pair):
    x, _ = pair
    assert integers(modular.neg(x)) == [-a % P for a in integers(x)]
    assert integers(modular.inverse(x)) == [pow(a, P - 2, P) for a in integers(x)]
    assert modular.inverse(np.zeros((0, 2), np.uint64)).shape == (0, 2)


@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 2100, 3), (40, 30, 20)])
def test_matrix_products_by_every_route(shape):
    m, k, n = shape
    generator = np.random.default_rng(1)
    x = generator.integers(0, P, (2, m, k), dtype=np.uint64)
    y = generator.integers(0, P, (2, k, n), dtype=np.uint64)
    expected = np.matmul(x.astype(object), y.astype(object)) % P
    assert np.array_equal(modular.matmul(x, y).astype(object), expected)


def test_the_largest_entries_do_not_overflow():
    x = np.full((1, 4096), P - 1, np.uint64)
    assert integers(modular.total(x, (1,))) == [4096 * (P - 1) % P]
    assert integers(modular.matmul(x, x.T.copy())) == [4096 % P]


def test_powers_of_the_generator():
    assert all(pow(37, (P - 1) // q, P) != 1 for q in (2, 3, 5, 7, 11, 13, 31, 41, 61, 151, 331, 1321))
    rest = P - 1
    for q in (2, 3, 3, 5, 5, 7, 11, 13, 31, 41, 61, 151, 331, 1321):
        rest //= q
    assert rest == 1
    exponent = np.array([0, 1, P - 2, 123456789], np.uint64)
    table = modular.power_table(37)
    assert integers(modular.generator_power(table, exponent)) == [pow(37, e, P) for e in integers(exponent)]


def test_rationals_and_roots():
    assert modular.residue(Fraction(-3, 7)) * 7 % P == P - 3
    assert pow(modular.square_root(2), 2, P) == 2
    assert modular.square_root(P - 1) is None
    with pytest.raises(ZeroDivisionError):
        modular.residue(Fraction(1, P))


def test_hashes_depend_on_key_and_value_alone():
    x = np.arange(1000, dtype=np.uint64)
    first = modular.keyed_hash(12345 << 64 | 678, x)
    assert np.array_equal(first, modular.keyed_hash(12345 << 64 | 678, x))
    assert len(set(integers(first)) | set(integers(modular.keyed_hash(1, x)))) == 2000
    assert max(integers(first)) < P
