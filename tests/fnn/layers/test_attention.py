import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, self_attention

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 6)), jnp.float32)
MASK = jnp.array([[True, True, True, False, False], [True] * 5])
IDENTITY = {"w": jnp.eye(2)}


def test_value_by_hand():
    # One head, all projections the identity: scores are inner products over sqrt(2).
    params = dict.fromkeys(("query", "key", "value", "out"), IDENTITY)
    x = jnp.array([[[1.0, 0.0], [0.0, 2.0]]])
    a, b = np.exp(1 / np.sqrt(2)), np.exp(4 / np.sqrt(2))
    expected = [[[a / (a + 1), 2 / (a + 1)], [1 / (1 + b), 2 * b / (1 + b)]]]
    np.testing.assert_allclose(self_attention(1, bias=False).apply(params, {}, x)[0], expected, rtol=1e-6)
    causal = self_attention(1, bias=False, causal=True).apply(params, {}, x)[0]
    np.testing.assert_allclose(causal, [[[1, 0], expected[0][1]]], rtol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_equals_the_attention_of_jax(causal):
    layer = self_attention(3, causal=causal)
    params, state = layer.init(jax.random.key(0), X)
    q, k, v = ((X @ params[name]["w"]).reshape(2, 5, 3, 2) for name in ("query", "key", "value"))
    with jax.numpy_rank_promotion("allow"):
        heads = jax.nn.dot_product_attention(q, k, v, mask=MASK[:, None, None, :], is_causal=causal)
    expected = heads.reshape(2, 5, 6) @ params["out"]["w"]
    np.testing.assert_allclose(layer.apply(params, state, (X, MASK))[0], expected, rtol=1e-4, atol=1e-5)


def test_no_step_sees_what_it_must_not():
    params, state = self_attention(2).init(jax.random.key(0), X)

    def apply(causal, x, mask):
        return self_attention(2, causal=causal).apply(params, state, (x, mask))[0]

    other = X.at[0, 3:].set(7.0)
    np.testing.assert_array_equal(apply(False, X, MASK)[0, :3], apply(False, other, MASK)[0, :3])
    everything = jnp.ones((2, 5), bool)
    np.testing.assert_allclose(apply(True, X, everything)[0, :3], apply(True, other, everything)[0, :3], rtol=1e-6)
    assert not np.allclose(apply(False, X, everything)[0, :3], apply(False, other, everything)[0, :3])


def test_a_step_that_sees_nothing_is_zero_with_a_finite_gradient():
    layer = self_attention(2)
    params, state = layer.init(jax.random.key(0), X)
    nothing = jnp.zeros((2, 5), bool)
    np.testing.assert_array_equal(layer.apply(params, state, (X, nothing))[0], jnp.zeros(X.shape))
    grads = jax.grad(lambda x: layer.apply(params, state, (x, nothing))[0].sum())(X)
    np.testing.assert_array_equal(grads, jnp.zeros(X.shape))


def test_masked_gradient(check_gradient):
    layer = self_attention(2, causal=True)
    params, state = layer.init(jax.random.key(0), X)
    check_gradient(lambda p, x: layer.apply(p, state, (x, MASK))[0], params, X)


def test_unfit_input():
    layer = self_attention(2)
    params, state = layer.init(jax.random.key(0), X)
    with pytest.raises(InputError, match=r"^self_attention: expected n_heads >= 1, got n_heads == 0$"):
        self_attention(0)
    with pytest.raises(InputError, match=r"expected features that divide into 4 heads, got x.shape == \(2, 5, 6\)$"):
        self_attention(4).init(jax.random.key(0), X)
    with pytest.raises(InputError, match=r"expected x of shape \(batch, time, features\), got x.shape == \(5, 6\)$"):
        layer.apply(params, state, X[0])
    with pytest.raises(InputError, match=r"expected a mask of Booleans of shape \(2, 5\), got float32 of shape"):
        layer.apply(params, state, (X, jnp.ones((2, 5))))
    with pytest.raises(
        InputError, match=r'expected x.shape\[-1\] == 6 \(rows of params\["query"\]\["w"\]\), got x.shape'
    ):
        layer.apply(params, state, X[:, :, :4])


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4)])
def test_an_empty_batch_and_empty_sequences(shape):
    layer = self_attention(2)
    params, state = layer.init(jax.random.key(0), jnp.ones((1, 3, 4)))
    assert layer.apply(params, state, jnp.ones(shape))[0].shape == shape
