"""The two packages together: the checker proves the library's gradients, and both compute one worked example alike.

Layers that normalise, attend or loop are proved in ``test_layers_proved.py``.
"""

import tomllib
from fractions import Fraction
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fnn
import verify
from verify.reading.claims import What
from verify.worked.derivation import build
from verify.worked.routes import Balls

RNG = np.random.default_rng(0)
VECTORS, IMAGES = (jnp.asarray(RNG.normal(size=shape), jnp.float32) for shape in ((2, 3), (2, 4, 4, 2)))
KEY = jax.random.key(3)

LAYERS = {
    "dense": (fnn.dense(2), VECTORS),
    "dense, no bias": (fnn.dense(2, bias=False), VECTORS),
    "conv": (fnn.conv(2, (3, 3)), IMAGES),
    "conv, valid, stride, dilation": (fnn.conv(2, (2, 2), stride=2, dilation=2, padding="valid"), IMAGES),
    "conv, groups": (fnn.conv(4, (2, 2), groups=2), IMAGES),
    "max_pool": (fnn.max_pool(), IMAGES),
    "max_pool, overlapping": (fnn.max_pool((3, 3), stride=1, padding="same"), IMAGES[:1, :3, :3, :1]),
    "average_pool": (fnn.average_pool(), IMAGES),
    "average_pool, same": (fnn.average_pool((3, 3), stride=2, padding="same"), IMAGES),
    "flatten": (fnn.flatten(), IMAGES),
    "dropout": (fnn.dropout(0.4), VECTORS),
    "mlp": (fnn.mlp([3], 2, activation=fnn.tanh), VECTORS),
    "cnn": (fnn.cnn(2, n_channels=(2,), n_hidden=2, activation=fnn.softplus), IMAGES),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_gradient_of_a_layer_is_proved(name):
    model, x = LAYERS[name]
    params, state = model.init(KEY, x)

    def outputs(params, x):
        return model.apply(params, state, x, key=KEY, train=True)[0]

    if params:
        verify.assert_gradient(outputs, params, x, argnums=(0, 1))
    else:
        verify.assert_gradient(partial(outputs, {}), x)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "softmax", "step"])
def test_the_gradient_of_an_activation_is_proved(name):
    verify.assert_gradient(getattr(fnn, name), VECTORS)


def test_the_gradient_of_prelu_is_proved():
    verify.assert_gradient(fnn.prelu, VECTORS, jnp.float32(0.25), argnums=(0, 1))


