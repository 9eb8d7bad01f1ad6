import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, embedding, position_embedding

W = jnp.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
TOKENS = jnp.array([[2, 0], [2, 1]])


def test_rows_are_looked_up_eagerly_and_compiled():
    for apply in (embedding(3, 2).apply, jax.jit(embedding(3, 2).apply)):
        np.testing.assert_array_equal(apply({"w": W}, {}, TOKENS)[0], [[[4, 5], [0, 1]], [[4, 5], [2, 3]]])


def test_a_token_that_is_none_gives_nan_only_there():
    y = embedding(3, 2).apply({"w": W}, {}, jnp.array([3, 1, -1]))[0]
    np.testing.assert_array_equal(y, [[np.nan] * 2, [2, 3], [np.nan] * 2])


def test_init_is_pure_and_of_the_wanted_dtype():
    layer = embedding(1000, 50, dtype=jnp.bfloat16)
    params, state = layer.init(jax.random.key(1), TOKENS)
    again, _ = layer.init(jax.random.key(1), jax.ShapeDtypeStruct((2, 2), jnp.int32))
    np.testing.assert_array_equal(params["w"], again["w"])
    assert params["w"].dtype == jnp.bfloat16
    assert state == {}
    assert float(params["w"].astype(jnp.float32).std()) == pytest.approx(0.02, rel=0.02)


def test_gradient_counts_how_often_a_row_was_used(check_gradient):
    check_gradient(lambda w: embedding(3, 2).apply({"w": w}, {}, TOKENS)[0], W)
    slope = jax.grad(lambda w: embedding(3, 2).apply({"w": w}, {}, TOKENS)[0].sum())(W)
    np.testing.assert_array_equal(slope, [[1, 1], [1, 1], [2, 2]])


def test_positions_are_added():
    y = position_embedding(3).apply({"w": W}, {}, jnp.ones((2, 2, 2)))[0]
    np.testing.assert_array_equal(y, [[[1, 2], [3, 4]]] * 2)


def test_unfit_input():
    with pytest.raises(InputError, match=r"^embedding: expected x of an integer dtype, got x.dtype == float32$"):
        embedding(3, 2).init(jax.random.key(0), jnp.ones(2))
    with pytest.raises(InputError, match=r"^embedding: expected sizes >= 1, got n_tokens == 0, n_out == 2$"):
        embedding(0, 2)
    with pytest.raises(InputError, match=r"^position_embedding: expected n_positions >= 1, got n_positions == 0$"):
        position_embedding(0)
    with pytest.raises(
        InputError,
        match=r"^position_embedding: expected x of shape \(batch, time, features\), time at most 3, got x.shape",
    ):
        position_embedding(3).apply({"w": W}, {}, jnp.ones((1, 4, 2)))
    with pytest.raises(
        InputError, match=r'expected x.shape\[-1\] == 2 \(columns of params\["w"\]\), got x.shape == \(1'
    ):
        position_embedding(3).apply({"w": W}, {}, jnp.ones((1, 2, 3)))


def test_bytes_are_tokens():
    layer = embedding(256, 2)
    y, _ = layer.apply({"w": jnp.arange(512.0).reshape(256, 2)}, {}, jnp.array([3, 255], jnp.uint8))
    assert y.tolist() == [[6.0, 7.0], [510.0, 511.0]]
