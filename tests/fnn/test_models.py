import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import (
    InputError,
    adaline,
    autoencoder,
    cnn,
    conv_autoencoder,
    fit,
    half_squared_error,
    linear,
    load_digits,
    mlp,
    pattern_network,
    pattern_params,
    perceptron,
    softmax_cross_entropy_with_integer_labels,
    supervised,
    tanh,
    toy,
)

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


def test_the_initialisation_can_be_chosen():
    for model in (mlp([4], 3, w_init=jax.nn.initializers.ones), cnn(3, n_hidden=4, w_init=jax.nn.initializers.ones)):
        params, _ = jax.jit(model.init)(jax.random.key(0), IMAGES)
        *hidden, last = [params[name]["w"] for name in sorted(params)]
        assert all((w == 1).all() for w in hidden)
        assert (last != 1).any()


def test_perceptron_and_adaline_by_hand():
    params = {"w": jnp.array([[1.0], [2.0]]), "b": jnp.array([-2.0])}
    x = jnp.array([[0.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])
    np.testing.assert_array_equal(adaline(1).apply(params, {}, x)[0], [[0], [1], [-1]])
    np.testing.assert_array_equal(perceptron(1).apply(params, {}, x)[0], [[0], [1], [0]])  # at 0 it does not fire
    drawn, state = perceptron(3).init(jax.random.key(0), x)
    assert drawn["w"].shape == (2, 3)
    assert state == {}


@pytest.mark.parametrize(
    ("model", "n_code", "share"),  # measured after 10 epochs: 0.43 and 0.77 of the spread
    [(autoencoder((8, 8, 1), 8, n_hidden=(32,)), 8, 0.55), (conv_autoencoder((8, 8, 1), n_channels=(8, 4)), 16, 0.9)],
)
def test_autoencoders_give_back_the_digits_better_than_their_mean(model, n_code, share):
    x = load_digits().train.x[:256]
    spread = float(half_squared_error(x, np.broadcast_to(x.mean(axis=0), x.shape)).mean())
    params, state = model.init(jax.random.key(0), x)
    objective = supervised(model, half_squared_error)
    fitted = fit(objective, optax.adam(1e-2), params, state, (x, x), key=jax.random.key(0), n_epochs=10)
    assert fitted.history[-1]["loss"] < share * spread
    (name, encoder), _ = model.layers
    assert encoder.apply(fitted.params[name], {}, x)[0].size == n_code * len(x)


def test_autoencoders_refuse_shapes_that_do_not_fit():
    with pytest.raises(InputError, match=r"^conv_autoencoder: expected shape .* divisible by 4, got \(8, 6, 1\)$"):
        conv_autoencoder((8, 6, 1))
    with pytest.raises(InputError, match=r"^conv_autoencoder: expected at least one stage in n_channels, got"):
        conv_autoencoder((8, 8, 1), n_channels=())
    with pytest.raises(InputError, match=r"^autoencoder: expected sizes of at least 1 in shape, got shape == \(0, 3"):
        autoencoder((0, 3), 2)
    with pytest.raises(InputError, match=r"^reshape: expected 64 entries per example, for \(64,\), got x.shape"):
        autoencoder((8, 8), 2).init(jax.random.key(0), jnp.ones((2, 9)))


def test_pattern_network_knows_its_patterns_and_nothing_of_the_rest():
    images, classes, _ = toy.patterns()
    outputs, _ = pattern_network().apply(pattern_params(), {}, images)
    one = np.tanh(2 * np.tanh(2))  # two pixels of a column, two columns
    np.testing.assert_allclose(outputs, one * np.eye(4)[classes], rtol=1e-6)
    single = jnp.array([1.0, -1.0, -1.0, -1.0]).reshape(1, 2, 2, 1)  # like no pattern more than the others
    half = np.tanh(np.tanh(2))
    np.testing.assert_allclose(
        pattern_network().apply(pattern_params(), {}, single)[0], np.full((1, 4), half), rtol=1e-6
    )


def test_pattern_network_learns_by_itself():
    data = toy.patterns()
    params, state = pattern_network().init(jax.random.key(0), data.x)
    objective = supervised(pattern_network(), softmax_cross_entropy_with_integer_labels)
    fitted = fit(objective, optax.adam(0.05), params, state, data, key=jax.random.key(0), n_epochs=100, batch_size=None)
    outputs, _ = pattern_network().apply(fitted.params, state, data.x)
    np.testing.assert_array_equal(outputs.argmax(axis=1), data.y)
