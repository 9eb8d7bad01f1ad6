import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, flatten, reshape, upsample


def test_value_by_hand():
    x = jnp.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_array_equal(flatten().apply({}, {}, x)[0], [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])


def test_one_axis_none_and_no_examples():
    assert flatten().apply({}, {}, jnp.ones(3))[0].shape == (3, 1)
    assert flatten().apply({}, {}, jnp.ones((0, 4, 4)))[0].shape == (0, 16)
    with pytest.raises(InputError, match=r"^flatten: expected x with at least one axis, got x.shape == \(\)$"):
        flatten().apply({}, {}, jnp.ones(()))


def test_reshape_undoes_flatten():
    x = jnp.arange(24.0).reshape(2, 3, 4, 1)
    np.testing.assert_array_equal(reshape((3, 4, 1)).apply({}, {}, flatten().apply({}, {}, x)[0])[0], x)
    with pytest.raises(InputError, match=r"^reshape: expected 6 entries per example, for \(2, 3\), got x.shape == \(2"):
        reshape((2, 3)).apply({}, {}, x)
    with pytest.raises(InputError, match=r"^reshape: expected sizes of at least 1, got shape == \(2, 0\)$"):
        reshape((2, 0))


def test_upsample_by_hand():
    x = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]
    expected = [[1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4], [3, 3, 3, 4, 4, 4]]
    np.testing.assert_array_equal(upsample((2, 3)).apply({}, {}, x)[0][0, :, :, 0], expected)
    with pytest.raises(InputError, match=r"^upsample: expected x of shape \(batch, 1 spatial axes, channels\), got"):
        upsample((2,)).apply({}, {}, x)
    with pytest.raises(InputError, match=r"^upsample: expected factor >= 1, got factor == \(0, 2\)$"):
        upsample((0, 2))
