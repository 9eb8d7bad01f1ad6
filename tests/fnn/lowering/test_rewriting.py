"""What is rewritten gives what the original gives, everywhere an operation can stand."""

import re
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from fnn.lowering import canonical
from fnn.origin import find_origin


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(abs(hash(shape)) % 1000).normal(size=shape).astype(np.float32)


def operations(function: Any, *arguments: Any) -> str:
    """As text, without the addresses of functions within."""
    return re.sub(r"0x[0-9a-f]+", "", str(jax.make_jaxpr(function)(*arguments)))


def assert_same(function: Any, *arguments: Any) -> None:
    expected = jax.jit(function)(*arguments)
    rewritten = canonical(function)
    got = jax.jit(rewritten)(*arguments)
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype, a.weak_type) == (b.shape, b.dtype, b.weak_type)
        assert not jnp.issubdtype(a.dtype, jnp.floating) or np.any(b != 0)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(np.asarray(b, np.float64)).max())
    assert operations(canonical(rewritten), *arguments) == operations(rewritten, *arguments)


@jax.custom_vjp
def tripled(x: Any, w: Any) -> Any:
    return x @ w


tripled.defvjp(lambda x, w: (x @ w, (x, w)), lambda kept, g: (3 * (g @ kept[1].T), 3 * (kept[0].T @ g)))

BODIES = {
    "plain": lambda x, w: x @ w,
    "jit": jax.jit(lambda x, w: x @ w),
    "remat": jax.checkpoint(lambda x, w: jnp.sin(x @ w)),
    "custom_vjp": tripled,
    "scan": lambda x, w: lax.scan(lambda x, _: (jnp.tanh(x @ w), x.sum()), x, None, length=2)[0],
    "cond": lambda x, w: lax.cond(x.sum() > 0, lambda: x @ w, lambda: 2 * x @ w),
    "einsum": lambda x, w: jnp.einsum("bi,io->bo", x, w),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_weight_gradient_becomes_a_plain_product_wherever_it_stands(body):
    def loss(w, x):
        return jnp.sum(body(x, w) ** 2)

    gradient = jax.value_and_grad(loss, argnums=(0, 1))
    assert_same(gradient, draw(100, 100), draw(7, 100))
    assert "optimization_barrier" in operations(canonical(gradient), draw(100, 100), draw(7, 100))


def test_loop_with_a_bound_that_is_an_argument():
    def train(w, x, first, last):
        return lax.fori_loop(first, last, lambda i, w: w - 0.01 * jax.grad(lambda w: jnp.sum((x[i] @ w) ** 2))(w), w)

    assert_same(train, draw(20, 3), draw(4, 5, 20), 1, 3)
    assert "optimization_barrier" in operations(canonical(train), draw(20, 3), draw(4, 5, 20), 1, 3)


def test_derivative_rules_stay_in_force():
    x, w = draw(4, 5), draw(5, 6)
    for argument in (0, 1):
        got = jax.grad(lambda *a: canonical(tripled)(*a).sum(), argument)(x, w)
        np.testing.assert_allclose(got, jax.grad(lambda *a: tripled(*a).sum(), argument)(x, w), rtol=1e-5)


def test_vmap_within_and_around():
    def gradient(w, x):
        return jax.grad(lambda w: jnp.sum(jnp.tanh(x @ w)))(w)

    w, x = draw(3, 30, 10), draw(3, 8, 30)
    assert_same(jax.vmap(gradient), w, x)
    np.testing.assert_allclose(jax.vmap(canonical(gradient))(w, x), jax.vmap(gradient)(w, x), rtol=1e-4, atol=1e-5)


@jax.numpy_dtype_promotion("standard")
def test_a_whole_step_of_flax_with_convolutions_dropout_and_keys():
    class Network(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            x = nn.max_pool(nn.relu(nn.Conv(3, (3, 3))(x)), (2, 2), strides=(2, 2))
            x = nn.avg_pool(nn.relu(nn.Conv(4, (3, 3), strides=2)(x)), (2, 2), strides=(1, 1))
            x = nn.Dropout(0.5, deterministic=not train)(x.reshape(len(x), -1))
            return nn.Dense(3)(x)

    model, optimizer = Network(), optax.adam(0.01)
    x, y = draw(5, 8, 8, 2), np.arange(5) % 3
    params = model.init(jax.random.key(0), x, False)

    def step(carry, x, y):
        params, state, key = carry
        key, drop = jax.random.split(key)

        def loss(params):
            logits = model.apply(params, x, True, rngs={"dropout": drop})
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state, jax.random.key_data(key)), value

    assert_same(lambda params, state: step((params, state, jax.random.key(1)), x, y), params, optimizer.init(params))


def test_carry_can_be_donated():
    def step(carry, x):
        return carry - 0.1 * jax.grad(lambda w: jnp.sum(jnp.sin(x @ w)))(carry)

    advance = jax.jit(canonical(step), donate_argnums=0)
    carry, x = jnp.asarray(draw(6, 4)), draw(5, 6)
    expected = jax.jit(step)(carry, x)
    got = advance(carry, x)
    assert carry.is_deleted()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_effects_and_names_are_kept():
    seen = []

    def function(x):
        jax.debug.callback(lambda value: seen.append(float(value)), x.sum())
        with jax.named_scope("logarithm"):
            return jnp.log(x @ x)

    rewritten = canonical(function)
    jax.block_until_ready(jax.jit(rewritten)(jnp.eye(2)))
    jax.effects_barrier()
    assert seen == [2.0]
    origin = find_origin(rewritten, -jnp.eye(2) * 1j.imag + jnp.array([[0.0, 1.0], [-1.0, 0.0]]))
    assert origin is not None
    assert (origin.layer, origin.operation) == ("logarithm", "log")


def test_arguments_by_name_and_results_of_any_structure():
    function = canonical(lambda x, *, y: {"sum": (x + y, None), "count": 3})
    assert function(1, y=2) == {"sum": (3, None), "count": 3}


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64, jnp.int32])
def test_dtypes_stay(dtype):
    with jax.enable_x64(True):
        x, g = jnp.arange(12).reshape(4, 3).astype(dtype), jnp.arange(8).reshape(4, 2).astype(dtype)
        function = partial(lax.dot_general, dimension_numbers=(((0,), (0,)), ((), ())))
        got = canonical(function)(x, g)
        assert got.dtype == dtype
        assert got.tolist() == function(x, g).tolist()
