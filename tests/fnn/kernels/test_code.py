"""What the machine code computes, called as XLA would call it or directly: numbers, bounds, parts."""

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import prod

import jax.numpy as jnp
import numpy as np
import pytest

from fnn.kernels import Geometry, backward, forward, machine, making
from fnn.kernels.machine import Vectors
from fnn.kernels.plan import parts_of
from tests.fnn.kernels.calling import MACHINES, ON, called, function

pytestmark = pytest.mark.skipif(ON is None, reason="no machine code for this processor")

GEOMETRIES = {
    "3 x 3": Geometry(3, (7, 9), 5, (3, 3), 16, (7, 9), (1, 1), (1, 1)),
    "one channel": Geometry(4, (28, 28), 1, (3, 3), 32, (28, 28), (1, 1), (1, 1)),
    "three vectors, or six": Geometry(2, (6, 5), 2, (3, 3), 48, (6, 5), (1, 1), (1, 1)),
    "half a vector": Geometry(2, (6, 5), 3, (3, 3), 8, (6, 5), (1, 1), (1, 1)),
    "half a narrow vector": Geometry(2, (6, 5), 3, (3, 3), 24, (6, 5), (1, 1), (1, 1)),
    "nothing around": Geometry(2, (6, 40), 4, (3, 2), 16, (4, 39), (1, 1), (0, 0)),
    "cut off": Geometry(2, (9, 9), 4, (3, 3), 16, (6, 5), (1, 1), (-1, -2)),
    "more behind": Geometry(2, (5, 5), 4, (3, 3), 16, (8, 9), (1, 1), (1, 2)),
    "strides": Geometry(2, (11, 13), 4, (3, 3), 16, (6, 5), (2, 3), (1, 0)),
    "a stride, even": Geometry(2, (8, 8), 4, (3, 3), 16, (4, 4), (2, 2), (0, 0)),
    "a large window": Geometry(2, (12, 13), 2, (11, 11), 16, (12, 13), (1, 1), (5, 5)),
    "wider than the image": Geometry(2, (3, 2), 3, (5, 7), 16, (3, 2), (1, 1), (2, 3)),
    "one row": Geometry(2, (1, 50), 3, (1, 5), 16, (1, 50), (1, 1), (0, 2)),
    "many rows": Geometry(2, (150, 37), 3, (3, 3), 16, (150, 37), (1, 1), (1, 1)),
    "one place": Geometry(5, (3, 3), 4, (3, 3), 16, (1, 1), (1, 1), (0, 0)),
    "many images": Geometry(70, (4, 4), 3, (3, 3), 16, (4, 4), (1, 1), (1, 1)),
}


def windows(x, of):
    """What each place sees: (images, rows out, columns out, rows of the window, columns, channels)."""
    need = [(n - 1) * step + k for n, step, k in zip(of.places, of.strides, of.taps, strict=True)]
    low = [max(0, margin) for margin in of.margin]
    first = [max(0, -margin) for margin in of.margin]
    x = x[:, first[0] :, first[1] :]
    high = [max(0, n - before - size) for n, before, size in zip(need, low, x.shape[1:3], strict=True)]
    x = np.pad(x, ((0, 0), (low[0], high[0]), (low[1], high[1]), (0, 0)))[:, : need[0], : need[1]]
    seen = np.lib.stride_tricks.sliding_window_view(x, of.taps, (1, 2))[:, :: of.strides[0], :: of.strides[1]]
    return np.moveaxis(seen, 3, -1)


def exact(kernel, x, other, of):
    """In float64, by NumPy."""
    seen, other = windows(x.astype(np.float64), of), other.astype(np.float64)
    return np.einsum("nijklc,klco->nijo" if kernel is forward else "nijklc,nijo->klco", seen, other)


def computed(kernel, x, other, of, on):
    plan = kernel.plan(of, np.float32, on)
    result = called(kernel, plan, x, other, on)
    return result if kernel is forward else result.sum(0)


def arrays(kernel, of):
    rng = np.random.default_rng(0)
    shapes = of.x_shape, of.w_shape if kernel is forward else of.y_shape
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("on", MACHINES, ids=lambda on: f"{on.lanes} lanes")
@pytest.mark.parametrize("kernel", [forward, backward], ids=["forward", "backward"])
@pytest.mark.parametrize("of", GEOMETRIES.values(), ids=GEOMETRIES)
def test_numbers_and_bounds(of, kernel, on):
    if kernel.plan(of, np.float32, on) is None:
        assert of.taps[1] > on.registers - 8  # no registers for a row of the window
        pytest.skip("there is no code")
    x, other = arrays(kernel, of)
    wanted = exact(kernel, x, other, of)
    result = computed(kernel, x, other, of, on)
    n_terms = prod(of.w_shape[:3]) if kernel is forward else of.images * prod(of.places)
    assert result.shape == wanted.shape
    assert np.max(np.abs(result - wanted)) <= 4e-7 * np.sqrt(n_terms) * np.max(np.abs(wanted)) + 1e-6


