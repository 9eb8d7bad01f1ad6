"""Windows of 3 x 3 by fewer multiplications: the algorithm, the numbers, their bounds, and where it is taken."""

import re
from concurrent.futures import ThreadPoolExecutor
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import verify
from fnn.kernels import (
    Geometry,
    backward,
    forward,
    handler,
    kept,
    machine,
    making,
    winograd,
    winograd_backward,
    winograd_forward,
)
from fnn.kernels.machine import AVX2, Vectors
from fnn.lowering import canonical
from tests.fnn.kernels.calling import MACHINES, ON, called, function

pytestmark = pytest.mark.skipif(ON is None, reason="no machine code for this processor")

KERNELS = [winograd_forward, winograd_backward]
DIRECT = {winograd_forward: forward, winograd_backward: backward}
by_machine = pytest.mark.parametrize("on", MACHINES, ids=lambda on: f"{on.lanes} lanes")
by_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=["forward", "backward"])


def geometry(images, size, n_in, n_out, padding=((1, 1), (1, 1))):
    places = tuple(n + sum(pads) - 2 for n, pads in zip(size, padding, strict=True))
    return Geometry(images, size, n_in, (3, 3), n_out, places, (1, 1), (padding[0][0], padding[1][0]))


GEOMETRIES = {
    "even": geometry(16, (8, 8), 16, 32),
    "odd": geometry(24, (7, 9), 16, 32),
    "odd rows": geometry(24, (5, 8), 32, 16),
    "odd columns": geometry(24, (8, 5), 48, 16),
    "nothing around": geometry(24, (8, 9), 16, 16, ((0, 0), (0, 0))),
    "all around": geometry(16, (6, 5), 16, 16, ((2, 2), (2, 2))),
    "more behind": geometry(24, (8, 8), 16, 16, ((0, 2), (0, 1))),
    "more before": geometry(24, (8, 8), 16, 16, ((2, 0), (2, 1))),
    "one place": geometry(200, (3, 3), 16, 16, ((0, 0), (0, 0))),
    "one row of places": geometry(40, (3, 20), 16, 16, ((0, 0), (1, 1))),
    "an image smaller than a patch": geometry(120, (2, 1), 16, 16),
    "half vectors": geometry(24, (8, 8), 8, 24),
    "half narrow vectors": geometry(24, (8, 8), 12, 20),
    "three vectors": geometry(24, (8, 8), 16, 48),
    "a large image": geometry(1, (50, 63), 16, 16),
    "channels in panels": geometry(24, (6, 6), 96, 96),
    "many channels": geometry(24, (7, 7), 256, 192),
    "crowded": geometry(16, (32, 16), 8, 64),
}


def convolve(of):
    axes = ("NHWC", "HWIO", "NHWC")
    return lambda x, w: lax.conv_general_dilated(x, w, (1, 1), of.padding, dimension_numbers=axes)


def exact(kernel, first, second, of):
    """In float64, by XLA."""
    with jax.enable_x64(True):
        first, second = jnp.asarray(first, jnp.float64), jnp.asarray(second, jnp.float64)
        if kernel in (winograd_forward, forward):
            return np.asarray(convolve(of)(first, second))
        return np.asarray(jax.vjp(lambda w: convolve(of)(first, w), jnp.zeros(of.w_shape))[1](second)[0])


def computed(kernel, first, second, of, on, dtype=np.float32):
    plan = kernel.plan(of, dtype, on)
    given = (np.asarray(array) for array in plan.prepared(jnp.asarray(first, dtype), jnp.asarray(second, dtype)))
    return np.asarray(plan.finished(jnp.asarray(called(kernel, plan, *given, on))))


@pytest.fixture
def always(monkeypatch):
    """It is taken wherever it can be."""
    monkeypatch.setattr(winograd, "_pays", lambda of, dtype: True)


def arrays(kernel, of, of_numbers):
    rng = np.random.default_rng(0)
    shapes = of.x_shape, of.w_shape if kernel in (winograd_forward, forward) else of.y_shape
    return [of_numbers(rng, shape).astype(np.float32) for shape in shapes]


def normal(rng, shape):
    return rng.normal(size=shape)


def whole(rng, shape):
    """Such that float32 holds all that is added and multiplied: halves of halves of them are whole."""
    return 4 * rng.integers(-3, 4, shape)


