"""The operations of JAX: under its transformations, where there is no code, and from several threads."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.kernels import Geometry, convolution, kept, machine, vectors, window_gradient

needs_code = pytest.mark.skipif(vectors() is None, reason="no machine code for this processor")
OF = Geometry(6, (9, 9), 4, (3, 3), 16, (9, 9), (1, 1), (1, 1))


def by_xla(x, w, of):
    axes = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, of.strides, of.padding, dimension_numbers=axes)


def gradient_by_xla(x, g, of):
    return jax.vjp(lambda w: by_xla(x, w, of), jnp.zeros(of.w_shape, x.dtype))[1](g)[0]


def given(of=OF, dtype=np.float32):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=shape), dtype) for shape in (of.x_shape, of.w_shape, of.y_shape)]


def convolve(x, w):
    return convolution(x, w, OF, by_xla)


def gradient(x, g):
    return window_gradient(x, g, OF, gradient_by_xla)


@needs_code
def test_compiled_and_not():
    x, w, g = given()
    for form in (lambda f: f, jax.jit):
        np.testing.assert_allclose(form(convolve)(x, w), by_xla(x, w, OF), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(form(gradient)(x, g), gradient_by_xla(x, g, OF), rtol=1e-4, atol=1e-4)
    names = {eqn.primitive.name for eqn in jax.make_jaxpr(lambda *xwg: (convolve(*xwg[:2]), gradient(x, g)))(x, w).eqns}
    assert names == {"fnn_convolution", "fnn_window_gradient"}
    assert "fnn_" in jax.jit(convolve).lower(x, w).compile().as_text()


@needs_code
def test_transformations():
    x, w, g = given()
    many = jax.vmap(convolve, (0, None))(jnp.stack([x, 2 * x]), w)
    np.testing.assert_allclose(many[1], 2 * by_xla(x, w, OF), rtol=1e-5, atol=1e-5)
    y, pullback = jax.vjp(convolve, x, w)
    _, wanted = jax.vjp(lambda x, w: by_xla(x, w, OF), x, w)
    np.testing.assert_allclose(y, by_xla(x, w, OF), rtol=1e-5, atol=1e-5)
    for slope, wanted_slope in zip(pullback(g), wanted(g), strict=True):
        np.testing.assert_allclose(slope, wanted_slope, rtol=1e-4, atol=1e-4)
    _, moved = jax.jvp(gradient, (x, g), (x, g))
    np.testing.assert_allclose(moved, 2 * gradient_by_xla(x, g, OF), rtol=1e-4, atol=1e-3)
    in_loop = jax.jit(lambda x: lax.scan(lambda x, _: (gradient(x, g)[0, 0, 0, 0] * x, None), x, None, length=3)[0])(x)
    assert np.all(np.isfinite(in_loop))


@needs_code
def test_a_program_in_a_file_calls_no_code_of_ours():
    exported = jax.export.export(jax.jit(convolve))(*given()[:2])
    again = jax.export.deserialize(exported.serialize())
    np.testing.assert_allclose(again.call(*given()[:2]), by_xla(*given()[:2], OF), rtol=1e-5, atol=1e-5)


@needs_code
@pytest.mark.parametrize("n_in", [1, 3, 8, 16])
@pytest.mark.parametrize(("columns", "stride"), [(9, 1), (8, 1), (9, 2), (10, 2), (10, 3), (1, 1)])
def test_bfloat16(n_in, columns, stride):
    places = -(-columns // stride)
    of = Geometry(5, (7, columns), n_in, (3, 3), 16, (-(-7 // stride), places), (stride, stride), (1, 1))
    x, w, g = given(of, jnp.bfloat16)
    wide = [array.astype(jnp.float32) for array in (x, w, g)]
    y, dw = (jax.jit(f, static_argnums=(2, 3)) for f in (convolution, window_gradient))
    if n_in <= 4:
        result = y(x, w, of, by_xla)
        assert result.dtype == jnp.bfloat16
        np.testing.assert_allclose(result.astype(np.float32), by_xla(*wide[:2], of), rtol=2**-8, atol=1e-5)
    else:
        assert y(x, w, of, by_xla) is None
    if n_in > 4 and not vectors().has_pairs:
        assert dw(x, g, of, gradient_by_xla) is None
        return
    result = dw(x, g, of, gradient_by_xla)
    assert result.dtype == jnp.bfloat16
    np.testing.assert_allclose(result.astype(np.float32), gradient_by_xla(wide[0], wide[2], of), rtol=2**-8, atol=1e-4)


@pytest.mark.parametrize("why", ["processor", "devices", "platform"])
def test_nothing_where_there_is_no_code(monkeypatch, why):
    if why == "processor":
        monkeypatch.setattr(machine, "_of_processor", lambda: None)
    elif why == "devices":
        monkeypatch.setattr(jax, "device_count", lambda: 2)
    else:
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    x, w, g = given()
    assert convolve(x, w) is gradient(x, g) is None


@needs_code
def test_without_jit():
    x, w, g = given()
    with jax.disable_jit():
        np.testing.assert_allclose(convolve(x, w), by_xla(x, w, OF), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(gradient(x, g), gradient_by_xla(x, g, OF), rtol=1e-4, atol=1e-4)


@needs_code
def test_transposed():
    x, w, g = given()
    for argument, wanted in enumerate(jax.vjp(lambda x, w: by_xla(x, w, OF), x, w)[1](g)):
        linear = [lambda x: convolve(x, w), lambda w: convolve(x, w)][argument]
        (found,) = jax.linear_transpose(linear, (x, w)[argument])(g)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    (found,) = jax.linear_transpose(lambda g: gradient(x, g), g)(w)
    np.testing.assert_allclose(found, by_xla(x, w, OF), rtol=1e-4, atol=1e-4)


@needs_code
def test_new_shapes_from_several_threads():
    """Each makes the same code, which XLA takes once only."""

    def run(_):
        of = Geometry(3, (9, 9), 4, (3, 3), 8, (9, 9), (1, 1), (1, 1))
        x, w, _ = given(of)
        return np.asarray(jax.jit(lambda x, w: convolution(x, w, of, by_xla))(x, w))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(run, range(6)))
    finally:
        sys.setswitchinterval(interval)
    assert all(np.array_equal(result, results[0]) for result in results)


@needs_code
def test_code_that_cannot_be_made(monkeypatch):
    def broken(*_):
        raise OSError("another LLVM")

    monkeypatch.setattr(machine, "compiled", broken)
    monkeypatch.setattr(kept, "read", lambda name: None)
    of = Geometry(3, (10, 9), 4, (3, 3), 8, (10, 9), (1, 1), (1, 1))
    x, w, _ = given(of)
    with pytest.warns(UserWarning, match=r"no machine code .* \(OSError: another LLVM\)"):
        y = jax.jit(lambda x, w: convolution(x, w, of, by_xla))(x, w)
    np.testing.assert_allclose(y, by_xla(x, w, of), rtol=1e-5, atol=1e-5)


SCRIPT = """
import hashlib, threading
import jax, jax.numpy as jnp, numpy as np
from jax import lax
from fnn.kernels import Geometry, convolution, window_gradient