def test_random_geometries():
    rng = np.random.default_rng(1)
    for _ in range(25):
        taps, strides = (tuple(int(n) for n in rng.integers(1, high, 2)) for high in (5, 4))
        size = tuple(int(n) for n in rng.integers(3, 20, 2))
        margin = tuple(int(rng.integers(-1, k)) for k in taps)
        most = [
            (n + 2 * max(low, 0) - k) // step + 1 for n, low, k, step in zip(size, margin, taps, strides, strict=True)
        ]
        places = tuple(int(rng.integers(1, max(2, n + 1))) for n in most)
        n_in, n_out = int(rng.integers(1, 7)), int(rng.choice([4, 8, 12, 16, 24, 32, 48, 80]))
        of = Geometry(int(rng.integers(1, 5)), size, n_in, taps, n_out, places, strides, margin)
        for kernel in (forward, backward):
            for on in MACHINES:
                if kernel.plan(of, np.float32, on) is not None:
                    x, other = arrays(kernel, of)
                    wanted = exact(kernel, x, other, of)
                    error = np.max(np.abs(computed(kernel, x, other, of, on) - wanted))
                    assert error <= 1e-5 * max(1.0, np.max(np.abs(wanted))), (of, kernel.__name__, on.lanes)


@pytest.mark.parametrize("on", [*MACHINES, Vectors(16, 32, "skylake-avx512")], ids=lambda on: f"{on.lanes} {on.cpu}")
@pytest.mark.parametrize("kernel", [forward, backward], ids=["forward", "backward"])
@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_code_calls_nothing_that_is_not_there(on, kernel, dtype):
    """What the processor has no instruction for, LLVM takes from a library, without which loading ends the process."""
    plan = kernel.plan(GEOMETRIES["half a vector"], dtype, on)
    code = machine.compiled(making.module(kernel, plan, on), on)
    assert {b"malloc", b"free", b"sched_yield"} <= {*re.findall(rb"\0(\w+)(?=\0)", code)}
    assert not re.findall(rb"\0(__\w+)(?=\0)", code)


@pytest.mark.parametrize("on", MACHINES, ids=lambda on: f"{on.lanes} lanes")
def test_rounding_to_bfloat16(on):
    """As everywhere: to the nearest, in the middle to the even one; what is not finite stays so."""
    rng = np.random.default_rng(0)
    middle = (rng.integers(0, 2**15, 4096).astype(np.uint32) << 16) | np.uint32(0x8000)
    numbers = [rng.normal(size=4096).astype(np.float32), middle.view(np.float32), -middle.view(np.float32)]
    special = np.array([np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 0.0, -0.0, 1e-40], np.float32)
    x = np.concatenate([*numbers, special])
    of = Geometry(1, (1, x.size), 1, (1, 1), 16, (1, x.size), (1, 1), (0, 0))
    plan = forward.plan(of, jnp.bfloat16, on)
    assert plan.dtypes == ("float32", "float32", "bfloat16")
    w, y = np.ones(of.w_shape, np.float32), np.zeros(of.y_shape, jnp.bfloat16)
    code = function(forward, plan, on)
    for part, (first, last) in enumerate(pairwise(plan.bounds)):
        code(x.ctypes.data, w.ctypes.data, y.ctypes.data, first, last, part)
    with np.errstate(invalid="ignore"):  # NumPy remarks on every NaN
        wanted = x.astype(jnp.bfloat16).astype(np.float32)
        np.testing.assert_array_equal(y[0, 0, :, 3].astype(np.float32), wanted)


@pytest.mark.parametrize("kernel", [forward, backward], ids=["forward", "backward"])
def test_what_is_not_finite_stays_where_it_is_seen(kernel):
    of = GEOMETRIES["3 x 3"]
    x, other = arrays(kernel, of)
    x[1, 0, 0, 2] = np.inf
    wanted, result = exact(kernel, x, other, of), computed(kernel, x, other, of, ON)
    np.testing.assert_array_equal(np.isfinite(result), np.isfinite(wanted))
    assert not np.all(np.isfinite(wanted))


def test_parts_in_any_order_and_at_once():
    of = GEOMETRIES["many images"]
    x, w = arrays(forward, of)
    plan = forward.plan(of, np.float32, ON)
    code, y = function(forward, plan, ON), np.full(plan.shape, np.nan, np.float32)

    def run(part):
        code(x.ctypes.data, w.ctypes.data, y.ctypes.data, plan.bounds[part], plan.bounds[part + 1], part)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, reversed(range(len(plan.bounds) - 1))))
    np.testing.assert_array_equal(y, computed(forward, x, w, of, ON))


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 1000])
def test_parts_cover_all_images_once(count):
    bounds = parts_of(count, 32)
    assert (bounds[0], bounds[-1], len(bounds)) == (0, count, min(count, 32) + 1)
    assert all(1 <= after - before <= -(-count // 32) for before, after in pairwise(bounds))


def test_where_there_is_no_code():
    of = GEOMETRIES["3 x 3"]
    others = [
        of._replace(n_out=6),
        of._replace(n_out=0),
        of._replace(images=0),
        of._replace(taps=(3, 12), places=(7, 1)),
        of._replace(margin=(3, 1)),
        of._replace(places=(7, 90)),
        of._replace(n_in=512, n_out=512),
    ]
    for kernel in (forward, backward):
        assert kernel.plan(of, np.float32, ON) is not None
        assert kernel.plan(of, np.float64, ON) is None
        assert all(kernel.plan(other, np.float32, ON) is None for other in others)