@by_machine
@by_kernel
@pytest.mark.parametrize("of", GEOMETRIES.values(), ids=GEOMETRIES)
def test_numbers_and_bounds(of, kernel, on, always):
    if kernel.plan(of, np.float32, on) is None:
        assert on.lanes_for(np.gcd(of.n_in, of.n_out)) == 0
        pytest.skip("there is no code")
    given = arrays(kernel, of, whole)
    np.testing.assert_array_equal(computed(kernel, *given, of, on), exact(kernel, *given, of))
    given = arrays(kernel, of, normal)
    n_terms = prod(of.w_shape[:3]) if kernel is winograd_forward else of.images * prod(of.places)
    error = np.max(np.abs(computed(kernel, *given, of, on) - exact(kernel, *given, of)))
    assert error <= 6e-6 * np.sqrt(n_terms)


def test_random_geometries(always):
    rng = np.random.default_rng(1)
    done = 0
    while done < 24:
        size, pads = rng.integers(1, 20, 2), rng.integers(0, 3, (2, 2))
        if np.any(size + pads.sum(1) < 3):
            continue
        sizes = int(rng.integers(1, 60)), tuple(map(int, size)), *map(int, rng.choice([4, 8, 16, 24, 32, 40, 64], 2))
        of = geometry(*sizes, tuple(tuple(map(int, pad)) for pad in pads))
        for kernel in KERNELS:
            given = arrays(kernel, of, small)
            wanted = exact(kernel, *given, of)
            for on, dtype in [*((on, np.float32) for on in MACHINES), (ON, jnp.bfloat16)]:
                if kernel.plan(of, dtype, on) is not None:
                    result = computed(kernel, *given, of, on, dtype)
                    np.testing.assert_array_equal(result, jnp.asarray(wanted, dtype), err_msg=f"{of} {on.lanes}")
                    done += 1


@by_kernel
def test_how_far_from_exact(kernel):
    """Nearer than sums of products by code of ours, which have more terms in a row; twice as far would be a fault."""
    of = geometry(64, (14, 14), 32, 64)
    given = arrays(kernel, of, normal)
    value = exact(kernel, *given, of)
    here, there = (np.std(computed(one, *given, of, ON) - value) for one in (kernel, DIRECT[kernel]))
    assert 0 < here < 2 * there


def small(rng, shape):
    """Such that bfloat16 holds all values of patches, of windows and of tiles."""
    return 4 * rng.integers(-2, 3, shape)


needs_pairs = pytest.mark.skipif(ON is None or not ON.has_pairs, reason="no products of pairs")


@needs_pairs
@by_kernel
@pytest.mark.parametrize("of", GEOMETRIES.values(), ids=GEOMETRIES)
def test_bfloat16(of, kernel, always):
    if kernel.plan(of, jnp.bfloat16, ON) is None:
        assert ON.lanes_for(np.gcd(of.n_in, of.n_out)) == 0
        pytest.skip("there is no code")
    given = arrays(kernel, of, small)
    result = computed(kernel, *given, of, ON, jnp.bfloat16)
    assert result.dtype == jnp.bfloat16
    np.testing.assert_array_equal(result, jnp.asarray(exact(kernel, *given, of), jnp.bfloat16))


@needs_pairs
@by_kernel
@pytest.mark.parametrize(("mean", "most"), [(0, 6e-3), (3, 1e-2), (10, 2e-2)])
def test_how_far_from_exact_in_bfloat16(kernel, mean, most):
    """What images have in common is multiplied with them, and rounded."""
    of = geometry(64, (14, 14), 64, 64)
    first, second = arrays(kernel, of, normal)
    first, second = (np.asarray(jnp.asarray(array, jnp.bfloat16), np.float32) for array in (first + mean, second))
    value = exact(kernel, first, second, of)
    assert np.std(computed(kernel, first, second, of, ON, jnp.bfloat16) - value) < most * np.std(value)


@by_kernel
@pytest.mark.parametrize("images", [29, 31, 37])
def test_blocks_that_do_not_come_out_even(images, kernel, always):
    of = geometry(images, (14, 13), 32, 48)
    by = winograd.tiling(of, np.float32, ON)
    assert by.at_once * by.n_blocks > images * by.rows
    for dtype in (np.float32, *([jnp.bfloat16] if ON.has_pairs else [])):
        given = arrays(kernel, of, small)
        np.testing.assert_array_equal(
            computed(kernel, *given, of, ON, dtype), jnp.asarray(exact(kernel, *given, of), dtype)
        )


@pytest.mark.parametrize("on", [*MACHINES, Vectors(16, 32, "skylake-avx512")], ids=lambda on: f"{on.lanes} {on.cpu}")
@by_kernel
@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_code_calls_nothing_that_is_not_there(on, kernel, dtype, always):
    plan = kernel.plan(GEOMETRIES["half vectors"], dtype, on)
    if plan is None:
        assert dtype == jnp.bfloat16
        assert not on.has_pairs
        pytest.skip("there is no code")
    code = machine.compiled(making.module(kernel, plan, on), on)
    assert not re.findall(rb"\0(__\w+|mem\w+)(?=\0)", code)


