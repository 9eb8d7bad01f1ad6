import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, average_pool, global_average_pool, global_max_pool, max_pool


def pooled(layer, x):
    return layer.apply({}, {}, jnp.asarray(x, jnp.float32))[0]


def image(rows):
    return np.array(rows, np.float32)[None, :, :, None]


X = image([[1, 5, 2], [4, 3, 9], [8, 7, 6]])


def test_values_by_hand():
    np.testing.assert_array_equal(pooled(max_pool(), X), image([[5]]))  # what does not fill a window is left out
    np.testing.assert_array_equal(pooled(average_pool(), X), image([[3.25]]))
    np.testing.assert_array_equal(pooled(max_pool(stride=1), X), image([[5, 9], [8, 9]]))
    np.testing.assert_array_equal(pooled(average_pool(stride=1), X), image([[3.25, 4.75], [5.5, 6.25]]))


def test_padding_neither_wins_nor_counts():
    np.testing.assert_array_equal(pooled(max_pool(padding="same"), -X), image([[-1, -2], [-7, -6]]))
    np.testing.assert_array_equal(pooled(average_pool(padding="same"), X), image([[3.25, 5.5], [7.5, 6]]))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("taps", [(2, 3), (3, 2), (4, 4)])
def test_blocks_equal_the_sliding_window(taps, padding):
    x = np.random.default_rng(0).normal(size=(2, 7, 9, 3)).astype(np.float32)
    slid = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, *taps, 1), (1, *taps, 1), padding.upper())
    np.testing.assert_array_equal(pooled(max_pool(taps, padding=padding), x), slid)


def test_gradient_at_a_tie_is_shared_among_the_largest():
    slope = jax.grad(lambda x: pooled(max_pool(), x).sum())(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(slope, np.full((1, 2, 2, 1), 0.25))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(("shape", "taps"), [((2, 7, 9, 3), (2, 3)), ((2, 8, 2), (4,)), ((1, 4, 4, 4, 2), (2, 1, 2))])
def test_slope_of_the_mean_is_that_of_the_sliding_window(shape, taps, dtype):
    window = (1, *taps, 1)

    def slid(x):
        return jax.lax.reduce_window(x, jnp.zeros((), x.dtype), jax.lax.add, window, window, "VALID") / math.prod(taps)

    def layer(x):
        return average_pool(taps).apply({}, {}, x)[0]

    x, t = (jax.random.normal(jax.random.key(n), shape).astype(dtype) for n in range(2))
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if dtype == jnp.bfloat16 else {"rtol": 1e-5, "atol": 1e-6}
    y, along = jax.jvp(layer, (x,), (t,))
    assert along.dtype == y.dtype == dtype
    np.testing.assert_allclose(along.astype(jnp.float32), slid(t.astype(jnp.float32)), **tolerance)
    (given,) = jax.vjp(layer, x)[1](y)
    (wanted,) = jax.vjp(slid, x.astype(jnp.float32))[1](y.astype(jnp.float32))
    np.testing.assert_allclose(given.astype(jnp.float32), wanted, **tolerance)
    members = jax.vmap(jax.grad(lambda x: jnp.sum(layer(x) ** 2)))(jnp.stack([x, t]))
    np.testing.assert_allclose(
        members[1].astype(jnp.float32), jax.grad(lambda x: jnp.sum(layer(x) ** 2))(t).astype(jnp.float32), **tolerance
    )


@pytest.mark.parametrize("make", [max_pool, average_pool])
def test_unfit_arguments_and_input(make):
    name = make.__name__
    with pytest.raises(InputError, match=rf"^{name}: expected window >= 1, got window == \(2, 0\)$"):
        make((2, 0))
    with pytest.raises(InputError, match=rf"^{name}: expected window to have one entry per spatial axis"):
        make(())
    with pytest.raises(InputError, match=rf"^{name}: expected padding"):
        make((2, 2), padding="full")
    with pytest.raises(InputError, match=rf"^{name}: expected x of shape \(batch, 2 spatial axes, channels\), got"):
        pooled(make(), np.ones((4, 4)))
    with pytest.raises(InputError, match=rf"^{name}: expected spatial axes of at least \(2, 2\) \(the window\), got"):
        pooled(make(), np.ones((1, 1, 4, 1)))


def test_global_pooling_by_hand():
    x = np.stack([X, -2 * X], axis=-1)[..., 0, :]
    np.testing.assert_array_equal(pooled(global_average_pool(), x), [[5, -10]])
    np.testing.assert_array_equal(pooled(global_max_pool(), x), [[9, -2]])
    np.testing.assert_array_equal(pooled(global_max_pool(), x[:, 0]), [[5, -2]])


@pytest.mark.parametrize("make", [global_average_pool, global_max_pool])
def test_global_pooling_needs_a_place(make):
    for shape in ((2, 3), (2, 0, 3)):
        with pytest.raises(InputError, match=rf"^{make.__name__}: expected x of shape \(batch, at least one spatial"):
            pooled(make(), np.ones(shape))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_means_of_many_numbers_are_added_up_in_float32(padding):
    x = jnp.ones((1, 32, 32, 1), jnp.bfloat16)
    y, _ = average_pool((20, 20), stride=1, padding=padding).apply({}, {}, x.at[0, 3, 3, 0].set(41.0))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(y[0, 0, 0, 0], np.float32), 1.1 if padding == "valid" else 1.33, rtol=4e-3)
