import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, flatten


def test_value_by_hand():
    x = jnp.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_array_equal(flatten().apply({}, {}, x)[0], [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])


def test_one_axis_none_and_no_examples():
    assert flatten().apply({}, {}, jnp.ones(3))[0].shape == (3, 1)
    assert flatten().apply({}, {}, jnp.ones((0, 4, 4)))[0].shape == (0, 16)
    with pytest.raises(InputError, match=r"^flatten: expected x with at least one axis, got x.shape == \(\)$"):
        flatten().apply({}, {}, jnp.ones(()))
