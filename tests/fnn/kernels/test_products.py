"""What the machine code of matrix products computes: numbers, bounds, where there is some, and as operations of JAX."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.kernels import Factors, can_multiply, inner, is_divided, machine, making, matrix_product, product
from fnn.kernels.machine import Vectors
from tests.fnn.kernels.calling import MACHINES, ON, called

pytestmark = pytest.mark.skipif(ON is None, reason="no machine code for this processor")
F32 = np.dtype(np.float32)
SIZES = {
    "as many as vectors have lanes": (26, 64, 64),
    "no multiples of anything": (37, 45, 101),
    "few columns": (30, 300, 9),
    "few rows": (8, 100, 130),
    "few terms": (100, 8, 70),
    "terms in several blocks": (15, 600, 33),
    "many terms, not alike": (9, 1031, 40),
    "rows that crowd a cache": (29, 1024, 17),
    "columns that crowd a cache": (20, 11, 1024),
    "one more than a tile": (27, 40, 65),
}
FORMS = [(False, False), (True, False), (False, True), (True, True)]
"""Whether the left and the right factor are given transposed."""


def arrays(of, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in (of.left_shape, of.right_shape)]


def exact(a, b, of):
    """In float64, by NumPy."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a.T if of.is_left_turned else a) @ (b.T if of.is_right_turned else b)


def by_xla(a, b, of):
    return (a.T if of.is_left_turned else a) @ (b.T if of.is_right_turned else b)


def check(kernel, of, on, seed=0):
    """Whether there is code; what it computes is compared."""
    plan = kernel.plan(of, F32, on)
    if plan is None:
        return False
    a, b = arrays(of, seed)
    result, wanted = called(kernel, plan, a, b, on), exact(a, b, of)
    assert result.shape == wanted.shape
    assert np.max(np.abs(result - wanted)) <= 4e-7 * np.sqrt(of.terms) * np.max(np.abs(wanted)) + 1e-6, (of, on.lanes)
    return True


@pytest.mark.parametrize("on", MACHINES, ids=lambda on: f"{on.lanes} lanes")
@pytest.mark.parametrize("form", FORMS, ids=["plain", "left turned", "right turned", "both turned"])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_numbers_and_bounds(sizes, form, on):
    of = Factors(*sizes, *form)
    assert check(product, of, on)
    is_inner = form == (False, True) and of.columns <= 63 and of.terms >= 64 and of.terms != 1024
    assert check(inner, of, on) == is_inner


def test_random_sizes():
    rng = np.random.default_rng(1)
    n_inner = 0
    for seed in range(40):
        sizes = (int(n) for n in (rng.integers(8, 90), rng.integers(8, 400), rng.integers(8, 140)))
        of = Factors(*sizes, *(bool(rng.integers(2)) for _ in range(2)))
        for on in MACHINES:
            assert check(product, of, on, seed)
            n_inner += check(inner, of, on, seed)
    assert n_inner > 5


@pytest.mark.parametrize("on", [*MACHINES, Vectors(16, 32, "skylake-avx512")], ids=lambda on: f"{on.lanes} {on.cpu}")
@pytest.mark.parametrize("kernel", [product, inner], ids=["product", "inner"])
def test_code_calls_nothing_that_is_not_there(on, kernel):
    """Nor a function that clears or copies memory, which LLVM may make of a loop."""
    for sizes in ((37, 145, 41), (20, 1000, 50)):
        plan = kernel.plan(Factors(*sizes, False, True), F32, on)
        code = machine.compiled(making.module(kernel, plan, on), on)
        assert {b"malloc", b"free", b"sched_yield"} <= {*re.findall(rb"\0(\w+)(?=\0)", code)}
        assert not re.findall(rb"\0(__\w+|mem\w+)(?=\0)", code)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_finite_stays_where_it_is_seen(form):
    of = Factors(20, 70, 37, *form)
    a, b = arrays(of)
    a[3, 5], b[-1, -1] = np.inf, np.nan
    with np.errstate(invalid="ignore"):
        wanted = exact(a, b, of)
    for kernel in (product, inner):
        plan = kernel.plan(of, F32, ON)
        if plan is not None:
            np.testing.assert_array_equal(np.isfinite(called(kernel, plan, a, b, ON)), np.isfinite(wanted))
    assert 0 < np.sum(np.isfinite(wanted)) < wanted.size


