import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import (
    InputError,
    batch_norm,
    batches,
    dense,
    fit,
    group_norm,
    half_squared_error,
    layer_norm,
    serial,
    supervised,
)

X = jnp.array([[[1.0, 3.0, 0.0, 8.0], [5.0, 7.0, 4.0, 0.0]]])  # one example, two places, four channels
MANY = jnp.asarray(np.random.default_rng(0).normal(3, 2, size=(6, 4, 5)), jnp.float32)


def run(model, x, **options):
    params, state = model.init(jax.random.key(0), x)
    return model.apply(params, state, x, **options)


def test_values_by_hand():
    # Place 0: mean 3, variance (4 + 0 + 9 + 25) / 4 = 9.5; place 1: mean 4, variance (1 + 9 + 0 + 16) / 4 = 6.5.
    by_layer = np.array([[[-2, 0, -3, 5], [1, 3, 0, -4]]]) / np.sqrt(np.array([9.5, 6.5]))[None, :, None]
    np.testing.assert_allclose(run(layer_norm(epsilon=1e-12), X)[0], by_layer, rtol=1e-6)
    # Channels 0, 1: 1 3 5 7, mean 4, variance 5. Channels 2, 3: 0 8 4 0, mean 3, variance 11.
    by_group = np.array([[[-3, -1, -3, 5], [1, 3, 1, -3]]]) / np.sqrt(np.array([5, 5, 11, 11]))[None, None]
    np.testing.assert_allclose(run(group_norm(2, epsilon=1e-12), X)[0], by_group, rtol=1e-6)
    # Each channel over both places: half differences 2, 2, 2, 4.
    y, state = run(batch_norm(momentum=0.75, epsilon=1e-12), X, train=True)
    np.testing.assert_allclose(y, [[[-1, -1, -1, 1], [1, 1, 1, -1]]], rtol=1e-6)
    np.testing.assert_allclose(state["mean"], np.array([3, 5, 2, 4]) / 4, rtol=1e-6)
    np.testing.assert_allclose(state["var"], 0.75 + np.array([8, 8, 8, 32]) / 4, rtol=1e-6)  # unbiased: count 2 - 1


def test_scale_and_shift_act_per_channel():
    for model in (layer_norm(), group_norm(5), batch_norm()):
        params, state = model.init(jax.random.key(0), MANY)
        plain = model.apply(params, state, MANY, train=True)[0]
        params = {"scale": jnp.arange(5.0), "shift": 10 * jnp.arange(5.0)}
        y = model.apply(params, state, MANY, train=True)[0]
        factor = np.arange(5)[None, None]
        np.testing.assert_allclose(y, np.asarray(plain) * factor + 10 * factor, atol=1e-4)


def test_a_large_mean_costs_no_digits():
    x = jnp.array([[4096.0, 4097.0, 4098.0]])  # E[x^2] - mean^2 would be off by more than 100 %
    np.testing.assert_allclose(run(layer_norm(epsilon=1e-12), x)[0], [[-(1.5**0.5), 0, 1.5**0.5]], rtol=1e-6)


def test_evaluation_uses_the_running_statistics_and_leaves_them():
    model = batch_norm(affine=False, epsilon=1e-12)
    state = {"mean": jnp.array([1.0]), "var": jnp.array([4.0])}
    y, after = model.apply({}, state, jnp.array([[5.0]]))
    assert float(y[0, 0]) == pytest.approx(2)
    assert after is state


def test_training_gradient_goes_through_the_batch(check_gradient):
    model = serial(dense(3), batch_norm())
    params, state = model.init(jax.random.key(0), MANY)
    check_gradient(lambda p, x: model.apply(p, state, x, train=True)[0], params, MANY)


def test_low_precision_keeps_statistics_in_float32():
    y, state = run(batch_norm(), MANY.astype(jnp.bfloat16), train=True)
    assert y.dtype == jnp.bfloat16
    assert state["mean"].dtype == state["var"].dtype == jnp.float32
    exact = np.asarray(MANY.astype(jnp.bfloat16), np.float64).reshape(-1, 5)
    np.testing.assert_allclose(state["mean"], 0.1 * exact.mean(0), rtol=1e-5)


def test_the_last_batch_is_filled_with_real_examples_and_so_are_its_statistics():
    x, y = np.array([[1.0], [2.0], [4.0]], np.float32), np.zeros((3, 1), np.float32)
    model = batch_norm(momentum=0.0)
    params, state = model.init(jax.random.key(0), x)
    fitted = fit(
        supervised(model, half_squared_error),
        optax.sgd(0.1),
        params,
        state,
        (x, y),
        key=jax.random.key(0),
        n_epochs=1,
        batch_size=2,
        shuffle=False,
    )
    last = list(batches((x, y), 2))[-1]
    np.testing.assert_array_equal(last.x[:, 0], [4, 1])  # the first example again, with weight 0
    np.testing.assert_allclose(fitted.state["mean"], [2.5])
    np.testing.assert_allclose(fitted.state["var"], [4.5])


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (layer_norm(), (), r"layer_norm: expected x.ndim >= 1, got x.shape == \(\)"),
        (group_norm(3), (2, 4), r"group_norm: expected channels that divide into 3 groups, got x.shape == \(2, 4\)"),
        (batch_norm(), (4,), r"batch_norm: expected x.ndim >= 2, got x.shape == \(4,\)"),
    ],
)
def test_unfit_input(model, shape, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        model.init(jax.random.key(0), jnp.ones(shape))


def test_unfit_arguments_parameters_and_batches():
    for make in (layer_norm, batch_norm):
        with pytest.raises(InputError, match=rf"^{make.__name__}: expected epsilon > 0, got epsilon == 0$"):
            make(epsilon=0)
    with pytest.raises(InputError, match=r"^group_norm: expected n_groups >= 1, got n_groups == 0$"):
        group_norm(0)
    with pytest.raises(InputError, match=r"^batch_norm: expected 0 <= momentum < 1, got momentum == 1$"):
        batch_norm(momentum=1)
    params, state = batch_norm().init(jax.random.key(0), jnp.ones((1, 3)))
    with pytest.raises(
        InputError,
        match=r"^batch_norm: expected at least 2 numbers per channel in training, got 1, x.shape == \(1, 3\)$",
    ):
        batch_norm().apply(params, state, jnp.ones((1, 3)), train=True)
    with pytest.raises(InputError, match=r'^batch_norm: expected x.shape\[-1\] == 3 \(length of params\["scale"\]\)'):
        batch_norm().apply(params, {"mean": jnp.ones(4), "var": jnp.ones(4)}, jnp.ones((2, 4)))
    with pytest.raises(InputError, match=r'^batch_norm: expected x.shape\[-1\] == 3 \(length of state\["mean"\]\)'):
        batch_norm().apply(params, state, jnp.ones((2, 4)))
    for layer, name in itertools.product((batch_norm(), layer_norm(), group_norm(1)), ("scale", "shift")):
        params, state = layer.init(jax.random.key(0), jnp.ones((1, 3)))
        with pytest.raises(InputError, match=rf'expected x.shape\[-1\] == 1 \(length of params\["{name}"\]\)'):
            layer.apply(params | {name: jnp.ones(1)}, state, jnp.ones((2, 3)))
    params, state = batch_norm().init(jax.random.key(0), jnp.ones((1, 3)))
    with pytest.raises(InputError, match=r"^batch_norm: expected the state .* that init gives, got state == {}$"):
        batch_norm().apply(params, {}, jnp.ones((2, 3)))
