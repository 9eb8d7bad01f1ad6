"""What every model keeps to, whichever layer or network it is."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import (
    Model,
    activations,
    adaline,
    autoencoder,
    average_pool,
    batch_norm,
    cnn,
    conv,
    conv_autoencoder,
    dense,
    dropout,
    flatten,
    global_average_pool,
    global_max_pool,
    group_norm,
    gru,
    layer_norm,
    leaky_relu,
    lift,
    linear,
    lstm,
    max_pool,
    mlp,
    parallel,
    parametric_relu,
    pattern_network,
    position_embedding,
    reshape,
    residual,
    self_attention,
    serial,
    softplus,
    tanh,
    upsample,
)

IMAGE, SEQUENCE, VECTOR = (3, 6, 6, 2), (3, 7, 2), (3, 5)
MODELS = {
    "dense": (dense(4), VECTOR),
    "dense, no bias": (dense(4, bias=False), VECTOR),
    "dense, more axes": (dense(4), SEQUENCE),
    "conv": (conv(3), IMAGE),
    "conv, valid, stride, dilation": (conv(3, (3, 2), stride=(2, 1), padding="valid", dilation=(1, 2)), IMAGE),
    "conv, groups": (conv(4, (3, 3), groups=2, bias=False), IMAGE),
    "conv, one axis": (conv(3, (3,), stride=2), SEQUENCE),
    "max_pool": (max_pool(), IMAGE),
    "max_pool, overlapping": (max_pool((3, 3), stride=2), IMAGE),
    "max_pool, same": (max_pool((4,), padding="same"), SEQUENCE),
    "average_pool": (average_pool(), IMAGE),
    "average_pool, same": (average_pool((4, 4), stride=(3, 2), padding="same"), IMAGE),
    "flatten": (flatten(), IMAGE),
    "dropout": (dropout(0.5), VECTOR),
    **{name: (lift(getattr(activations, name)), VECTOR) for name in ("sigmoid", "tanh", "relu", "elu", "softmax")},
    "leaky_relu": (lift(partial(leaky_relu, slope=0.2)), VECTOR),
    "serial": (serial(dense(4), tanh, serial(dropout(0.2), dense(3)), softplus), VECTOR),
    "empty serial": (serial(), VECTOR),
    "parallel": (parallel(dense(4), serial(batch_norm(), tanh), dropout(0.5)), VECTOR),
    "residual": (residual(dense(5), tanh, dropout(0.5)), VECTOR),
    "residual, shortcut": (residual(dense(4), batch_norm(), shortcut=dense(4, bias=False)), VECTOR),
    "layer_norm": (layer_norm(), SEQUENCE),
    "group_norm": (group_norm(2), (3, 4, 6)),
    "batch_norm": (batch_norm(), IMAGE),
    "batch_norm, plain": (batch_norm(affine=False), VECTOR),
    "parametric_relu": (parametric_relu(), IMAGE),
    "parametric_relu, shared": (parametric_relu(shared=True), VECTOR),
    "global_average_pool": (global_average_pool(), IMAGE),
    "global_max_pool": (global_max_pool(), SEQUENCE),
    "reshape": (reshape((2, 36)), IMAGE),
    "upsample": (upsample((2, 3)), IMAGE),
    "position_embedding": (position_embedding(9), SEQUENCE),
    "lstm": (lstm(3), SEQUENCE),
    "gru": (gru(3), SEQUENCE),
    "self_attention": (self_attention(2, causal=True), (3, 5, 4)),
    "linear": (linear(3), IMAGE),
    "mlp": (mlp([5, 4], 3, activation=tanh, drop_rate=0.5), IMAGE),
    "adaline": (adaline(2), VECTOR),
    "autoencoder": (autoencoder((5,), 2, n_hidden=(4,), activation=tanh), VECTOR),
    "conv_autoencoder": (conv_autoencoder((4, 4, 1), n_channels=(2,), activation=tanh), (3, 4, 4, 1)),
    "pattern_network": (pattern_network(), (3, 2, 2, 1)),
    "cnn": (cnn(3, n_channels=(3, 4), n_hidden=5, drop_rate=0.5), IMAGE),
}


@pytest.fixture(params=MODELS, scope="module")
def case(request: pytest.FixtureRequest) -> tuple[Model, jax.Array]:
    model, shape = MODELS[request.param]
    return model, jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def test_init_needs_only_shape_and_dtype_and_is_pure(case):
    model, x = case
    with jax.numpy_rank_promotion("raise"):
        params, state = model.init(jax.random.key(1), x)
    again = model.init(jax.random.key(1), jax.ShapeDtypeStruct(x.shape, x.dtype))
    jax.tree.map(np.testing.assert_array_equal, (params, state), again)
    assert all(leaf.dtype == x.dtype for leaf in jax.tree.leaves(params))
    half = jax.eval_shape(lambda: model.init(jax.random.key(1), jnp.zeros(x.shape, jnp.bfloat16)))
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(half[0]))


def test_apply_is_pure_and_the_same_compiled(case):
    model, x = case
    params, state = model.init(jax.random.key(1), x)
    before = jax.tree.map(np.array, params)
    for options in ({}, {"key": jax.random.key(2), "train": True}):
        y, new_state = model.apply(params, state, x, **options)
        compiled, compiled_state = jax.jit(partial(model.apply, **options))(params, state, x)
        assert jax.tree.structure(state) == jax.tree.structure(new_state) == jax.tree.structure(compiled_state)
        assert y.dtype == compiled.dtype == x.dtype
        np.testing.assert_allclose(y, compiled, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(y, model.apply(params, state, x, **options)[0])
    jax.tree.map(np.testing.assert_array_equal, params, before)


def test_examples_do_not_see_each_other(case):
    model, x = case
    params, state = model.init(jax.random.key(1), x)
    together = model.apply(params, state, x)[0]
    assert together.shape[0] == len(x)
    np.testing.assert_allclose(together[1:2], model.apply(params, state, x[1:2])[0], rtol=1e-5, atol=1e-6)


def test_gradient_agrees_with_differences(case, check_gradient):
    model, x = case
    params, state = model.init(jax.random.key(1), x)
    check_gradient(lambda params, x: model.apply(params, state, x)[0], params, x)


def test_parameters_are_named_for_a_person(case):
    model, x = case
    params, _ = model.init(jax.random.key(1), x)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    names = ("w", "b", "w_hidden", "scale", "shift", "slope")
    assert all(path.endswith(tuple(f"['{name}']" for name in names)) for path in paths)


def test_the_check_finds_a_wrong_gradient(check_gradient):
    @jax.custom_vjp
    def square(x):
        return x * x

    # One part in a hundred too much, and for one of the entries only.
    square.defvjp(lambda x: (x * x, x), lambda x, g: (2 * x * g * jnp.array([1, 1, 1.01], x.dtype),))
    with pytest.raises(AssertionError):
        check_gradient(square, np.array([1.0, 2.0, 3.0]))