def test_where_there_is_no_code():
    of = Factors(20, 70, 37, False, True)
    others = [of._replace(**{name: 7}) for name in ("rows", "terms", "columns")]
    others += [of._replace(rows=0), of._replace(columns=2**15), of._replace(rows=1024, columns=1024)]
    assert can_multiply(of, F32)
    assert not can_multiply(of, np.dtype(np.float64))
    assert not can_multiply(of, np.dtype(jnp.bfloat16))
    assert not any(can_multiply(other, F32) for other in others)


@pytest.mark.parametrize("form", FORMS)
def test_as_an_operation(form):
    of = Factors(20, 70, 37, *form)
    a, b = map(jnp.asarray, arrays(of))

    def multiply(a, b):
        return matrix_product(a, b, of, by_xla, [jnp.sum(a)])

    wanted = exact(np.asarray(a), np.asarray(b), of)
    for form_of in (lambda f: f, jax.jit):
        np.testing.assert_allclose(form_of(multiply)(a, b), wanted, rtol=1e-5, atol=1e-4)
    assert "fnn_" in jax.jit(multiply).lower(a, b).compile().as_text()
    with jax.disable_jit():
        np.testing.assert_allclose(multiply(a, b), wanted, rtol=1e-5, atol=1e-4)
    many = jax.vmap(multiply, (0, None))(jnp.stack([a, 2 * a]), b)
    np.testing.assert_allclose(many[1], 2 * wanted, rtol=1e-5, atol=1e-4)
    y, pullback = jax.vjp(multiply, a, b)
    _, wanted_pullback = jax.vjp(lambda a, b: by_xla(a, b, of), a, b)
    for slope, wanted_slope in zip(pullback(y), wanted_pullback(y), strict=True):
        np.testing.assert_allclose(slope, wanted_slope, rtol=1e-4, atol=1e-3)
    (found,) = jax.linear_transpose(lambda a: matrix_product(a, b, of, by_xla, [b]), a)(y)
    np.testing.assert_allclose(found, wanted_pullback(y)[0], rtol=1e-4, atol=1e-3)
    exported = jax.export.export(jax.jit(multiply))(a, b)
    assert b"fnn_" not in exported.serialize()
    np.testing.assert_allclose(jax.export.deserialize(exported.serialize()).call(a, b), wanted, rtol=1e-5, atol=1e-4)


def test_in_a_loop_it_comes_after_what_it_waits_for():
    """A result that the product waits for is made of the old numbers, though those are updated in place."""
    of = Factors(64, 32, 64, True, False)
    x, g = (jnp.asarray(array) for array in arrays(of))

    def step(w, _):
        other = g @ w.T
        return w - 0.01 * matrix_product(x, g, of, by_xla, [other]), jnp.sum(other)

    def plain(w, _):
        other = g @ w.T
        return w - 0.01 * (x.T @ g), jnp.sum(other)

    w = jnp.eye(64)
    (after, sums), (wanted, wanted_sums) = (lax.scan(one, w, None, length=5) for one in (step, plain))
    np.testing.assert_allclose(after, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(sums, wanted_sums, rtol=1e-4, atol=1e-2)


def test_small_products_are_not_divided():
    def first_operation(rows, terms, columns):
        of = Factors(rows, terms, columns, False, False)
        traced = jax.make_jaxpr(lambda a, b: matrix_product(a, b, of, by_xla))(*arrays(of))
        return traced.jaxpr.eqns[0]

    assert not is_divided(first_operation(10, 50, 64))
    assert is_divided(first_operation(128, 512, 512))
