import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import activations, prelu, sigmoid, softmax, step

# Values by hand (or by the calculator of the decks), at -2, 0 and 3.
E = np.e
BY_HAND = {
    "sigmoid": [1 / (1 + E**2), 0.5, 1 / (1 + E**-3)],
    "tanh": [(E**-4 - 1) / (E**-4 + 1), 0.0, (E**6 - 1) / (E**6 + 1)],
    "relu": [0, 0, 3],
    "leaky_relu": [-0.02, 0, 3],
    "elu": [E**-2 - 1, 0, 3],
    "softplus": [np.log(1 + E**-2), np.log(2), np.log(1 + E**3)],
    "step": [0, 0, 1],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_values_by_hand(name):
    y = getattr(activations, name)(jnp.array([-2.0, 0.0, 3.0]))
    np.testing.assert_allclose(y, BY_HAND[name], rtol=1e-6)
    assert y.dtype == jnp.float32


@pytest.mark.parametrize("name", BY_HAND)
def test_finite_with_gradient_at_extremes(name):
    function = getattr(activations, name)
    x = jnp.array([-3e38, -1e5, -90.0, 0.0, 90.0, 1e5, 3e38])
    assert jnp.isfinite(function(x)).all()
    assert jnp.isfinite(jax.vmap(jax.grad(function))(x)).all()


@pytest.mark.parametrize("name", BY_HAND)
def test_a_nan_is_not_hidden(name):
    y = getattr(activations, name)(jnp.array([jnp.nan]))
    assert jnp.isnan(y).all() or name == "step"


@pytest.mark.parametrize("name", [*BY_HAND, "softmax"])
def test_gradient_agrees_with_differences(name, check_gradient):
    check_gradient(getattr(activations, name), np.array([-2.0, -0.3, 0.7, 3.0]))


def test_prelu_learns_its_slope(check_gradient):
    x = np.array([-2.0, -0.5, 3.0])
    np.testing.assert_allclose(prelu(jnp.asarray(x, jnp.float32), 0.25), [-0.5, -0.125, 3])
    check_gradient(prelu, x, np.array(0.25))


def test_softmax_is_a_distribution_for_every_finite_logit():
    p = softmax(jnp.array([[2.0, 1.0, 0.1], [1e30, -1e30, 0.0]]))
    np.testing.assert_allclose(p[0], [0.659001, 0.242433, 0.098566], rtol=1e-5)  # e^2 / (e^2 + e + e^0.1), and so on
    np.testing.assert_array_equal(p[1], [1, 0, 0])


def test_sigmoid_and_step_at_their_ends():
    np.testing.assert_array_equal(sigmoid(jnp.array([-200.0, 200.0])), [0, 1])
    np.testing.assert_array_equal(step(jnp.array([-1e-30, 0.0, 1e-30])), [0, 0, 1])
