"""Windows of 3 x 3 by fewer multiplications: the algorithm, the numbers, their bounds, and where it is taken."""

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import verify
from fnn.kernels import Geometry, backward, forward, machine, making, winograd, winograd_backward, winograd_forward
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


def computed(kernel, first, second, of, on):
    plan = kernel.plan(of, np.float32, on)
    given = (np.asarray(array) for array in plan.prepared(jnp.asarray(first), jnp.asarray(second)))
    return np.asarray(plan.finished(jnp.asarray(called(kernel, plan, *given, on))))


def arrays(kernel, of, of_numbers):
    rng = np.random.default_rng(0)
    shapes = of.x_shape, of.w_shape if kernel in (winograd_forward, forward) else of.y_shape
    return [of_numbers(rng, shape).astype(np.float32) for shape in shapes]


def in_halves(kernel, first, second, of, on):
    """What the code makes of bfloat16, in what it gives."""
    first, second = jnp.asarray(first, jnp.bfloat16), jnp.asarray(second, jnp.bfloat16)
    plan = kernel.plan(of, jnp.bfloat16, on)
    code, given = function(kernel, plan, on), [np.asarray(array) for array in plan.prepared(first, second)]
    result = np.full(plan.shape, np.nan, plan.dtypes[2])
    for part, (begin, end) in enumerate(pairwise(plan.bounds)):
        code(*(array.ctypes.data for array in given), result.ctypes.data, begin, end, part)
    return plan.finished(jnp.asarray(result))


def normal(rng, shape):
    return rng.normal(size=shape)


def whole(rng, shape):
    """Such that float32 holds all that is added and multiplied: halves of halves of them are whole."""
    return 4 * rng.integers(-3, 4, shape)


@by_machine
@by_kernel
@pytest.mark.parametrize("of", GEOMETRIES.values(), ids=GEOMETRIES)
def test_numbers_and_bounds(of, kernel, on):
    if kernel.plan(of, np.float32, on) is None:
        assert on.lanes_for(np.gcd(of.n_in, of.n_out)) == 0
        pytest.skip("there is no code")
    given = arrays(kernel, of, whole)
    np.testing.assert_array_equal(computed(kernel, *given, of, on), exact(kernel, *given, of))
    given = arrays(kernel, of, normal)
    n_terms = prod(of.w_shape[:3]) if kernel is winograd_forward else of.images * prod(of.places)
    error = np.max(np.abs(computed(kernel, *given, of, on) - exact(kernel, *given, of)))
    assert error <= 6e-6 * np.sqrt(n_terms)


def test_random_geometries():
    rng = np.random.default_rng(1)
    done = 0
    for _ in range(40):
        size, pads = rng.integers(1, 20, 2), rng.integers(0, 3, (2, 2))
        if np.any(size + pads.sum(1) < 3):
            continue
        sizes = int(rng.integers(1, 60)), tuple(map(int, size)), *map(int, rng.choice([4, 8, 16, 24, 32, 40, 64], 2))
        of = geometry(*sizes, tuple(tuple(map(int, pad)) for pad in pads))
        for kernel in KERNELS:
            for on in MACHINES:
                if kernel.plan(of, np.float32, on) is not None:
                    given = arrays(kernel, of, whole)
                    np.testing.assert_array_equal(
                        computed(kernel, *given, of, on), exact(kernel, *given, of), err_msg=f"{of} {on.lanes}"
                    )
                    done += 1
    assert done > 40


@by_kernel
def test_how_far_from_exact(kernel):
    """No farther than sums of products, which have more terms in a row; twice as far would be a fault."""
    of = geometry(64, (14, 14), 32, 64)
    given = arrays(kernel, of, normal)
    value = exact(kernel, *given, of)
    here, there = (np.std(computed(one, *given, of, ON) - value) for one in (kernel, DIRECT[kernel]))
    assert 0 < here < 2 * there


def small(rng, shape):
    """Such that bfloat16 holds all values of patches, of windows and of tiles."""
    return 4 * rng.integers(-2, 3, shape)


