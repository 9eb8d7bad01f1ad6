"""Convolutions by values at points: the identity exactly, the results against XLA's, and where they are left alone."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import verify
from fnn.lowering import canonical, winograd

AXES = ("NHWC", "HWIO", "NHWC")


def convolution(padding="SAME", **other):
    given = {"window_strides": (1, 1), "padding": padding, "dimension_numbers": AXES} | other
    return lambda x, w: lax.conv_general_dilated(x, w, **given)


def with_gradients(convolve):
    def run(x, w, g):
        y, pullback = jax.vjp(convolve, x, w)
        return y, *pullback(g)

    return run


def arguments(x_shape, w_shape, convolve):
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=shape).astype(np.float32) for shape in (x_shape, w_shape))
    return x, w, rng.normal(size=jax.eval_shape(convolve, x, w).shape).astype(np.float32)


def in_float64(function, given):
    with jax.enable_x64(True):
        results = jax.jit(function)(*(jnp.asarray(array, jnp.float64) for array in given))
        return [np.asarray(result) for result in results]


def distance(result, value):
    return np.sqrt(np.mean((np.asarray(result, np.float64) - value) ** 2))


def convolutions(function, *given):
    """The windows' columns, and those of the results, of all convolutions in a function."""
    eqns = jax.make_jaxpr(function)(*given).jaxpr.eqns
    found = [eqn for eqn in eqns if eqn.primitive.name == "conv_general_dilated"]
    return [(eqn.invars[1].aval.shape[1], eqn.outvars[0].aval.shape[2]) for eqn in found]


@pytest.mark.parametrize("r", range(1, 7))
def test_the_identity_is_exact(r):
    """The sum over the points of A G B is 1 where the column is that of the tap, moved; else 0."""
    of = winograd.exact(r)
    for q, p, column in np.ndindex(len(of.many[0]), r, len(of.data)):
        total = sum(a[q] * g[p] * b[column] for a, g, b in zip(of.many, of.few, of.data, strict=True))
        assert total == Fraction(column == p + q)


GEOMETRIES = {
    "3 x 3": ((8, 7, 14, 16), (3, 3, 16, 48), "SAME", {}),
    "fewer channels out": ((8, 7, 14, 48), (3, 3, 48, 16), "SAME", {}),
    "as many channels out": ((8, 6, 12, 24), (3, 3, 24, 24), "SAME", {}),
    "nothing around": ((8, 7, 18, 32), (3, 3, 32, 32), "VALID", {}),
    "more around than is seen": ((8, 12, 8, 24), (2, 3, 24, 48), ((1, 0), (4, 5)), {}),
    "more around, fewer channels out": ((8, 12, 8, 48), (2, 3, 48, 24), ((1, 0), (6, 0)), {}),
    "more behind, fewer channels out": ((8, 12, 8, 48), (2, 3, 48, 24), ((1, 0), (1, 7)), {}),
    "cut off": ((8, 9, 20, 24), (3, 3, 24, 48), ((-1, 1), (-2, -3)), {}),
    "cut off, fewer channels out": ((8, 9, 20, 48), (3, 3, 48, 24), ((-1, 1), (-2, -3)), {}),
    "two columns": ((8, 5, 15, 32), (3, 2, 32, 32), ((1, 1), (0, 1)), {}),
    "four columns": ((8, 5, 15, 32), (2, 4, 32, 40), "SAME", {}),
    "five columns": ((8, 8, 13, 40), (5, 5, 40, 32), "SAME", {}),
    "a stride along the rows": ((8, 9, 16, 32), (3, 3, 32, 32), "SAME", {"window_strides": (2, 1)}),
    "gaps along the rows": ((8, 9, 16, 32), (3, 3, 32, 32), "SAME", {"rhs_dilation": (2, 1)}),
}


@pytest.mark.parametrize("case", GEOMETRIES)
def test_any_geometry(case):
    x_shape, w_shape, padding, other = GEOMETRIES[case]
    convolve = convolution(padding, **other)
    function, given = with_gradients(convolve), arguments(x_shape, w_shape, convolve)
    done = convolutions(canonical(function), *given)
    # Six for each: the image and the gradient of the image with one column of taps, that of the window with one out.
    assert [columns for columns, _ in done].count(1) == 12
    assert [columns for _, columns in done].count(1) == 6
    for got, value in zip(jax.jit(canonical(function))(*given), in_float64(function, given), strict=True):
        assert got.shape == value.shape
        assert distance(got, value) < 4e-6 * np.std(value)


def test_how_far_from_exact():
    """Of results at most three times as far as those of sums of products, of gradients of windows six times."""
    convolve = convolution()
    function, given = with_gradients(convolve), arguments((16, 14, 14, 32), (3, 3, 32, 64), convolve)
    plain, fast, exact = jax.jit(function)(*given), jax.jit(canonical(function))(*given), in_float64(function, given)
    for times, here, there, value in zip((3, 3, 6), fast, plain, exact, strict=True):
        assert 0 < distance(here, value) < times * distance(there, value)


