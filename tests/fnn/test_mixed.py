from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from fnn import (
    InputError,
    accuracy,
    batch_norm,
    cnn,
    conv,
    dense,
    embedding,
    evaluate,
    fit,
    inspect,
    load_digits,
    loss_and_grad,
    lstm,
    mlp,
    parametric_relu,
    relu,
    serial,
    softmax_cross_entropy_with_integer_labels,
    summarize,
    supervised,
)
from fnn.adapters import from_linen, from_nnx
from fnn.mixed import mixed_precision

LOSS = softmax_cross_entropy_with_integer_labels
DATA = load_digits()


def dtypes(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)}


def test_gradients_are_those_of_float32_within_rounding():
    model = cnn(10, n_channels=(4,), n_hidden=8, normalize=True)
    x = DATA.train.x[:64].reshape(-1, 8, 8, 1)
    params, state = model.init(jax.random.key(0), x)
    batch, key = (x, DATA.train.y[:64]), jax.random.key(1)
    found = [loss_and_grad(supervised(m, LOSS))(params, state, batch, key) for m in (model, mixed_precision(model))]
    ((exact, (exact_state, _)), exact_grads), ((loss, (new, _)), grads) = found
    assert loss.dtype == jnp.float32
    assert dtypes(grads) == {np.dtype(np.float32)}
    assert float(exact) != float(loss)  # bfloat16 was at work
    # 8 significant bits; a few roundings on the way.
    np.testing.assert_allclose(loss, exact, rtol=0.02)
    for got, expected in zip(jax.tree.leaves(grads), jax.tree.leaves(exact_grads), strict=True):
        # A bias before batch_norm has the gradient 0, and nothing that its rounding could be compared with.
        assert np.linalg.norm(got - expected) < 0.05 * np.linalg.norm(expected) + 0.005
    for got, expected in zip(jax.tree.leaves(new), jax.tree.leaves(exact_state), strict=True):
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, expected, rtol=0.02, atol=0.02)


def test_a_training_in_bfloat16_reaches_the_accuracy():
    model = mixed_precision(mlp([32], 10))
    params, state = model.init(jax.random.key(0), DATA.train.x[:1])
    fitted = fit(
        supervised(model, LOSS), optax.adam(1e-2), params, state, DATA.train, key=jax.random.key(1), n_epochs=6
    )
    assert dtypes(fitted.train_state._replace(key=())) == {np.dtype(np.float32)}
    found = evaluate(model, fitted.params, fitted.state, DATA.test, {"accuracy": accuracy})
    assert found["accuracy"] > 0.94  # measured: 0.961; in float32 0.958


LAYERS = {
    "dense": (dense(2), (64, 16, 4)),
    "conv": (conv(2), (64, 8, 8, 2)),
    "batch_norm": (batch_norm(), (64, 8, 8, 2)),
    "parametric_relu": (parametric_relu(), (64, 8, 8, 2)),
    "embedding": (embedding(2, 3), None),
    "lstm": (lstm(2), (4, 400, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_sums_over_many_examples_and_places_do_not_come_to_a_halt(name):
    layer, shape = LAYERS[name]
    x = jnp.arange(4096).reshape(64, 64) % 2 if shape is None else jax.random.normal(jax.random.key(0), shape)
    params, state = layer.init(jax.random.key(1), x)

    def gradient(model):
        return jax.jit(jax.grad(lambda p: jnp.sum(model.apply(p, state, x, train=True)[0])))(params)

    exact, found = gradient(layer), gradient(mixed_precision(layer))
    if name == "lstm":
        for grads in (exact, found):  # a product over sequences, which XLA adds up partly in bfloat16
            del grads["w"]
    for got, expected in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
        # Normalised numbers have the sum 0, and the rounding of each remains.
        np.testing.assert_allclose(got, expected, rtol=0.03, atol=0.03 * np.sqrt(x.size))


def test_layers_one_by_one_are_the_whole():
    plain = mlp([8], 10)
    model, same = mixed_precision(plain), mixed_precision(plain, jnp.float32)
    batch = DATA.train.x[:32], DATA.train.y[:32]
    params, state = model.init(jax.random.key(0), batch[0])
    assert [row[:3] for row in summarize(model, batch[0])] == [row[:3] for row in summarize(plain, batch[0])]
    whole, _ = model.apply(params, state, batch[0])
    exact, _ = plain.apply(params, state, batch[0])
    np.testing.assert_array_equal(same.apply(params, state, batch[0])[0], exact)
    assert np.any(whole != exact)
    x, sizes = batch[0], []
    for label, layer in model.layers:
        x, _ = layer.apply(params.get(label, {}), state.get(label, {}), x)
        sizes.append(np.sqrt(np.mean(np.square(x))))
    np.testing.assert_array_equal(x, whole)
    rows = inspect(model, LOSS, params, state, batch)
    np.testing.assert_allclose([row.activation for row in rows], sizes, rtol=1e-2)


def test_what_lasts_is_float32_even_for_small_inputs_and_integers_pass():
    model = mixed_precision(serial(dense(3), batch_norm(), relu))
    params, state = model.init(jax.random.key(0), jnp.ones((2, 4), jnp.bfloat16))
    assert dtypes((params, state)) == {np.dtype(np.float32)}
    x = jax.random.normal(jax.random.key(1), (8, 4), jnp.bfloat16)
    y, new = jax.jit(partial(model.apply, train=True))(params, state, x)
    assert dtypes((y, new)) == {np.dtype(np.float32)}
    words = mixed_precision(embedding(300, 4))
    params, state = words.init(jax.random.key(0), jnp.zeros((1, 2), jnp.int32))
    y, _ = words.apply(params, state, jnp.array([[1, 299]]))  # as bfloat16, 299 would be 300
    (table,) = jax.tree.leaves(params)
    np.testing.assert_array_equal(y[0, 1], table[299].astype(jnp.bfloat16).astype(jnp.float32))


def linen_model():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x, train):
            x = linen.BatchNorm(use_running_average=not train)(linen.Dense(8)(x))
            return linen.Dense(2)(linen.relu(x))

    return from_linen(Net(), call=lambda net, x, train: net(x, train))


def nnx_model():
    return from_nnx(
        lambda rngs: nnx.Sequential(
            nnx.Linear(3, 8, rngs=rngs), nnx.BatchNorm(8, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)
        )
    )


@pytest.mark.parametrize("make", [linen_model, nnx_model])
def test_adapted_modules(make):
    plain = make()
    x = jax.random.normal(jax.random.key(0), (16, 3))
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        params, state = jax.jit(plain.init)(jax.random.key(1), x)
        found = []
        for model in (plain, mixed_precision(plain)):
            y, new = jax.jit(partial(model.apply, train=True))(params, state, x, key=jax.random.key(2))
            assert dtypes((y, new)) == {np.dtype(np.float32)}
            found.append(y)
    assert 0 < np.abs(found[0] - found[1]).max() < 0.1


@pytest.mark.parametrize(("dtype", "text"), [(jnp.float16, "float16 needs a scaled loss"), (jnp.int8, "got int8")])
def test_other_dtypes_are_refused(dtype, text):
    with pytest.raises(InputError, match=text):
        mixed_precision(dense(1), dtype)
