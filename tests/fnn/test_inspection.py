import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import (
    conv,
    dense,
    dropout,
    half_squared_error,
    inspect,
    loss_and_grad,
    mlp,
    relu,
    residual,
    serial,
    sigmoid,
    softmax_cross_entropy_with_integer_labels,
    supervised,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 6)).astype(np.float32)
Y = RNG.integers(0, 3, size=16).astype(np.int32)


def rows(model, x=X, y=Y, **options):
    params, state = model.init(jax.random.key(0), x)
    return inspect(model, softmax_cross_entropy_with_integer_labels, params, state, (x, y), **options)


def test_norms_are_those_of_backpropagation_by_hand():
    model = serial(dense(4, bias=False), relu, dense(3, bias=False))
    params, _ = model.init(jax.random.key(0), X)
    w1, w2 = (np.asarray(params[name]["w"], np.float64) for name in ("00_dense", "02_dense"))
    y = RNG.normal(size=(16, 3)).astype(np.float32)
    z = X @ w1
    a = np.maximum(z, 0)
    delta3 = (a @ w2 - y) / 16
    delta2 = delta3 @ w2.T
    delta1 = delta2 * (z > 0)
    found = inspect(model, half_squared_error, params, {}, (X, y))
    assert [row.name for row in found] == ["00_dense", "01_relu", "02_dense"]
    np.testing.assert_allclose(
        [r.activation for r in found], [np.sqrt((v**2).mean()) for v in (z, a, a @ w2)], rtol=1e-5
    )
    np.testing.assert_allclose(
        [r.gradient for r in found], [np.linalg.norm(d) for d in (delta1, delta2, delta3)], rtol=1e-5
    )
    by_weights = [np.linalg.norm(X.T @ delta1), 0, np.linalg.norm(a.T @ delta3)]
    np.testing.assert_allclose([r.weight_gradient for r in found], by_weights, rtol=1e-5)


def test_the_gradient_of_deep_sigmoids_shrinks_and_that_of_relu_does_not():
    shares = {}
    for activation in (sigmoid, relu):
        found = [row for row in rows(mlp([32] * 6, 3, activation=activation)) if row.weight_gradient]
        assert len(found) == 7
        shares[activation] = found[0].gradient / found[-2].gradient
    # Five layers of slope at most 1/4, and Glorot's weights, which keep lengths: about 4^-5 = 1e-3.
    assert shares[sigmoid] < 3e-3
    assert 0.1 < shares[relu] < 10


def test_dead_units_are_counted_by_channel():
    model = serial(conv(4, (3, 3)), relu)
    x = RNG.random(size=(2, 5, 5, 1)).astype(np.float32)
    params, _ = model.init(jax.random.key(0), x)
    params["00_conv"] = {"w": jnp.abs(params["00_conv"]["w"]), "b": jnp.array([-100.0, 0.0, -100.0, -100.0])}
    found = inspect(model, half_squared_error, params, {}, (x, np.ones((2, 5, 5, 4), np.float32)))
    assert [row.dead for row in found] == [0, 0.75]
    assert found[0].gradient > 0


def test_a_vanishing_gradient_is_not_rounded_to_nothing():
    model = serial(dense(1, bias=False), lambda x: 1e-30 * x)
    params, _ = model.init(jax.random.key(0), X)
    found = inspect(model, half_squared_error, params, {}, (X, np.ones((16, 1), np.float32)))
    assert found[0].gradient == pytest.approx(1e-30 / 16 * 4, rel=1e-3)
    assert found[0].weight_gradient == pytest.approx(1e-30 * np.linalg.norm(X.sum(axis=0)) / 16, rel=1e-3)


def test_names_nesting_randomness_and_whole_models():
    model = serial(dense(4), serial(relu, dropout(0.5), name="inner"), residual(dense(4), relu), dense(3))
    found = rows(model, key=jax.random.key(1))
    assert [row.name for row in found] == [
        "00_dense", "01_inner/00_relu", "01_inner/01_dropout", "02_residual", "03_dense",
    ]  # fmt: skip
    # The gradients are those that training would take, with the same dropout.
    params, state = model.init(jax.random.key(0), X)
    objective = supervised(model, softmax_cross_entropy_with_integer_labels)
    _, grads = loss_and_grad(objective)(params, state, (X, Y), jax.random.key(1))
    whole = np.sqrt(sum(row.weight_gradient**2 for row in found))
    assert whole == pytest.approx(np.sqrt(sum(float((g**2).sum()) for g in jax.tree.leaves(grads))), rel=1e-5)
    (single,) = rows(dense(3))
    assert single.name == "dense"
    assert single.weight_gradient > 0


def test_padding_counts_for_nothing_in_gradients():
    model = dense(3)
    params, _ = model.init(jax.random.key(0), X)
    padded = inspect(
        model,
        softmax_cross_entropy_with_integer_labels,
        params,
        {},
        (X, Y, np.array([1.0] * 8 + [0.0] * 8, np.float32)),
    )
    half = inspect(model, softmax_cross_entropy_with_integer_labels, params, {}, (X[:8], Y[:8]))
    assert padded[0].weight_gradient == pytest.approx(half[0].weight_gradient, rel=1e-5)
