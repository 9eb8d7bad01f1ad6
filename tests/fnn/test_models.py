import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, cnn, linear, mlp, tanh

IMAGES = jnp.asarray(np.random.default_rng(0).random((2, 8, 8, 1)), jnp.float32)


def test_mlp_is_its_equation():
    params, state = mlp([5], 3, activation=tanh).init(jax.random.key(0), IMAGES)
    hidden = np.tanh(IMAGES.reshape(2, 64) @ params["01_dense"]["w"] + params["01_dense"]["b"][None])
    logits = hidden @ params["03_dense"]["w"] + params["03_dense"]["b"][None]
    np.testing.assert_allclose(mlp([5], 3, activation=tanh).apply(params, state, IMAGES)[0], logits, rtol=1e-5)


def test_without_hidden_layers_an_mlp_is_linear():
    params, state = linear(3).init(jax.random.key(0), IMAGES)
    np.testing.assert_array_equal(mlp([], 3).apply(params, state, IMAGES)[0], linear(3).apply(params, state, IMAGES)[0])


def test_relu_layers_start_with_the_variance_that_relu_needs():
    params, _ = mlp([400], 400).init(jax.random.key(0), jnp.ones((1, 400)))
    # 160,000 draws: the standard deviation of the estimate is below 0.5 %.
    assert float(params["01_dense"]["w"].std()) == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert float(params["03_dense"]["w"].std()) == pytest.approx(np.sqrt(1 / 400), rel=0.02)


def test_an_image_too_small_for_the_stages():
    with pytest.raises(
        InputError, match=r"^average_pool: expected spatial axes of at least \(2, 2\).*in layer 08_aver"
    ):
        cnn(10, n_channels=(2, 2, 2, 2)).init(jax.random.key(0), jnp.ones((1, 4, 4, 1)))
    with pytest.raises(InputError, match=r"^cnn: expected at least one stage in n_channels, got n_channels == \(\)$"):
        cnn(10, n_channels=())