@pytest.mark.parametrize("on", [*MACHINES, *([ON._replace(has_pairs=False)] if ON and ON.has_pairs else [])])
@by_kernel
@pytest.mark.parametrize("name", ["even", "odd", "half vectors", "channels in panels", "crowded"])
def test_bfloat16(name, kernel, on):
    of = GEOMETRIES[name]
    given = arrays(kernel, of, small)
    wanted = jnp.asarray(exact(kernel, *given, of), jnp.bfloat16)
    result = in_halves(kernel, *given, of, on)
    assert result.dtype == jnp.bfloat16
    np.testing.assert_array_equal(result, wanted)
    first, second = (np.asarray(jnp.asarray(array, jnp.bfloat16), np.float32) for array in arrays(kernel, of, normal))
    value = exact(kernel, first, second, of)
    result = np.asarray(in_halves(kernel, first, second, of, on), np.float64)
    most = 6e-3 if on.has_pairs else 2e-3  # of what is multiplied in bfloat16, and of what comes out in it
    assert np.std(result - value) < most * np.std(value)


def test_an_odd_block_has_no_pairs_of_tiles():
    of = geometry(25, (14, 14), 32, 32)
    on = AVX2._replace(has_pairs=True)
    assert winograd.tiling(of, on).at_once % 2 == 1
    assert winograd_backward.plan(of, jnp.bfloat16, on) is None
    assert winograd_backward.plan(of, jnp.bfloat16, AVX2) is not None


@pytest.mark.parametrize("on", [*MACHINES, Vectors(16, 32, "skylake-avx512")], ids=lambda on: f"{on.lanes} {on.cpu}")
@by_kernel
@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_code_calls_nothing_that_is_not_there(on, kernel, dtype):
    code = machine.compiled(making.module(kernel, kernel.plan(GEOMETRIES["half vectors"], dtype, on), on), on)
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
    values = winograd.from_window(w[:, :, None, None]).reshape(4, 4)
    return jnp.array(both_ways(winograd_forward._two, times(both_ways(winograd._points, matrix(x)), matrix(values))))


def gradient_of_one_tile(x, g):
    slopes = both_ways(winograd_backward._four, matrix(g))
    return jnp.array(both_ways(winograd_backward._three, times(slopes, both_ways(winograd._points, matrix(x)))))


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
    points = winograd._points
    monkeypatch.setattr(winograd, "_points", lambda writer, x: [*points(writer, x)[:3], x[3] - x[1]])
    with pytest.raises(AssertionError):
        verify.assert_gradient(tile, x, w, argnums=(0, 1))


def test_what_is_not_finite_stays_where_it_is_seen():
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
    of = geometry(24, (8, 8), 16, 16)
    x, w = arrays(winograd_forward, of, normal)
    alone = computed(winograd_forward, x[8:24], w, of._replace(images=16), ON)
    np.testing.assert_array_equal(alone, computed(winograd_forward, x, w, of, ON)[8:24])


def test_where_there_is_no_code():
    of = geometry(24, (8, 8), 16, 16)
    others = [
        of._replace(taps=(3, 2), places=(8, 9)),
        of._replace(strides=(2, 2), places=(4, 4)),
        of._replace(margin=(3, 1)),
        of._replace(margin=(-1, 1)),
        of._replace(places=(8, 12)),
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
        assert all(kernel.plan(other, np.float32, ON) is None for other in others)


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
    of, by_points = GEOMETRIES["odd"], ["fnn_winograd_convolution"] * 2 + ["fnn_winograd_window_gradient"]
    assert primitives(of) == by_points
    assert primitives(of, precision=lax.Precision.DEFAULT) == by_points
    assert primitives(of, precision="highest") == ["fnn_convolution"] * 2 + ["fnn_window_gradient"]
    with jax.default_matmul_precision("float32"):
        assert primitives(of) == ["fnn_convolution"] * 2 + ["fnn_window_gradient"]
    assert primitives(geometry(24, (8, 8), 3, 16)) == ["fnn_convolution", "fnn_window_gradient"]


def test_within_a_loop_and_its_transformations():
    of = GEOMETRIES["odd"]
    x, w = (jnp.asarray(array) for array in arrays(winograd_forward, of, normal))

    def last(x, w):
        scores = lax.scan(lambda s, _: (s + jnp.sum(jnp.tanh(convolve(of)(x, w / 10 + s))), None), 0.0, None, length=2)
        return scores[0] / x.size

    for form, window in ((jax.value_and_grad(last, 1), w), (jax.vmap(last, (None, 0)), jnp.stack([w, 2 * w]))):
        got, wanted = (jax.tree.leaves(one(x, window)) for one in (jax.jit(canonical(form)), form))
        for here, there in zip(got, wanted, strict=True):
            np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-4)
