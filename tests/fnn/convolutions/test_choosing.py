"""Every algorithm of a convolution against XLA's, and which one is taken when."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.convolutions import Geometry, convolve
from fnn.convolutions.few_taps import by_few_taps
from fnn.convolutions.reference import by_xla
from fnn.kernels import machine

CASES = [
    # spatial sizes, taps, n_in, n_out, geometry
    ((7, 9), (3, 3), 1, 5, Geometry((1, 1), (1, 1), "same", 1)),
    ((7, 9), (2, 3), 2, 3, Geometry((2, 1), (1, 2), "same", 1)),
    ((8, 5), (3, 2), 1, 2, Geometry((3, 2), (2, 1), "valid", 1)),
    ((6,), (4,), 3, 1, Geometry((2,), (1,), "same", 1)),
    ((3, 4, 5), (2, 2, 2), 1, 2, Geometry((1, 2, 1), (1, 1, 2), "valid", 1)),
    ((5, 5), (5, 5), 1, 1, Geometry((1, 1), (1, 1), "valid", 1)),
]


@pytest.mark.parametrize(("sizes", "taps", "n_in", "n_out", "geometry"), CASES)
@pytest.mark.parametrize("batch", [1, 3])
def test_few_taps_equals_the_reference_with_its_gradients(batch, sizes, taps, n_in, n_out, geometry):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, w = rng.normal(size=(batch, *sizes, n_in)), rng.normal(size=(*taps, n_in, n_out))
        (y, back), (wanted, wanted_back) = (
            jax.vjp(lambda x, w, by=by: by(x, w, geometry), x, w) for by in (by_few_taps, by_xla)
        )
        np.testing.assert_allclose(y, wanted, rtol=1e-12, atol=1e-12)
        g = rng.normal(size=y.shape)
        for slope, wanted_slope in zip(back(g), wanted_back(g), strict=True):
            np.testing.assert_allclose(slope, wanted_slope, rtol=1e-12, atol=1e-12)


def names(jaxpr):
    return {eqn.primitive.name for eqn in jaxpr.eqns}


@pytest.mark.parametrize(
    ("backend", "n_in", "n_out", "chosen"),
    [("cpu", 1, 33, "dot_general"), ("cpu", 3, 33, "conv"), ("cpu", 1, 3, "conv"), ("gpu", 1, 33, "conv")],
)
def test_the_choice_depends_on_shapes_and_backend(monkeypatch, backend, n_in, n_out, chosen):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    x, w = jnp.zeros((2, 8, 8, n_in)), jnp.zeros((3, 3, n_in, n_out))
    traced = jax.make_jaxpr(lambda x, w: convolve(x, w, Geometry((1, 1), (1, 1), "same", 1)))(x, w)
    assert any(name.startswith(chosen) for name in names(traced.jaxpr))
    assert not {"dot_general", "conv_general_dilated"} <= names(traced.jaxpr)


@pytest.mark.parametrize(("code", "chosen"), [(machine.AVX2, "conv_general_dilated"), (None, "dot_general")])
def test_few_taps_are_for_where_there_is_no_machine_code(monkeypatch, code, chosen):
    monkeypatch.setattr(machine, "_of_processor", lambda: code)
    x, w = jnp.zeros((2, 8, 8, 1)), jnp.zeros((3, 3, 1, 32))
    traced = jax.make_jaxpr(lambda x, w: convolve(x, w, Geometry((1, 1), (1, 1), "same", 1)))(x, w)
    assert chosen in names(traced.jaxpr)


def test_many_at_once_and_bf16(monkeypatch):
    monkeypatch.setattr(machine, "_of_processor", lambda: None)
    x, w = np.ones((3, 2, 6, 6, 1), np.float32), np.ones((3, 3, 3, 1, 32), np.float32)
    geometry = Geometry((1, 1), (1, 1), "same", 1)
    many = jax.vmap(lambda x, w: convolve(x, w, geometry))(x, w)
    np.testing.assert_array_equal(many[1], by_xla(x[1], w[1], geometry))
    half = convolve(jnp.asarray(x[0], jnp.bfloat16), jnp.asarray(w[0], jnp.bfloat16), geometry)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.asarray(half, np.float32), many[0])
