"""Both gradients of a convolution, against those of the original, and in the one layout that is fast."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnn.lowering import canonical

CASES = {
    "same": {"padding": "SAME"},
    "valid": {"padding": "VALID"},
    "stride": {"padding": "SAME", "window_strides": (2, 2)},
    "stride that leaves a rest": {"padding": "VALID", "window_strides": (3, 2)},
    "dilation": {"padding": "SAME", "rhs_dilation": (2, 1)},
    "stride and dilation": {"padding": "VALID", "window_strides": (2, 2), "rhs_dilation": (2, 2)},
    "transposed": {"padding": ((1, 2), (0, 1)), "lhs_dilation": (2, 2)},
    "cut off": {"padding": ((0, 0), (3, -1))},
    "wide padding": {"padding": ((4, 5), (0, 6))},
    "groups": {"padding": "SAME", "feature_group_count": 2},
    "groups, stride and dilation": {"window_strides": (2, 1), "rhs_dilation": (1, 2), "feature_group_count": 2}
    | {"padding": ((2, 0), (0, 1))},
}
LAYOUTS = [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("HWNC", "IOHW", "CNHW")]


def shaped(spec: str, sizes: dict[str, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=[sizes[axis] for axis in spec]).astype(np.float32)


@pytest.mark.parametrize(
    ("case", "layout"),
    [*itertools.product(CASES, LAYOUTS[:1]), *itertools.product(["stride", "cut off", "groups"], LAYOUTS[1:])],
)
def test_gradients(case, layout):
    arguments = {"window_strides": (1, 1), "dimension_numbers": layout} | CASES[case]
    n_in = 4 // arguments.get("feature_group_count", 1)
    x = shaped(layout[0], {"N": 3, "H": 9, "W": 8, "C": 4}, 0)
    w = shaped(layout[1], {"H": 3, "W": 2, "I": n_in, "O": 6}, 1)

    def loss(x, w):
        return jnp.sum(jnp.sin(lax.conv_general_dilated(x, w, **arguments)))

    gradient = jax.grad(loss, argnums=(0, 1))
    rewritten = canonical(gradient)
    expected = jax.jit(gradient)(x, w)
    # Within a loop, where a convolution takes another way through the compiler.
    zeros = jax.tree.map(jnp.zeros_like, expected)
    got = jax.jit(lambda x, w: lax.fori_loop(0, 1, lambda i, kept: rewritten(x, w), zeros))(x, w)
    for a, b in zip(got, expected, strict=True):
        assert np.any(b != 0)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    operations = str(jax.make_jaxpr(rewritten)(x, w))
    assert operations == str(jax.make_jaxpr(canonical(rewritten))(x, w))
    fast = "lhs_spec=(0, 3, 1, 2), rhs_spec=(3, 2, 0, 1), out_spec=(0, 3, 1, 2)"
    assert operations.count("conv_general_dilated[") == operations.count(fast) > 0
    assert "batch_group_count=2" not in operations


def test_one_axis_and_three():
    for spec in ("NWC", "NDHWC"):
        axes = spec[1:-1]
        x = shaped(spec, {"N": 2, "D": 4, "H": 5, "W": 6, "C": 3}, 0)
        w = shaped(axes + "IO", {"D": 2, "H": 2, "W": 3, "I": 3, "O": 2}, 1)

        def loss(x, w, spec=spec, axes=axes):
            y = lax.conv_general_dilated(x, w, (2,) * len(axes), "SAME", dimension_numbers=(spec, axes + "IO", spec))
            return jnp.sum(y**2)

        gradient = jax.grad(loss, argnums=(0, 1))
        for a, b in zip(jax.jit(canonical(gradient))(x, w), jax.jit(gradient)(x, w), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_members_of_an_ensemble():
    def gradient(w, x):
        arguments = {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": LAYOUTS[0]}
        return jax.grad(lambda w: jnp.sum(jnp.sin(lax.conv_general_dilated(x, w, **arguments))))(w)

    w = shaped("GHWIO", {"G": 3, "H": 3, "W": 3, "I": 2, "O": 4}, 0)
    x = shaped("NHWC", {"N": 2, "H": 5, "W": 5, "C": 2}, 1)
    both = jax.vmap(gradient, (0, None))
    for rewritten in (canonical(both), jax.vmap(canonical(gradient), (0, None))):
        np.testing.assert_allclose(jax.jit(rewritten)(w, x), jax.jit(both)(w, x), rtol=1e-4, atol=1e-5)
