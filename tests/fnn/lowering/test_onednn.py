"""Which programs ask for oneDNN, that those give the right numbers, and that nothing of them is kept on disk."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.experimental.compilation_cache import compilation_cache

import fnn
from fnn.compilation import unkept
from fnn.lowering import onednn, options_for


def traced(function, *arguments):
    return jax.jit(function).trace(*arguments).jaxpr


def product_in_a_loop(a):
    return jax.lax.fori_loop(0, 2, lambda _, a: a @ a, a)


@pytest.fixture
def known():
    """The options, where they make a difference: not on JAX 0.10, nor on a processor without bfloat16."""
    if not onednn._known():
        pytest.skip("oneDNN is not asked for here")
    return onednn._known()


def test_only_products_of_bfloat16(known):
    a = jnp.ones((2, 2))
    assert onednn.for_bfloat16(traced(product_in_a_loop, a.astype(jnp.bfloat16))) == known
    assert onednn.for_bfloat16(traced(product_in_a_loop, a)) == {}
    assert onednn.for_bfloat16(traced(product_in_a_loop, a.astype(jnp.float16))) == {}
    assert onednn.for_bfloat16(traced(lambda a: a + a, a.astype(jnp.bfloat16))) == {}


def test_not_on_other_devices(monkeypatch):
    a = jnp.ones((2, 2), jnp.bfloat16)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert onednn.for_bfloat16(traced(product_in_a_loop, a)) == {}


def test_convolutions_are_of_onednn(known):
    model, shape = MODELS["conv"]
    x = jnp.zeros((16, *shape), jnp.bfloat16)
    params, state = model.init(jax.random.key(0), x)
    program = jax.jit(lambda params, x: model.apply(params, state, x)[0]).trace(params, x)
    lowered = program.lower()
    with unkept():
        told = lowered.compile(compiler_options=dict(options_for(program.jaxpr).given))
    assert "__onednn$convolution" in told.as_text()
    assert "__onednn" not in lowered.compile().as_text()


def test_options_of_no_effect_are_not_asked_for(monkeypatch):
    monkeypatch.setattr(onednn, "_OPTIONS", {"xla_cpu_use_onednn": False})
    onednn._known.cache_clear()
    try:
        assert onednn.for_bfloat16(traced(product_in_a_loop, jnp.ones((2, 2), jnp.bfloat16))) == {}
    finally:
        onednn._known.cache_clear()


def test_a_compiler_that_does_not_know_the_option(monkeypatch):
    monkeypatch.setattr(onednn, "_OPTIONS", {"xla_cpu_no_such_option": True})
    onednn._known.cache_clear()
    try:
        assert onednn.for_bfloat16(traced(product_in_a_loop, jnp.ones((2, 2), jnp.bfloat16))) == {}
    finally:
        onednn._known.cache_clear()


MODELS = {
    "dense": (fnn.serial(fnn.dense(32), fnn.relu, fnn.dense(3)), (20,)),
    "conv": (
        fnn.serial(fnn.conv(8), fnn.relu, fnn.average_pool(), fnn.conv(24), fnn.tanh, fnn.flatten(), fnn.dense(3)),
        (9, 8, 1),
    ),
    "strides": (
        fnn.serial(fnn.conv(8, stride=2), fnn.conv(4, (3, 2)), fnn.flatten(), fnn.dense(3)),
        (9, 8, 3),
    ),
    "groups": (
        fnn.serial(fnn.conv(8, groups=2), fnn.conv(8, groups=8), fnn.flatten(), fnn.dense(3)),
        (7, 7, 4),
    ),
    "valid, one axis": (fnn.serial(fnn.conv(8, (5,), padding="valid"), fnn.relu, fnn.flatten(), fnn.dense(3)), (30, 4)),
    "attention": (fnn.serial(fnn.dense(16), fnn.self_attention(4), fnn.flatten(), fnn.dense(3)), (5, 6)),
    "lstm": (fnn.serial(fnn.lstm(12), fnn.flatten(), fnn.dense(3)), (5, 6)),
}


@pytest.mark.parametrize("name", MODELS)
def test_gradients(name, known):
    """As near to those of float32 as a program without the options comes."""
    model, shape = MODELS[name]
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(16, *shape)).astype(np.float32), np.arange(16) % 3
    params, state = model.init(jax.random.key(0), x)

    def gradient_in(dtype):
        objective = fnn.supervised(fnn.mixed_precision(model, dtype), fnn.softmax_cross_entropy_with_integer_labels)
        return fnn.loss_and_grad(objective)

    def compiled(function):
        program = jax.jit(function).trace(params, state, (x, labels), None)
        with unkept():
            return program.lower().compile(compiler_options=dict(options_for(program.jaxpr).given))

    exact, half = gradient_in(jnp.float32), gradient_in(jnp.bfloat16)
    _, expected = exact(params, state, (x, labels), None)
    _, plain = half(params, state, (x, labels), None)
    _, got = compiled(half)(params, state, (x, labels), None)
    far = {}
    for label, gradient in {"plain": plain, "got": got}.items():
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True)
        # Of a leaf whose gradient is zero, such as the bias of attention's keys, there is but rounding.
        least = 1e-3 * optax.tree.norm(expected)
        far[label] = max(float(jnp.linalg.norm(a - b) / (jnp.linalg.norm(b) + least)) for a, b in pairs)
    assert far["got"] <= max(1.5 * far["plain"], 0.01)
    assert far["got"] < 0.25


def fitted(**options):
    model = fnn.mixed_precision(MODELS["conv"][0])
    x, labels = np.random.default_rng(0).normal(size=(40, 9, 8, 1)).astype(np.float32), np.arange(40) % 3
    params, state = model.init(jax.random.key(0), x)
    objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
    fit = fnn.fit(
        objective,
        optax.adam(0.01),
        params,
        state,
        (x, labels),
        key=jax.random.key(1),
        n_epochs=3,
        batch_size=16,
        **options,
    )
    return [np.asarray(leaf) for leaf in jax.tree.leaves(fit.params)]


def test_step_by_step_and_again_the_same_bits():
    first = fitted()
    for other in (fitted(), fitted(on_step=lambda step: None)):
        assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_nothing_is_kept_and_nothing_said(tmp_path, known):
    """XLA fails to write such programs down: it must not try."""
    names = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"
    before = [getattr(jax.config, name) for name in names]
    reset = compilation_cache.reset_cache
    try:
        reset()
        jax.config.update(names[0], str(tmp_path))
        jax.config.update(names[1], 0.0)
        jax.clear_caches()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted()
        assert jax.config.jax_persistent_cache_min_compile_time_secs == 0.0
        written = [path.name for path in tmp_path.iterdir()]
        assert written
        assert not any("advance" in name for name in written)
    finally:
        for name, value in zip(names, before, strict=True):
            jax.config.update(name, value)
        reset()