class _Numbers:
    """What the code is written with, for numbers of JAX."""

    zero = staticmethod(lambda: 0.0)
    add = staticmethod(lambda first, second: first + second)
    subtract = staticmethod(lambda first, second: first - second)
    scaled = staticmethod(lambda factor, number: factor * number)


def both_ways(one_way, numbers):
    """A matrix by a step of the algorithm for columns, and then for rows."""
    columns = [one_way(_Numbers, list(column)) for column in zip(*numbers, strict=True)]
    return [one_way(_Numbers, list(row)) for row in zip(*columns, strict=True)]


def matrix(array):
    return [[array[r, s] for s in range(array.shape[1])] for r in range(array.shape[0])]


def times(first, second):
    return [[a * b for a, b in zip(*rows, strict=True)] for rows in zip(first, second, strict=True)]


def one_tile(x, w):
    values = winograd.window_transform(w[:, :, None, None]).reshape(4, 4)
    return jnp.array(
        both_ways(
            winograd_forward._output_transform, times(both_ways(winograd.input_transform, matrix(x)), matrix(values))
        )
    )


def gradient_of_one_tile(x, g):
    slopes = both_ways(winograd_backward._slope_transform, matrix(g))
    return jnp.array(
        both_ways(winograd_backward._sum_transform, times(slopes, both_ways(winograd.input_transform, matrix(x))))
    )


def one_tile_plainly(x, w):
    return jnp.array([[jnp.sum(x[i : i + 3, j : j + 3] * w) for j in range(2)] for i in range(2)])


def test_the_algorithm_is_proved(monkeypatch):
    """Its steps as they are written in the code, for a tile: gradients equal to those of a convolution, exactly.

    A convolution is linear in image and window, so that it is equal, too. With one sign wrong they are refused.
    """
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 4)).astype(np.float32), rng.normal(size=(3, 3)).astype(np.float32)
    tile = jax.custom_vjp(one_tile_plainly)
    tile.defvjp(
        lambda x, w: (one_tile_plainly(x, w), (x, w)),
        lambda xw, g: (jax.vjp(one_tile, *xw)[1](g)[0], gradient_of_one_tile(xw[0], g)),
    )
    verify.assert_gradient(tile, x, w, argnums=(0, 1))
    transform = winograd.input_transform
    monkeypatch.setattr(winograd, "input_transform", lambda writer, x: [*transform(writer, x)[:3], x[3] - x[1]])
    with pytest.raises(AssertionError):
        verify.assert_gradient(tile, x, w, argnums=(0, 1))


def test_what_is_not_finite_stays_where_it_is_seen(always):
    of = GEOMETRIES["odd"]
    x, w = arrays(winograd_forward, of, normal)
    x[1, 4, 4, 2], x[3, 0, 5, 1], x[5, 3, 0, 7] = np.inf, np.nan, -np.inf
    wanted, y = exact(winograd_forward, x, w, of), computed(winograd_forward, x, w, of, ON)
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(wanted))
    assert not np.all(np.isfinite(wanted))


@by_kernel
def test_parts_in_any_order_and_at_once(kernel):
    of = GEOMETRIES["channels in panels"]
    given = arrays(kernel, of, normal)
    plan = kernel.plan(of, np.float32, ON)
    code, result = function(kernel, plan, ON), np.full(plan.shape, np.nan, np.float32)
    first, second = (np.asarray(array) for array in plan.prepared(*map(jnp.asarray, given)))

    def run(part):
        begin, end = plan.bounds[part : part + 2]
        code(first.ctypes.data, second.ctypes.data, result.ctypes.data, begin, end, part)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, reversed(range(len(plan.bounds) - 1))))
    np.testing.assert_array_equal(plan.finished(jnp.asarray(result)), computed(kernel, *given, of, ON))


def test_an_image_does_not_depend_on_the_others():
    of = geometry(24, (8, 8), 32, 32)
    x, w = arrays(winograd_forward, of, normal)
    alone = computed(winograd_forward, x[8:24], w, of._replace(images=16), ON)
    np.testing.assert_array_equal(alone, computed(winograd_forward, x, w, of, ON)[8:24])


def test_where_there_is_no_code(always):
    of = geometry(24, (8, 8), 16, 16)
    others = [
        of._replace(taps=(3, 2), places=(8, 9)),
        of._replace(strides=(2, 2), places=(4, 4)),
        geometry(24, (8, 8), 16, 16, ((3, 3), (3, 3))),
        geometry(24, (8, 8), 16, 16, ((1, 1), (-1, 1))),
        geometry(24, (8, 8), 16, 16, ((1, 5), (1, 1))),
        of._replace(n_in=3),
        of._replace(n_out=10),
        of._replace(images=0),
        of._replace(images=1),
        geometry(24, (8, 1100), 16, 16),
    ]
    for kernel in KERNELS:
        assert kernel.plan(of, np.float32, ON) is not None
        assert kernel.plan(of, np.float64, ON) is None
        assert kernel.plan(of, np.float16, ON) is None
        assert kernel.plan(of, jnp.bfloat16, AVX2) is None
        assert all(kernel.plan(other, np.float32, ON) is None for other in others)


