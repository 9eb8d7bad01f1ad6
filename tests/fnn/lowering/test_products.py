"""Which products are rewritten, and how: all shapes that weight gradients have, and those that are left alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.lowering import canonical

FIRST = (((0,), (0,)), ((), ()))


def product(a, b, axes=FIRST):
    return lax.dot_general(a, b, axes)


@pytest.mark.parametrize(("n_in", "n_out"), [(100, 10), (10, 100), (100, 120), (1, 70)])
@pytest.mark.parametrize(
    "form",
    [product, lambda a, b: product(a, b).T, lambda a, b: a.T @ b, lambda a, b: (a.T @ b).T, lambda a, b: a.T @ b.T.T],
    ids=["as is", "flipped", "written out", "written out, flipped", "twice transposed"],
)
def test_transposed_products(form, n_in, n_out):
    rng = np.random.default_rng(n_in)
    a, b = jnp.asarray(rng.normal(size=(6, n_in))), jnp.asarray(rng.normal(size=(6, n_out)))
    np.testing.assert_allclose(jax.jit(canonical(form))(a, b), form(a, b), rtol=1e-5, atol=1e-5)
    operations = str(jax.make_jaxpr(canonical(form))(a, b))
    assert "optimization_barrier" in operations
    assert "(([0], [0])" not in operations


@pytest.mark.parametrize("flipped", [False, True])
def test_a_large_factor_is_not_transposed_but_the_narrow_one_stays_left(flipped):
    a, b = jnp.ones((70_000, 9)), jnp.ones((70_000, 32))
    form = (lambda a, b: product(b, a)) if flipped else product
    traced = jax.make_jaxpr(canonical(form))(a, b)
    assert "f32[9,32] = dot_general[dimension_numbers=(([0], [0])" in str(traced)
    transposed = [eqn.invars[0].aval.shape for eqn in traced.eqns if eqn.primitive.name == "transpose"]
    assert transposed == ([(9, 32)] if flipped else [])
    np.testing.assert_array_equal(canonical(form)(a, b), form(a, b))


def test_result_that_is_used_both_ways():
    def both(a, b):
        y = product(a, b)
        return y, y.T

    a, b = jnp.ones((3, 80)), jnp.arange(300.0).reshape(3, 100)
    for got, expected in zip(jax.jit(canonical(both))(a, b), both(a, b), strict=True):
        np.testing.assert_allclose(got, expected)


def test_several_summed_and_several_free_axes():
    a, b = jnp.arange(120.0).reshape(2, 3, 4, 5), jnp.arange(42.0).reshape(2, 3, 7)
    axes = (((0, 1), (0, 1)), ((), ()))
    got = canonical(lambda a, b: product(a, b, axes))(a, b)
    np.testing.assert_allclose(got, product(a, b, axes), rtol=1e-5)
    assert got.shape == (4, 5, 7)


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        (((3, 4), (4, 5)), (((1,), (0,)), ((), ()))),  # plain
        (((3, 4), (5, 4)), (((1,), (1,)), ((), ()))),  # the gradient of the inputs
        (((2, 3, 4), (2, 3, 5)), (((1,), (1,)), ((0,), (0,)))),  # a batch of products
        (((2, 3, 4), (3, 2, 5)), (((0, 1), (1, 0)), ((), ()))),  # summed in another order
        (((3,), (3, 5)), FIRST),  # a vector
        (((0, 4), (0, 5)), FIRST),  # nothing to sum
        (((3, 4), (5, 6)), (((), ()), ((), ()))),  # nothing summed
    ],
)
def test_what_is_left_as_it_is(shapes, axes):
    a, b = (jnp.ones(shape) for shape in shapes)
    function = lambda a, b: product(a, b, axes)  # noqa: E731
    assert str(jax.make_jaxpr(canonical(function))(a, b)) == str(jax.make_jaxpr(function)(a, b))
