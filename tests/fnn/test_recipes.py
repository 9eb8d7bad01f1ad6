"""From settings to optimizers, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import InputError
from fnn.data import load_digits
from fnn.recipes import learning_rates, optimizer, replaced, resolve

DIGITS = load_digits()


def rates(n_batches, **given):
    rate = learning_rates(resolve({"learning_rate": 0.5} | given, DIGITS), n_batches)
    return [float(rate(step)) if callable(rate) else rate for step in range(n_batches // given.get("accumulate", 1))]


def test_learning_rates():
    assert rates(3, schedule="constant") == [0.5] * 3
    np.testing.assert_allclose(rates(4, schedule="linear"), [0.5, 0.375, 0.25, 0.125])
    np.testing.assert_allclose(rates(4, schedule="cosine")[::2], [0.5, 0.25], atol=1e-7)
    np.testing.assert_allclose(rates(8, schedule="linear", accumulate=2), [0.5, 0.375, 0.25, 0.125])
    np.testing.assert_allclose(rates(5, schedule="constant", warmup=3), [0.125, 0.25, 0.375, 0.5, 0.5])
    cycle = rates(100, schedule="one-cycle")
    assert np.argmax(cycle) == 30
    assert cycle[30] == 0.5
    assert cycle[0] == pytest.approx(0.02)
    assert cycle[-1] < 0.001
    assert np.isfinite(rates(1, schedule="one-cycle")).all()
    with pytest.raises(InputError, match=r"--warmup: expected less than the 5 updates of the training, got 5"):
        rates(5, warmup=5)
    with pytest.raises(InputError, match=r"one-cycle sets the rate by itself and has no --warmup"):
        rates(5, warmup=2, schedule="one-cycle")


def update(grads, **given):
    params = {"w": jnp.array([[2.0]]), "b": jnp.array([2.0])}
    whole = optimizer(resolve({"schedule": "constant", "learning_rate": 1.0, "optimizer": "sgd"} | given, DIGITS), 10)
    state = whole.init(params)
    for g in grads:
        with jax.numpy_dtype_promotion("standard"):  # as in a step of training
            updates, state = whole.update({"w": jnp.array([[g]]), "b": jnp.array([g])}, state, params)
        params = optax.apply_updates(params, updates)
    return float(params["w"][0, 0]), float(params["b"][0])


def test_what_is_done_to_gradients():
    assert update([1.0]) == (1.0, 1.0)
    assert update([1.0], weight_decay=0.25) == (0.5, 1.0)  # weights decay, biases do not
    assert update([1.0, 3.0], accumulate=2) == (0.0, 0.0)  # their mean, at once
    np.testing.assert_allclose(update([3.0], clip=np.sqrt(2.0).item()), (1.0, 1.0), rtol=1e-6)
    assert update([0.0], optimizer="adamw", weight_decay=0.25) == (1.5, 2.0)
    # Clipped before the decay is added: (1, 1) of the gradient, 0.5 of the decay.
    np.testing.assert_allclose(update([3.0], clip=np.sqrt(2.0).item(), weight_decay=0.25), (0.5, 1.0), rtol=1e-6)


def test_what_does_not_fit():
    for given, message in (
        ({"model": "linear", "batch_norm": True}, "--model linear has no --batch-norm"),
        ({"model": "mlp", "channels": [3]}, "--model mlp has no --channels"),
    ):
        with pytest.raises(InputError, match=message):
            resolve(given, DIGITS)
    rows = DIGITS._replace(train=DIGITS.train._replace(x=np.zeros((4, 3), np.float32)), feature_names=("a", "b", "c"))
    with pytest.raises(InputError, match=r"--model cnn needs images, got inputs of shape \(3,\)"):
        resolve({"model": "cnn"}, rows)
    with pytest.raises(InputError, match=r"--augment needs images, got inputs of shape \(3,\)"):
        resolve({"augment": ["flip"]}, rows)
    with pytest.raises(InputError, match=r"--label-smoothing goes with classes, got a regression"):
        resolve({"label_smoothing": 0.1}, DIGITS._replace(task="regression"))


def test_images_are_augmented_unless_it_is_said_that_they_shall_not_be():
    mnist = DIGITS._replace(name="mnist")
    assert resolve({"model": "cnn"}, mnist)["augment"] == ["shift:2"]
    assert resolve({"model": "cnn", "augment": []}, mnist)["augment"] == []
    assert resolve({"model": "mlp"}, mnist)["augment"] == []
    assert resolve({"model": "cnn", "warmup": 3}, mnist)["schedule"] == "cosine"
    # What is resolved stays as it is.
    settings = resolve({"model": "cnn", "augment": []}, mnist)
    assert resolve(settings, mnist) == settings


def test_a_schedule_in_the_place_of_the_default_one():
    assert replaced({"warmup": 2}, {"schedule": "one-cycle"}) == {"schedule": "one-cycle"}
    assert replaced({"warmup": 2}, {"schedule": "linear"}) == {"warmup": 2, "schedule": "linear"}
    assert replaced({"warmup": 2}, {"epochs": 3}) == {"warmup": 2, "epochs": 3}
