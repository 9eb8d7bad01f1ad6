"""The interpreter computes what JAX computes: every primitive, forwards and transposed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from verify.algebra.real import Real
from verify.algebra.symbolic import Symbolic, symbols
from verify.gradients.interpret import UnsupportedStep, interpret
from verify.gradients.trace import trace, trace_vjp

X = np.random.default_rng(0).standard_normal((3, 4))
POSITIVE = np.abs(X) + 0.3
IMAGE = np.random.default_rng(1).standard_normal((2, 6, 5, 3))
KERNEL = np.random.default_rng(2).standard_normal((3, 2, 3, 4))
CHANNELS_LAST = ("NHWC", "HWIO", "NHWC")


def conv(x, k, **options):
    arguments = {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": CHANNELS_LAST, **options}
    return lax.conv_general_dilated(x, k, **arguments)


def window(x, operation, start, size, strides, padding="VALID", **options):
    return lax.reduce_window(x, start, operation, size, strides, padding, **options)


def power_loop(x):
    return lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0] * x, c[1] + 1), (x, 0))[0]


CASES = {
    "arithmetic": (lambda x: (x + 2) * x / (x - 9) - (-x) ** 3, X),
    "powers": (lambda x: x**2.5 + x**-2 + jnp.cbrt(x) + lax.rsqrt(x) + jnp.power(x, x), POSITIVE),
    "exponentials": (lambda x: jnp.exp(x) + jnp.exp2(x) + jnp.expm1(x), X),
    "logarithms": (lambda x: jnp.log(x) * jnp.log1p(x) + jnp.log2(x), POSITIVE),
    "trigonometric": (lambda x: jnp.sin(x) * jnp.cos(x) + jnp.tan(0.3 * x) + jnp.arctan2(x, x + 5), X),
    "inverse": (lambda x: jnp.arcsin(0.2 * x) + jnp.arccos(0.2 * x) + jnp.arctan(x) + jnp.arcsinh(x), X),
    "hyperbolic": (lambda x: jnp.sinh(x) + jnp.cosh(x) * jnp.tanh(x) + jnp.arctanh(0.2 * x), X),
    "acosh": (lambda x: jnp.arccosh(x + 1), POSITIVE),
    "errors": (lambda x: lax.erf(x) + lax.erfc(x) + lax.erf_inv(0.2 * x) + lax.logistic(x), X),
    "gamma": (lambda x: lax.lgamma(x), POSITIVE),
    "piecewise": (lambda x: jnp.abs(x) + jnp.maximum(x, 0.1) + jnp.minimum(x, 0.2) + jnp.clip(x, -0.5, 0.5), X),
    "rounding": (lambda x: jnp.floor(x) * x + jnp.ceil(x) + jnp.round(x) + jnp.sign(x) * x + x % 0.7, X),
    "where": (lambda x: jnp.where(x > 0, jnp.sin(x), x) + jnp.isfinite(x) * x, X),
    "integers": (lambda x: x * (jnp.arange(12).reshape(3, 4) // 5 % 3) + (x > 0).astype(int).sum(), X),
    "structure": (lambda x: jnp.concatenate([x.T[::-1], jnp.pad(x, ((1, 0), (0, 0)))[:, :3]]).reshape(-1)[2:9:3], X),
    "padding": (lambda x: lax.pad(x, 1.5, ((1, 2, 1), (-1, 1, 0))), X),
    "stack": (lambda x: jnp.stack([x[0], x[1] * 2], axis=1) @ jnp.split(x, 2, axis=1)[1][:2], X),
    "tile": (lambda x: jnp.tile(x, (2, 1)) * jnp.repeat(x, 2, axis=0), X),
    "dynamic": (lambda x: lax.dynamic_update_slice(x, lax.dynamic_slice(x, (9, 1), (1, 2)) * 3, (1, 1)), X),
    "reductions": (lambda x: x.sum(0) * x.prod(0) + x.max(0) - x.min(0) + x.mean() + x.var() + x.std(), X),
    "arg": (lambda x: x[jnp.argmax(x, 0), jnp.argmin(x, 1)[0]] * x[0], X),
    "cumulative": (
        lambda x: jnp.cumsum(x, 0) + jnp.cumprod(x, 1) + lax.cummax(x, 1) + lax.cummin(x, 0, reverse=True)
        + lax.cumlogsumexp(x, 1),
        X,
    ),
    "sorting": (lambda x: jnp.sort(x, 1) * jnp.argsort(x, 1) + x[:, jnp.argsort(x[0])], X),
    "top_k": (lambda x: lax.top_k(x, 2)[0] * lax.top_k(x, 2)[1], X),
    "median": (lambda x: jnp.median(x, axis=1), X),
    "gather": (lambda x: x[np.array([2, 0, 2]), np.array([1, 1, 3])] * x[np.array([[1], [2]]), :3][0, 0], X),
    "take": (lambda x: jnp.take(x, np.array([0, 7, 2]), axis=0, mode="fill", fill_value=2.0), X),
    "along": (lambda x: jnp.take_along_axis(x, np.array([[0], [3], [1]]), 1), X),
    "scatter": (lambda x: x.at[np.array([0, 2])].set(x[1]).at[1, 2].add(5.0).at[np.array([0, 0])].add(x[:2]), X),
    "scatter_mul": (lambda x: x.at[np.array([0, 2])].multiply(2.0 * x[1], unique_indices=True), X),
    "einsum": (lambda x: jnp.einsum("ij,kj,il->kl", x, x, x), X),
    "batched": (lambda x: jnp.einsum("nhwc,nhvc->nhwv", x, x), IMAGE),
    "convolution": (lambda x: conv(x, KERNEL), IMAGE),
    "strided": (lambda x: conv(x, KERNEL, window_strides=(2, 1), padding=((1, 2), (0, 1)), rhs_dilation=(1, 2)), IMAGE),
    "transposed": (lambda x: conv(x, KERNEL, lhs_dilation=(2, 2), padding=((2, 1), (1, 1))), IMAGE),
    "grouped": (lambda x: conv(x, KERNEL[:, :, :1, :3], feature_group_count=3), IMAGE),
    "max_pool": (lambda x: window(x, lax.max, -jnp.inf, (1, 2, 2, 1), (1, 2, 2, 1)), IMAGE),
    "max_pool_padded": (lambda x: window(x, lax.max, -jnp.inf, (1, 3, 3, 1), (1, 2, 2, 1), "SAME"), IMAGE),
    "min_pool": (lambda x: window(x, lax.min, jnp.inf, (1, 2, 2, 1), (1, 1, 2, 1)), IMAGE),
    "sum_pool": (lambda x: window(x, lax.add, 0.0, (1, 2, 3, 1), (1, 2, 1, 1), "SAME"), IMAGE),
    "masked": (lambda x: jax.nn.softmax(jnp.where(jnp.arange(4) < 3, x, -jnp.inf)), X),
    "scan": (lambda x: lax.scan(lambda c, a: (jnp.tanh(c + a), c * a), x[0], x[1:], reverse=True), X),
    "while": (power_loop, X),
    "fori": (lambda x: lax.fori_loop(0, 3, lambda i, c: c * x + i, x), X),
    "cond": (lambda x: lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x), X),
    "switch": (lambda x: lax.switch(2, [jnp.sin, jnp.cos, jnp.exp], x), X),
    "random": (lambda x: x * jax.random.bernoulli(jax.random.key(3), 0.5, (3, 4)), X),
    "interpolation": (lambda x: jnp.interp(x, jnp.array([-1.0, 0.2, 2.0]), jnp.array([1.0, 3.0, 2.0])), X),
    "division": (lambda x: x * (jnp.array([7, -7, 8]) // 2)[:, None] * (jnp.arange(4, dtype=jnp.uint32) // 3), X),
    "remainders": (lambda x: x * (jnp.array([7, -7, 8]) % 3)[:, None] + lax.rem(x, 0.7), X),
    "bits": (lambda x: x * ((jnp.arange(4) ^ 5) & 3) + x * (~jnp.arange(4) << 2), X),
    "uniform": (lambda x: x * jax.random.uniform(jax.random.key(1)), X),
    "barrier": (lambda x: lax.optimization_barrier(lax.reduce_precision(lax.stop_gradient(x) * x, 8, 23)), X),
    "vmap": (jax.vmap(lambda r: r[jnp.argmax(r)] * r + jnp.dot(r, r)), X),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_forward_and_gradient_are_what_jax_computes(name):
    f, x = CASES[name]
    x32 = jnp.asarray(x, jnp.float32)

    def flat(value):
        return tuple(jax.tree_util.tree_leaves(f(value)))

    expected = jax.jit(flat)(x32)
    real = np.asarray(x32, np.float64)
    got = interpret(trace(flat, x32), Real(), [real])
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=2e-4, atol=2e-4)
    if name == "while":  # JAX has no reverse mode for it
        return
    seeds = [np.random.default_rng(5).standard_normal(y.shape) for y in expected]
    program = trace_vjp(flat, [x32], list(expected))
    (gradient,) = interpret(program, Real(), [real, *seeds])
    wide = jax.jit(lambda v, *s: jax.vjp(flat, v)[1](tuple(s)))(x32, *[jnp.asarray(s, jnp.float32) for s in seeds])[0]
    np.testing.assert_allclose(gradient, np.asarray(wide, np.float64), rtol=2e-3, atol=2e-3)


def test_an_unknown_primitive_is_named_with_its_line():
    with pytest.raises(UnsupportedStep, match=r"primitive 'cholesky' at test_interpret.py:\d+") as error:
        interpret(trace(lambda x: jnp.linalg.cholesky(x), jnp.eye(2)), Real(), [np.eye(2)])
    assert error.value.primitive == "cholesky"


def test_the_bits_of_a_real_number_are_unsupported():
    program = trace(lambda x: lax.bitcast_convert_type(x, jnp.int32) * 2, 1.0)
    with pytest.raises(UnsupportedStep, match="bits"):
        interpret(program, Real(), [np.array(1.0)])


def test_a_loop_without_end_is_unsupported():
    program = trace(lambda x: lax.while_loop(lambda c: c > -1.0, lambda c: c + 1.0, x), 1.0)
    with pytest.raises(UnsupportedStep, match="10000 iterations"):
        interpret(program, Real(), [np.array(1.0)])


def test_a_loop_over_an_undecided_condition_is_unsupported():
    program = trace(lambda x: lax.while_loop(lambda c: c < 3.0, lambda c: c + 1.0, x), 1.0)
    with pytest.raises(UnsupportedStep, match="not decided"):
        interpret(program, Symbolic(), [symbols("x", ())])


def test_the_observer_sees_comparisons():
    seen = []
    program = trace(lambda x: jnp.where(x > 0.5, x, 0.0) + jnp.abs(x), jnp.ones(2))
    chosen = []

    def observer(step, relation, x, y):
        if y is None:
            chosen.append((step.primitive, relation, x.tolist()))
        else:
            seen.append((relation, x - y))

    interpret(program, Real(), [np.array([0.2, 0.9])], observer)
    assert chosen == [("select_n", "choice 0", [False, True])]
    assert [relation for relation, _ in seen] == ["gt", "gt"]
    np.testing.assert_allclose(seen[0][1], [-0.3, 0.4])


def test_a_wrong_number_of_inputs_is_refused():
    with pytest.raises(TypeError, match="has 1 inputs, got 0"):
        interpret(trace(jnp.sin, 1.0), Real(), [])