@pytest.mark.parametrize(
    "loss",
    [fnn.mean_squared_error, fnn.half_squared_error, fnn.softmax_cross_entropy, fnn.sigmoid_binary_cross_entropy],
)
def test_the_gradient_of_a_loss_is_proved(loss):
    targets = jnp.array([[0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])
    verify.assert_gradient(lambda outputs: loss(outputs, targets), VECTORS)


def test_the_gradient_that_training_uses_is_proved():
    model, labels = fnn.mlp([3], 3), jnp.array([2, 0])
    params, state = model.init(KEY, VECTORS)
    objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
    weights = jnp.array([1.0, 0.5])
    verify.assert_gradient(lambda params: objective(params, state, (VECTORS, labels, weights), KEY)[0], params)


def test_a_planted_mistake_in_a_layer_is_found():
    @jax.custom_vjp
    def half_right(x):
        return fnn.sigmoid(x)

    # The classic: a where a (1 - a) belongs.
    half_right.defvjp(lambda x: (fnn.sigmoid(x),) * 2, lambda a, ct: (ct * a,))
    model = fnn.serial(fnn.dense(2), half_right)
    params, state = model.init(KEY, VECTORS)
    assert verify.prove_gradient(lambda p: model.apply(p, state, VECTORS)[0], params).verdict == "WRONG"


# --- the 2-2-2 network of the first deck

DECK = Path(verify.__file__).parent / "decks" / "000_two_two_two.toml"
NETWORK = fnn.serial(fnn.dense(2), fnn.sigmoid, fnn.dense(2), fnn.sigmoid)


@pytest.fixture(scope="module")
def checked():
    """The deck's file as the checker reads it, and rigorous enclosures of what it computes."""
    balls = Balls(build(verify.load(DECK)))

    def exact(name, by=None, after=0):
        low, high = balls.enclose(What(name, by, after), 128)
        assert high - low < Fraction(1, 2**100)
        return float((low + high) / 2)

    given = tomllib.loads(DECK.read_text(encoding="utf-8"))["given"]
    return {name: float(printed) for name, printed in given.items()}, exact


def weights_and_biases(numbers):
    """The parameters of NETWORK; as on the slides, both units of a layer share one bias."""
    w, shared = {i: numbers[f"w{i}"] for i in range(1, 9)}, jnp.ones(2)
    return {
        "00_dense": {"w": jnp.array([[w[1], w[3]], [w[2], w[4]]]), "b": numbers["b1"] * shared},
        "02_dense": {"w": jnp.array([[w[5], w[7]], [w[6], w[8]]]), "b": numbers["b2"] * shared},
    }


def objective(numbers, state, batch, key):
    return fnn.supervised(NETWORK, fnn.half_squared_error)(weights_and_biases(numbers), state, batch, key)


@pytest.fixture(scope="module")
def network(checked):
    """Parameters by the slides' names, the one example as a batch, in float64."""
    given, _ = checked
    with jax.enable_x64(True):
        learned = {name: jnp.float64(value) for name, value in given.items() if name[0] in "wb"}
        batch = jnp.array([[given["x1"], given["x2"]]]), jnp.array([[given["y1"], given["y2"]]])
        yield learned, batch


def close(value, exact):
    np.testing.assert_allclose(value, exact, rtol=2e-15, atol=1e-17)


def test_both_compute_the_same_forward_values(checked, network):
    _, exact = checked
    learned, (x, y) = network
    params = weights_and_biases(learned)
    met = []
    for label, layer in NETWORK.layers:
        x, _ = layer.apply(params.get(label, {}), {}, x)
        met.append(x[0])
    for values, names in zip(met, (("z_h1", "z_h2"), ("a_h1", "a_h2"), ("z_a1", "z_a2"), ("a_1", "a_2")), strict=True):
        close(values, [exact(name) for name in names])
    close(fnn.half_squared_error(x, y)[0], exact("E_t"))


def test_both_compute_the_same_gradients(checked, network):
    _, exact = checked
    learned, batch = network
    (_, _), grads = fnn.loss_and_grad(objective)(learned, {}, batch, KEY)
    assert sorted(grads) == sorted([*(f"w{i}" for i in range(1, 9)), "b1", "b2"])
    for name, slope in grads.items():
        assert slope.dtype == jnp.float64
        close(slope, exact("E_t", by=name))


def test_both_reach_the_same_parameters(checked, network):
    _, exact = checked
    learned, batch = network
    fitted = fnn.fit(objective, optax.sgd(0.5), learned, {}, batch, key=KEY, n_epochs=3, batch_size=None)
    step = fnn.make_step(objective, optax.sgd(0.5))
    train_state = fnn.start(optax.sgd(0.5), learned, {}, KEY)
    for after in (1, 2, 3):
        train_state, _ = step(train_state, batch)
        for name, value in train_state.params.items():
            close(value, exact(name, after=after))
    for name, value in fitted.params.items():
        close(value, exact(name, after=3))


def test_dropout_inside_a_network_splits_its_key_under_the_prover() -> None:
    model = fnn.serial(fnn.dense(4), fnn.dropout(0.5), fnn.dense(2))
    x = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3)
    params, state = model.init(jax.random.key(0), x)

    def outputs(params, key):
        return model.apply(params, state, x, key=key, train=True)[0]

    assert verify.prove_gradient(outputs, params, jax.random.key(1)).verdict == "PROVED"