@pytest.mark.parametrize(
    ("of", "pays"),
    [
        (geometry(128, (14, 14), 32, 64), True),
        (geometry(128, (32, 32), 16, 16), True),
        (geometry(128, (7, 7), 64, 64), True),
        (geometry(128, (4, 4), 64, 64), True),
        (geometry(128, (28, 28), 8, 8), False),
        (geometry(128, (32, 32), 16, 8), False),
        (geometry(128, (3, 3), 64, 64), False),
        (geometry(64, (1, 64), 64, 64), False),
        (geometry(64, (7, 1), 64, 64), False),
    ],
)
def test_it_is_taken_where_it_pays(of, pays):
    """Margins are no work for the direct form, and tiles beyond the last place are for this one."""
    assert all((kernel.plan(of, np.float32, ON) is not None) == pays for kernel in KERNELS)


@by_kernel
def test_memory(kernel, always):
    """Numbers between the steps are no burden for a thread's stack, and fit a core's own cache."""
    most, sizes = 0, [geometry(64, (14, 14), 64, 64), geometry(64, (128, 128), 64, 64), geometry(64, (7, 7), 256, 256)]
    for of in sizes:
        plan = kernel.plan(of, np.float32, ON)
        text = making.module(kernel, plan, ON)
        assert not re.search(r"alloca (float|i16|i32),", text)
        most = max(most, *(int(number) for number in re.findall(r'call .* @"?malloc"?\(i64 (\d+)\)', text)))
    assert 2**17 < most < 2**20


def test_no_memory(monkeypatch):
    """Is an error of XLA's, and nothing is computed."""
    of, write = geometry(9, (13, 11), 32, 80), handler.write
    monkeypatch.setattr(handler, "write", lambda *given: write(*given[:-1], 2**62))
    monkeypatch.setattr(kept, "read", lambda name: None)
    monkeypatch.setattr(kept, "write", lambda name, code: None)
    x, w = (jnp.ones(shape, jnp.float32) for shape in (of.x_shape, of.w_shape))
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"no memory, {2**62} bytes"):
        jax.jit(canonical(convolve(of)))(x, w).block_until_ready()


def primitives(of, **told):
    axes = ("NHWC", "HWIO", "NHWC")

    def run(x, w, g):
        def form(x, w):
            return lax.conv_general_dilated(x, w, of.strides, of.padding, dimension_numbers=axes, **told)

        y, pullback = jax.vjp(form, x, w)
        return y, *pullback(g)

    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (of.x_shape, of.w_shape, of.y_shape)]
    names = [eqn.primitive.name for eqn in jax.make_jaxpr(canonical(run))(*given).jaxpr.eqns]
    return sorted(name for name in names if name.startswith("fnn_"))


def test_it_is_taken_unless_a_precision_is_asked_for():
    of, by_points = geometry(24, (7, 9), 32, 64), ["fnn_winograd_convolution"] * 2 + ["fnn_winograd_window_gradient"]
    assert primitives(of) == by_points
    assert primitives(of, precision=lax.Precision.DEFAULT) == by_points
    assert primitives(of, precision="highest") == ["fnn_convolution"] * 2 + ["fnn_window_gradient"]
    with jax.default_matmul_precision("float32"):
        assert primitives(of) == ["fnn_convolution"] * 2 + ["fnn_window_gradient"]
    assert primitives(geometry(24, (8, 8), 3, 16)) == ["fnn_convolution", "fnn_window_gradient"]


def test_within_a_loop_and_its_transformations():
    of = geometry(24, (7, 9), 32, 64)
    x, w = (jnp.asarray(array) for array in arrays(winograd_forward, of, normal))

    def last(x, w):
        scores = lax.scan(lambda s, _: (s + jnp.sum(jnp.tanh(convolve(of)(x, w / 10 + s))), None), 0.0, None, length=2)
        return scores[0] / x.size

    for form, window in ((jax.value_and_grad(last, 1), w), (jax.vmap(last, (None, 0)), jnp.stack([w, 2 * w]))):
        got, wanted = (jax.tree.leaves(one(x, window)) for one in (jax.jit(canonical(form)), form))
        for here, there in zip(got, wanted, strict=True):
            np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-4)
