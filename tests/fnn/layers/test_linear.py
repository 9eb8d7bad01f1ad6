import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, dense


def test_value_by_hand():
    params = {"w": jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), "b": jnp.array([0.5, -0.5])}
    y, state = dense(2).apply(params, {}, jnp.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]]))
    np.testing.assert_array_equal(y, [[-3.5, -4.5], [5.5, 7.5]])
    assert state == {}


def test_initializers_are_used():
    layer = dense(3, w_init=jax.nn.initializers.constant(2.0), b_init=jax.nn.initializers.ones)
    params, _ = layer.init(jax.random.key(0), jnp.ones((1, 4)))
    np.testing.assert_array_equal(params["w"], np.full((4, 3), 2))
    np.testing.assert_array_equal(params["b"], np.ones(3))


def test_wrong_shape_names_what_was_expected_and_what_came():
    params, state = dense(2).init(jax.random.key(0), jnp.ones((5, 3)))
    with pytest.raises(InputError) as error:
        dense(2).apply(params, state, jnp.ones((5, 4)))
    assert str(error.value) == 'dense: expected x.shape[-1] == 3 (rows of params["w"]), got x.shape == (5, 4)'


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (jnp.ones((2, 3), jnp.int32), "x of a floating-point dtype, got x.dtype == int32"),
        (jnp.ones(()), r"x.ndim >= 1, got x.shape == \(\)"),
        ([1.0, 2.0], "x to be an array, got list"),
    ],
)
def test_unfit_input(x, message):
    with pytest.raises(InputError, match=f"^dense: expected {message}$"):
        dense(2).init(jax.random.key(0), x)


def test_missing_parameter_and_no_outputs():
    with pytest.raises(InputError, match=r"^dense: expected params\[\"b\"\], got params with \['w'\]$"):
        dense(2).apply({"w": jnp.ones((3, 2))}, {}, jnp.ones((1, 3)))
    with pytest.raises(InputError, match=r"^dense: expected n_out >= 1, got n_out == 0$"):
        dense(0)
