"""Convolutions of JAX by machine code of our own: which, and that they give what they gave."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import fnn
from fnn.kernels import machine, vectors
from fnn.lowering import canonical

pytestmark = pytest.mark.skipif(vectors() is None, reason="no machine code for this processor")

CASES = {
    # shape of x, shape of w, what the convolution is told
    "3 x 3": ((4, 9, 9, 3), (3, 3, 3, 16), {}),
    "nothing around": ((4, 9, 9, 3), (3, 3, 3, 16), {"padding": "VALID"}),
    "strides": ((4, 11, 9, 8), (3, 3, 8, 16), {"window_strides": (2, 3)}),
    "even strides": ((4, 12, 12, 8), (3, 3, 8, 16), {"window_strides": (2, 2)}),
    "cut off": ((4, 12, 12, 8), (3, 3, 8, 16), {"padding": [(-1, 0), (1, -2)]}),
    "more around": ((4, 6, 6, 8), (3, 3, 8, 16), {"padding": [(2, 4), (0, 3)]}),
    "channels first": (
        (4, 3, 9, 9),
        (16, 3, 3, 3),
        {"dimension_numbers": ("NCHW", "OIHW", "NCHW")},
    ),
    "one axis": ((4, 20, 3), (5, 3, 16), {"dimension_numbers": ("NWC", "WIO", "NWC"), "window_strides": (1,)}),
    "transposed": ((4, 5, 5, 8), (3, 3, 8, 16), {"lhs_dilation": (2, 2), "padding": [(2, 2), (1, 2)]}),
    "groups": ((4, 9, 9, 8), (3, 3, 4, 32), {"feature_group_count": 2}),
    "any precision": ((4, 9, 9, 3), (3, 3, 3, 16), {"precision": "highest"}),
}


def convolution(**told):
    axes = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "window_strides": (1, 1), "padding": "SAME"}
    return lambda x, w: lax.conv_general_dilated(x, w, **(axes | told))


def with_gradients(convolve):
    def run(x, w, g):
        y, pullback = jax.vjp(convolve, x, w)
        return y, *pullback(g)

    return run


def names(jaxpr):
    return [eqn.primitive.name for eqn in jaxpr.eqns]


@pytest.mark.parametrize(("x_shape", "w_shape", "told"), CASES.values(), ids=CASES)
def test_any_convolution_with_its_gradients(x_shape, w_shape, told):
    rng = np.random.default_rng(0)
    convolve = convolution(**told)
    x, w = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in (x_shape, w_shape))
    g = jnp.asarray(rng.normal(size=jax.eval_shape(convolve, x, w).shape), jnp.float32)
    plain = with_gradients(convolve)
    for result, wanted in zip(jax.jit(canonical(plain))(x, w, g), plain(x, w, g), strict=True):
        np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-4)
    assert "fnn_convolution" in names(jax.make_jaxpr(canonical(convolve))(x, w).jaxpr)
    if not {"feature_group_count", "lhs_dilation"} & {*told} and told.get("dimension_numbers", ["NHWC"])[0] != "NCHW":
        assert "fnn_window_gradient" in names(jax.make_jaxpr(canonical(plain))(x, w, g).jaxpr)


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "told"),
    [
        ((4, 9, 9, 3), (3, 3, 3, 10), {}),
        ((4, 9, 9, 64), (3, 3, 64, 128), {}),
        ((4, 9, 9, 3), (3, 3, 3, 16), {"rhs_dilation": (2, 2)}),
        ((4, 9, 9, 3), (3, 3, 3, 16), {"precision": "F32_F32_F32"}),
        ((4, 9, 9, 9, 3), (3, 3, 3, 3, 16), {"dimension_numbers": None, "window_strides": (1, 1, 1)}),
    ],
    ids=["no vectors", "many channels", "dilated", "an algorithm asked for", "three axes"],
)
def test_what_is_left_to_xla(x_shape, w_shape, told):
    if "dimension_numbers" in told:
        told = told | {"dimension_numbers": ("NDHWC", "DHWIO", "NDHWC")}
    convolve = convolution(**told)
    x, w = jnp.ones(x_shape, jnp.float32), jnp.ones(w_shape, jnp.float32)
    assert "fnn_convolution" not in names(jax.make_jaxpr(canonical(convolve))(x, w).jaxpr)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float16, jnp.complex64])
def test_other_dtypes_are_left_to_xla(dtype):
    with jax.enable_x64(True):
        x, w = jnp.ones((2, 5, 5, 3), dtype), jnp.ones((3, 3, 3, 16), dtype)
        assert "fnn_convolution" not in names(jax.make_jaxpr(canonical(convolution()))(x, w).jaxpr)


def test_a_wider_result():
    with jax.enable_x64(True):
        x, w = jnp.ones((4, 9, 9, 3), jnp.float32), jnp.ones((3, 3, 3, 16), jnp.float32)
        assert canonical(convolution(preferred_element_type=jnp.float64))(x, w).dtype == jnp.float64


def test_training_ends_where_it_ends_without(monkeypatch):
    """A training with machine code and one without, of the same seed: the same up to rounding."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8, 8, 1)).astype(np.float32)
    y = rng.integers(0, 3, 60)
    ends = []
    for on in (machine._of_processor(), None):
        monkeypatch.setattr(machine, "_of_processor", lambda on=on: on)
        model = fnn.serial(fnn.conv(8), fnn.relu, fnn.max_pool(), fnn.conv(16), fnn.relu, fnn.flatten(), fnn.dense(3))
        objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
        params, state = model.init(jax.random.key(0), x[:1])
        fitted = fnn.fit(
            objective, optax.sgd(0.05), params, state, (x, y), key=jax.random.key(1), n_epochs=3, batch_size=20
        )
        ends.append(fitted)
    for with_code, without in zip(*(jax.tree.leaves(end.params) for end in ends), strict=True):
        np.testing.assert_allclose(with_code, without, rtol=1e-3, atol=1e-4)