LEFT_ALONE = {
    "few channels": ((4, 12, 12, 16), (3, 3, 16, 32), {}),
    "few channels of many numbers": ((128, 28, 28, 32), (3, 3, 32, 32), {}),
    "few columns": ((4, 12, 5, 32), (3, 3, 32, 64), {}),
    "a window of one row": ((4, 12, 12, 32), (1, 3, 32, 64), {}),
    "a window of one column": ((4, 12, 12, 32), (3, 1, 32, 64), {}),
    "a stride": ((4, 12, 13, 32), (3, 3, 32, 64), {"window_strides": (1, 2)}),
    "gaps": ((4, 12, 12, 32), (3, 3, 32, 64), {"rhs_dilation": (1, 2)}),
    "a precision asked for": ((4, 12, 12, 32), (3, 3, 32, 64), {"precision": lax.Precision.HIGHEST}),
    "no examples": ((0, 12, 12, 32), (3, 3, 32, 64), {}),
}


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_what_is_left_alone(case):
    x_shape, w_shape, other = LEFT_ALONE[case]
    convolve = convolution(**other)
    x, w = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (x_shape, w_shape))
    assert convolutions(canonical(convolve), x, w) == convolutions(convolve, x, w)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_other_numbers_are_left_alone(dtype):
    x, w = jnp.ones((4, 12, 12, 32), dtype), jnp.ones((3, 3, 32, 64), dtype)
    assert convolutions(canonical(convolution()), x, w) == convolutions(convolution(), x, w)


def test_sums_in_another_dtype_are_left_alone():
    x, w = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 12, 12, 32), (3, 3, 32, 64)))
    with jax.enable_x64(True):
        convolve = convolution(preferred_element_type=jnp.float64)
        assert convolutions(canonical(convolve), x, w) == convolutions(convolve, x, w)


def test_over_several_windows_and_in_a_loop():
    x, w, _ = arguments((2, 8, 8, 32), (3, 3, 32, 32), convolution())
    windows = np.stack([w, 2 * w, w[::-1]]) / 100

    def last(x, w):
        return lax.scan(lambda x, _: (jnp.tanh(convolution()(x, w)), None), x, None, length=3)[0]

    of_all = jax.vmap(last, (None, 0))
    assert "f32[3,1,32,32]" in str(jax.make_jaxpr(canonical(of_all))(x, windows))  # a window of one column
    np.testing.assert_allclose(jax.jit(canonical(of_all))(x, windows), of_all(x, windows), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", [lax.DotAlgorithmPreset.F32_F32_F32, (lax.Precision.HIGH, lax.Precision.DEFAULT)])
def test_any_precision(precision):
    x, w, _ = arguments((2, 8, 8, 32), (3, 3, 32, 32), convolution())
    convolve = convolution(precision=precision)
    np.testing.assert_array_equal(canonical(convolve)(x, w), convolve(x, w))


def test_computed_once_more_for_the_gradient():
    """The body of ``jax.checkpoint`` is traced anew, without constants."""
    given = arguments((2, 8, 12, 32), (3, 3, 32, 40), convolution())
    plain, again = with_gradients(convolution()), with_gradients(jax.checkpoint(convolution()))
    for got, expected in zip(jax.jit(canonical(again))(*given), jax.jit(plain)(*given), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def test_several_devices_are_left_what_they_divide(monkeypatch):
    x, w = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 12, 12, 32), (3, 3, 32, 64)))
    assert len(convolutions(canonical(convolution()), x, w)) == 6
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    assert convolutions(canonical(convolution()), x, w) == convolutions(convolution(), x, w)


def test_the_gradients_are_proved(monkeypatch):
    """As the derivative of a plain convolution; with one number of the algorithm wrong they are refused."""
    monkeypatch.setattr(winograd, "_pays", lambda n_in, n_out, few, many, numbers: few == 3)
    plain = convolution()

    def convolve():
        of = jax.custom_vjp(plain)
        of.defvjp(lambda x, w: (plain(x, w), (x, w)), lambda xw, g: canonical(with_gradients(plain))(*xw, g)[1:])
        return of

    x, w, _ = arguments((1, 2, 4, 1), (2, 3, 1, 1), plain)
    verify.assert_gradient(convolve(), x, w, argnums=(0, 1))
    right = winograd._rounded(3)
    wrong = right._replace(many=np.where(right.many == 4, np.float32(4.5), right.many))
    monkeypatch.setattr(winograd, "_rounded", lambda r: wrong)
    with pytest.raises(AssertionError):
        verify.assert_gradient(convolve(), x, w, argnums=(0, 1))
