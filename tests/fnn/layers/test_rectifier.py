import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, parametric_relu

X = jnp.array([[-2.0, 3.0], [-1.0, -4.0]])


def test_value_and_slope_of_the_slope_by_hand():
    params = {"slope": jnp.array([0.5, 0.25])}
    np.testing.assert_array_equal(parametric_relu().apply(params, {}, X)[0], [[-1, 3], [-0.5, -1]])
    grads = jax.grad(lambda p: parametric_relu().apply(p, {}, X)[0].sum())(params)
    np.testing.assert_array_equal(grads["slope"], [-3, -4])  # the sum of x where x is not positive


def test_one_slope_for_all_channels():
    params, _ = parametric_relu(slope=0.1, shared=True).init(jax.random.key(0), X)
    assert params["slope"].shape == ()
    np.testing.assert_allclose(parametric_relu(shared=True).apply(params, {}, X)[0], [[-0.2, 3], [-0.1, -0.4]])


def test_unfit_slope():
    with pytest.raises(InputError, match=r'^parametric_relu: expected params\["slope"\] of shape \(\) or \(2,\)'):
        parametric_relu().apply({"slope": jnp.ones(3)}, {}, X)
