"""Recurrent layers against their equations, written out in NumPy one step and one gate at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, gru, lstm

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 3)), jnp.float32)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def drawn(layer):
    params, state = layer.init(jax.random.key(3), X)
    # Biases that differ, so that a gate in the wrong place shows.
    params["b"] = params["b"] + jnp.linspace(-1, 1, params["b"].size)
    exact = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}
    return layer.apply(params, state, X)[0], exact


def test_lstm_is_its_equations():
    y, p = drawn(lstm(2))
    h, c = np.zeros((2, 2)), np.zeros((2, 2))
    for t in range(4):
        i, f, g, o = (
            np.asarray(X[:, t]) @ p["w"][:, k : k + 2] + h @ p["w_hidden"][:, k : k + 2] + p["b"][k : k + 2]
            for k in (0, 2, 4, 6)
        )
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(y[:, t], h, rtol=1e-5, atol=1e-6)


def test_gru_is_its_equations():
    y, p = drawn(gru(2))
    h = np.zeros((2, 2))
    for t in range(4):
        x = np.asarray(X[:, t])
        r = sigmoid(x @ p["w"][:, :2] + h @ p["w_hidden"][:, :2] + p["b"][:2])
        z = sigmoid(x @ p["w"][:, 2:4] + h @ p["w_hidden"][:, 2:4] + p["b"][2:4])
        n = np.tanh(x @ p["w"][:, 4:] + (r * h) @ p["w_hidden"][:, 4:] + p["b"][4:])
        h = z * h + (1 - z) * n
        np.testing.assert_allclose(y[:, t], h, rtol=1e-5, atol=1e-6)


def test_first_parameters():
    params, _ = lstm(5, forget_bias=2.0).init(jax.random.key(0), X)
    np.testing.assert_array_equal(params["b"], [0] * 5 + [2] * 5 + [0] * 10)
    gate = params["w_hidden"][:, 5:10]
    np.testing.assert_allclose(gate @ gate.T, np.eye(5), atol=1e-5)
    assert float(jnp.abs(params["w"]).max()) <= np.sqrt(6 / (3 + 5))  # Glorot's bound for one gate


@pytest.mark.parametrize("make", [lstm, gru])
def test_unfit_input(make):
    name = make.__name__
    with pytest.raises(InputError, match=rf"^{name}: expected n_hidden >= 1, got n_hidden == 0$"):
        make(0)
    params, state = make(2).init(jax.random.key(0), X)
    with pytest.raises(
        InputError, match=rf"^{name}: expected x of shape \(batch, time, features\), got x.shape == \(4, 3"
    ):
        make(2).apply(params, state, X[0])
    with pytest.raises(InputError, match=rf'^{name}: expected x.shape\[-1\] == 3 \(rows of params\["w"\]\), got'):
        make(2).apply(params, state, X[:, :, :2])
    with pytest.raises(InputError, match=rf"^{name}: expected w, w_hidden and b with . columns \(. for each row"):
        make(2).apply(params | {"b": jnp.ones(3)}, state, X)
