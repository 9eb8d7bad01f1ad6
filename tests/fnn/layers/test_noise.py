import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, dropout


def test_drops_the_stated_share_and_keeps_the_mean():
    x = jnp.full((200, 100), 3.0)
    y, _ = dropout(0.25).apply({}, {}, x, key=jax.random.key(0), train=True)
    np.testing.assert_allclose(np.unique(y), [0, 4])
    # Of 20,000 coins the share is within 5 standard deviations, 0.0031 each.
    assert abs(float((y == 0).mean()) - 0.25) < 5 * 0.0031


def test_is_the_identity_out_of_training_and_at_rate_0():
    x = jnp.arange(4.0)
    assert dropout(0.9).apply({}, {}, x, key=jax.random.key(0))[0] is x
    assert dropout(0.0).apply({}, {}, x, train=True)[0] is x


def test_needs_a_key_and_a_rate_below_1():
    with pytest.raises(InputError, match=r"^dropout: expected key=... because train=True draws random numbers, got"):
        dropout(0.5).apply({}, {}, jnp.ones(3), train=True)
    for rate in (-0.1, 1.0, float("nan")):
        with pytest.raises(InputError, match=f"^dropout: expected 0 <= drop_rate < 1, got drop_rate == {rate}$"):
            dropout(rate)


def test_the_gradient_passes_where_something_was_kept():
    layer, x = dropout(0.5), jnp.ones(64)
    run = lambda x: layer.apply({}, {}, x, key=jax.random.key(3), train=True)[0]  # noqa: E731
    np.testing.assert_array_equal(jax.grad(lambda x: run(x).sum())(x), run(x))
