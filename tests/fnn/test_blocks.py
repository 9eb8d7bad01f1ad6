"""Networks of the literature, written from the layers and trained by the one loop: a ResNet, a transformer, an LSTM."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import (
    accuracy,
    batch_norm,
    batches,
    conv,
    dense,
    embedding,
    evaluate,
    fit,
    global_average_pool,
    layer_norm,
    load_digits,
    loss_and_grad,
    lstm,
    parallel,
    relu,
    residual,
    self_attention,
    serial,
    softmax_cross_entropy_with_integer_labels,
    supervised,
)


def resnet_block(n, stride=1):
    """Convolution, batch norm, relu, twice, the second relu after the sum; He et al. 2016, figure 2."""
    body = conv(n, stride=stride, bias=False), batch_norm(), relu, conv(n, bias=False), batch_norm()
    shortcut = serial(conv(n, (1, 1), stride=stride, bias=False), batch_norm()) if stride > 1 else None
    return serial(residual(*body, shortcut=shortcut), relu, name="block")


def transformer_block(n_heads, n_features):
    """Over (x, mask), x alone comes out: x + attention(norm x), then x + mlp(norm x); nothing ahead is seen."""
    normed = parallel(serial(lambda pair: pair[0], layer_norm()), lambda pair: pair[1], merge=lambda *pair: pair)
    attention = serial(normed, self_attention(n_heads, causal=True), name="attention")
    mixed = parallel(lambda pair: pair[0], attention, merge=jnp.add)
    return serial(mixed, residual(layer_norm(), dense(2 * n_features), relu, dense(n_features)), name="block")


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return (data.train.x[:400], data.train.y[:400]), (data.test.x, data.test.y)


def test_a_resnet_learns_the_digits(digits):
    train, test = digits
    stem = conv(8, bias=False), batch_norm(), relu
    model = serial(*stem, resnet_block(8, stride=2), resnet_block(8), global_average_pool(), dense(10), name="resnet")
    params, state = jax.jit(model.init)(jax.random.key(0), train[0])
    objective = supervised(model, softmax_cross_entropy_with_integer_labels)
    fitted = fit(objective, optax.adam(1e-2), params, state, train, key=jax.random.key(0), n_epochs=5)
    share = evaluate(model, fitted.params, fitted.state, test, {"accuracy": accuracy})["accuracy"]
    assert share > 0.8
    # The running statistics are what evaluation goes by: with those of the start it knows nothing.
    assert evaluate(model, fitted.params, state, test, {"accuracy": accuracy})["accuracy"] < share - 0.2


def test_a_transformer_block_sees_neither_what_is_ahead_nor_what_is_masked(check_gradient):
    block = transformer_block(2, 4)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 4)), jnp.float32)
    mask = jnp.array([[False, True, True, True, True], [True] * 5])
    params, state = block.init(jax.random.key(0), (x, mask))
    y = block.apply(params, state, (x, mask))[0]
    ahead = block.apply(params, state, (x.at[:, 3:].add(1.0), mask))[0]
    np.testing.assert_allclose(y[:, :3], ahead[:, :3], rtol=1e-5, atol=1e-6)
    assert float(jnp.abs(y[:, 3:] - ahead[:, 3:]).min()) > 1e-4
    hidden = block.apply(params, state, (x.at[0, 0].add(1.0), mask))[0]
    np.testing.assert_array_equal(y[0, 1:], hidden[0, 1:])
    check_gradient(lambda params, x: block.apply(params, state, (x, mask))[0], params, x)


def test_a_model_over_pairs_trains_like_any_other():
    tokens = np.random.default_rng(0).integers(1, 5, size=(40, 6)).astype(np.int32)
    lengths = np.random.default_rng(1).integers(2, 7, size=40)
    mask = np.arange(6)[None] < lengths[:, None]
    embed = parallel(serial(lambda x: x[0], embedding(5, 8)), lambda x: x[1], merge=lambda *pair: pair)
    model = serial(embed, transformer_block(2, 8), lambda h: h[:, 1], dense(5))
    params, state = model.init(jax.random.key(0), (tokens[:1], mask[:1]))
    # The token before the one that is looked at: it must be fetched by attention.
    data = (tokens, mask), tokens[:, 0]
    objective = supervised(model, softmax_cross_entropy_with_integer_labels)
    fitted = fit(objective, optax.adam(1e-2), params, state, data, key=jax.random.key(0), n_epochs=60)
    assert fitted.history[-1]["loss"] < 0.2 * fitted.history[0]["loss"]


def test_an_lstm_remembers_the_first_sign():
    x = np.random.default_rng(0).normal(size=(256, 8, 1)).astype(np.float32)
    y = (x[:, 0, 0] > 0).astype(np.int32)
    model = serial(lstm(8), lambda h: h[:, -1], dense(2))
    params, state = model.init(jax.random.key(0), x)
    objective = supervised(model, softmax_cross_entropy_with_integer_labels)
    fitted = fit(objective, optax.adam(2e-2), params, state, (x, y), key=jax.random.key(0), n_epochs=25)
    assert evaluate(model, fitted.params, state, (x, y), {"accuracy": accuracy})["accuracy"] > 0.9
    _, grads = loss_and_grad(objective)(params, state, next(batches((x, y), 32)), jax.random.key(0))
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(grads))