of = Geometry(40, (14, 14), 8, (3, 3), 8, (14, 14), (1, 1), (1, 1))
rng = np.random.default_rng(0)
x, w = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in (of.x_shape, of.w_shape))

@jax.jit
def run(x, w):
    def step(i, xw):
        x, w = xw
        y = convolution(x, w, of, None)
        dw = window_gradient(x, y, of, None)
        return y / jnp.max(jnp.abs(y)), w + dw / jnp.max(jnp.abs(dw))
    return lax.fori_loop(0, 200, step, (x, w))

def digest(i):
    found[i] = hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in run(x, w))).hexdigest()

found = [None] * 6
threads = [threading.Thread(target=digest, args=(i,)) for i in range(6)]
[t.start() for t in threads], [t.join() for t in threads]
assert len(set(found)) == 1, found
print(found[0])
"""


@needs_code
def test_the_same_bits_on_any_number_of_cores_and_from_several_threads():
    """Six programs at once on as many threads of XLA as there are cores: each asks the others for help."""
    cores = sorted(os.sched_getaffinity(0))
    found = set()
    for used in (cores[:1], cores):
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
        environment = os.environ | {"FNN_TEST_CORES": ",".join(map(str, used))}
        prelude = "import os; os.sched_setaffinity(0, map(int, os.environ['FNN_TEST_CORES'].split(',')))\n"
        command[2] = prelude + command[2]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == 0, run.stderr[-3000:]
        found.add(run.stdout.strip())
    assert len(found) == 1
