"""What the machine code of matrix products computes: numbers, bounds, where there is some, and as operations of JAX."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.kernels import Factors, can_multiply, inner, machine, making, matrix_product, product, undivided
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
    n_codes = 0
    for sizes, form in itertools.product([(37, 145, 41), (20, 1000, 50), (29, 1024, 1024)], FORMS):
        plan = kernel.plan(Factors(*sizes, *form), F32, on)
        if plan is not None:
            n_codes += 1
            code = machine.compiled(making.module(kernel, plan, on), on)
            assert {b"malloc", b"free", b"sched_yield"} <= {*re.findall(rb"\0(\w+)(?=\0)", code)}
            assert not re.findall(rb"\0(__\w+|mem\w+)(?=\0)", code)
    assert n_codes == (8 if kernel is product else 2)


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


@pytest.mark.parametrize("on", MACHINES, ids=lambda on: f"{on.lanes} lanes")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["alike", "positive"])
def test_many_terms_lose_few_digits(kind, form, on):
    """Which they would in one chain of sums: some 3e-5 of 10,000 terms that are alike, where XLA loses 1e-6."""
    for kernel, n_terms in ((product, 10_000), (inner, 250 * on.lanes)):
        of = Factors(9, n_terms, 20, *form)
        a, b = (np.abs(array) if kind == "positive" else np.full_like(array, 0.1) for array in arrays(of))
        wanted, plan = exact(a, b, of), kernel.plan(of, F32, on)
        assert (plan is None) == (kernel is inner and form != (False, True))
        if plan is not None:
            error = np.max(np.abs(called(kernel, plan, a, b, on) - wanted)) / np.max(wanted)
            assert error < 4e-6, (kernel.__name__, error)


def test_where_there_is_no_code():
    of = Factors(20, 70, 37, False, True)
    others = [of._replace(**{name: 7}) for name in ("rows", "terms", "columns")]
    others += [
        of._replace(terms=2**14 + 1),
        of._replace(rows=0),
        of._replace(columns=2**15),
        of._replace(rows=1024, columns=1024),
    ]
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


@pytest.mark.parametrize("axes", [(0, None, None), (None, None, 0), (None, 0, 0)])
def test_what_it_comes_after_counts_for_nothing_else(axes):
    of = Factors(20, 70, 37, False, False)
    a, b = map(jnp.asarray, arrays(of))

    def multiply(a, b, after):
        return matrix_product(a, b, of, by_xla, [after])

    given = [jnp.stack([one, one]) if axis == 0 else one for one, axis in zip((a, b, a), axes, strict=True)]
    for result in jax.vmap(multiply, axes)(*given):
        np.testing.assert_allclose(result, a @ b, rtol=1e-4, atol=1e-4)
    _, moved = jax.jvp(lambda after: multiply(a, b, after), (a,), (a,))
    assert not np.any(moved)
    (found,) = jax.linear_transpose(lambda after: jnp.sum(multiply(a, b, after)) * 0 + jnp.sum(after), a)(1.0)
    np.testing.assert_array_equal(found, jnp.ones_like(a))


@pytest.mark.parametrize("sizes", [(512, 128, 10), (429, 40, 32), (512, 128, 30), (104, 64, 32), (40, 4000, 200)])
@pytest.mark.parametrize("form", FORMS)
def test_parts_have_about_as_much_to_do(sizes, form):
    of = Factors(*sizes, *form)
    plan = product.plan(of, F32, ON)
    tiles, bands = product._tiles(of, ON), product._bands(of, ON)
    firsts = [band * tiles // bands for band in range(bands + 1)]
    per_band = [after - before for before, after in itertools.pairwise(firsts)]
    n_panels = -(-of.columns // (2 * ON.lanes))
    assert plan.bounds[-1] == n_panels * bands
    assert len(plan.bounds) - 1 <= 32
    assert sum(per_band) == tiles
    assert max(per_band) - min(per_band) <= 1 <= min(per_band)


def parts(of):
    return len(product.plan(of, F32, ON).bounds) - 1


def test_small_products_are_not_divided():
    of = Factors(128, 512, 512, False, False)
    assert parts(of._replace(rows=10, terms=50, columns=64)) == 1
    assert parts(of) > 1
    assert parts(of._replace(is_divided=False)) == 1


def test_products_that_ask_no_other_thread_for_help():
    """By another name for XLA, and with the same bits."""
    of = Factors(64, 128, 128, False, False)
    a, b = map(jnp.asarray, arrays(of))
    divided = jax.jit(lambda a, b: matrix_product(a, b, of, by_xla)).lower(a, b).compile()
    with undivided():
        alone = jax.jit(lambda a, b: matrix_product(a, b, of, by_xla)).lower(a, b).compile()
    names = [set(re.findall(r"fnn_\w{32}", program.as_text())) for program in (divided, alone)]
    assert names[0]
    assert names[0] != names[1]
    np.testing.assert_array_equal(divided(a, b), alone(a, b))
