"""Networks among scikit-learn's own: its checks, its pipelines, its searches."""

import pickle

import jax
import numpy as np
import optax
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from fnn import InputError, conv, dense, flatten, relu, reshape, serial
from fnn.estimator import NetworkClassifier, NetworkRegressor

X, Y = make_classification(90, 5, n_informative=3, n_classes=3, random_state=0)
NAMES = np.array(["ant", "bee", "cat"])[Y]


@pytest.mark.parametrize("estimator", [NetworkClassifier(), NetworkRegressor()], ids=["classifier", "regressor"])
def test_scikit_learns_own_checks(estimator, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # without it one check is left out
    passed = check_estimator(estimator, on_fail="raise", on_skip=None)
    assert len(passed) > 50
    assert {one["check_name"]: one["status"] for one in passed if one["status"] != "passed"} == {}


def test_pipeline_and_search():
    pipeline = make_pipeline(StandardScaler(), NetworkClassifier((16,), n_epochs=30, random_state=0))
    search = GridSearchCV(pipeline, {"networkclassifier__learning_rate": [1e-5, 1e-2]}, cv=3)
    search.fit(X, NAMES)
    assert search.best_params_ == {"networkclassifier__learning_rate": 1e-2}
    assert search.best_score_ > 0.6
    assert search.predict_proba(X).shape == (90, 3)


def test_same_seed_same_bits_and_an_example_is_predicted_alike_in_any_company():
    one = NetworkClassifier((8,), n_epochs=5, random_state=3).fit(X, NAMES)
    other = clone(one).fit(X, NAMES)
    jax.tree.map(np.testing.assert_array_equal, one.params_, other.params_)
    assert not np.array_equal(
        one.params_["01_dense"]["w"], clone(one).set_params(random_state=4).fit(X, NAMES).params_["01_dense"]["w"]
    )
    whole = one.predict_proba(X)
    np.testing.assert_array_equal(whole[7:8], one.predict_proba(X[7:8]))
    np.testing.assert_array_equal(whole, pickle.loads(pickle.dumps(one)).predict_proba(X))
    one.set_params(hidden_layer_sizes=(3,), activation="tanh")  # for the next fit; what was learned stays
    np.testing.assert_array_equal(whole, one.predict_proba(X))


def test_weights_are_repetitions_in_full_batch_and_shift_a_mean():
    weights = np.arange(60) % 3
    settings = {"n_epochs": 20, "batch_size": None, "random_state": 0}
    weighted = NetworkRegressor((4,), **settings).fit(X[:60], X[:60, 0], weights)
    repeated = NetworkRegressor((4,), **settings).fit(X[:60].repeat(weights, axis=0), X[:60, 0].repeat(weights))
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))
    constant = NetworkRegressor((), optimizer=optax.sgd(0.1), n_epochs=200, random_state=0)
    constant.fit(np.zeros((4, 1)), [0.0, 1.0, 2.0, 8.0], [1, 1, 1, 3])
    np.testing.assert_allclose(constant.predict([[0.0]]), 27 / 6, rtol=1e-4)


def test_several_targets_keep_their_shape_and_dtype():
    targets = np.stack([X[:, 0], 2 * X[:, 1] - 1], axis=1)
    regressor = NetworkRegressor((), learning_rate=0.1, n_epochs=100, random_state=0).fit(X, targets)
    assert regressor.predict(X).shape == (90, 2)
    assert regressor.predict(X).dtype == np.float64
    np.testing.assert_allclose(regressor.predict(X), targets, atol=0.02)


def image_network(n_features, n_outputs):
    return serial(reshape((8, 8, 1)), conv(4, (3, 3), stride=2), relu, flatten(), dense(n_outputs))


def test_any_model():
    x, y = load_digits(return_X_y=True)
    classifier = NetworkClassifier(model=image_network, learning_rate=1e-2, n_epochs=20, random_state=0)
    classifier.fit(x[:600] / 16, y[:600])
    assert classifier.params_["01_conv"]["w"].shape == (3, 3, 1, 4)
    assert classifier.score(x[:600] / 16, y[:600]) > 0.95
    assert classifier.score(x[600:] / 16, y[600:]) > 0.85
    assert [*classifier.history_[0]] == ["loss"]


def test_weight_decay_shrinks_weights():
    def norm(**settings):
        trained = NetworkClassifier((8,), learning_rate=0.01, n_epochs=20, random_state=0, **settings).fit(X, NAMES)
        return np.linalg.norm(trained.params_["01_dense"]["w"])

    for optimizer in ("adam", "sgd"):
        assert norm(optimizer=optimizer, weight_decay=1.0) < 0.9 * norm(optimizer=optimizer)


def test_early_stopping_learns_the_parameters_of_the_best_epoch():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), rng.integers(0, 3, 60)  # nothing to be learned but the examples themselves
    stopping = NetworkClassifier(
        (16,), learning_rate=0.03, n_epochs=80, early_stopping=True, validation_fraction=0.25, n_iter_no_change=4
    ).set_params(random_state=0)
    stopped = stopping.fit(x, y)
    losses = [epoch["validation_loss"] for epoch in stopped.history_]
    assert len(losses) == stopped.best_epoch_ + 4 < 80
    assert int(np.argmin(losses)) + 1 == stopped.best_epoch_
    # The same training, ended after that epoch.
    short = clone(stopping).set_params(n_epochs=stopped.best_epoch_).fit(x, y)
    assert short.best_epoch_ == stopped.best_epoch_
    jax.tree.map(np.testing.assert_array_equal, short.params_, stopped.params_)


def test_what_is_held_out_is_not_learned_from():
    targets = np.zeros(40)
    weights = np.where(np.arange(40) < 20, 0.0, 1.0)  # of the examples that count, half are held out
    settings = {"early_stopping": True, "validation_fraction": 0.5, "learning_rate": 0.1, "n_epochs": 30}
    x = np.eye(40)
    regressor = NetworkRegressor((), random_state=0, **settings).fit(x, targets, weights)
    start = NetworkRegressor((), random_state=0, learning_rate=1e-30, n_epochs=1).fit(x, targets).params_
    moved = (regressor.params_["01_dense"]["w"] != start["01_dense"]["w"])[:, 0]
    assert not moved[:20].any()
    assert moved[20:].sum() == 10
    unstopped = NetworkRegressor((), random_state=0, n_epochs=2).fit(x, targets)
    assert (unstopped.best_epoch_, list(unstopped.history_[0])) == (2, ["loss"])


def test_too_few_examples_to_hold_some_out():
    with pytest.raises(InputError, match=r"^split: expected examples in both parts, got 0 held out of 4$"):
        NetworkClassifier(early_stopping=True).fit(X[:4], ["a", "a", "a", "b"])


@pytest.mark.parametrize(
    ("settings", "weights", "text"),
    [
        ({"validation_fraction": 1.0}, None, "validation_fraction between 0 and 1, got validation_fraction == 1.0"),
        ({"validation_fraction": "a"}, None, "validation_fraction between 0 and 1, got validation_fraction == 'a'"),
        ({"n_iter_no_change": 0}, None, "a whole number n_iter_no_change >= 1, got n_iter_no_change == 0"),
        ({"n_iter_no_change": 2.5}, None, "a whole number n_iter_no_change >= 1, got n_iter_no_change == 2.5"),
        ({"n_iter_no_change": "a"}, None, "a whole number n_iter_no_change >= 1, got n_iter_no_change == 'a'"),
        ({"activation": "rellu"}, None, "an activation of relu, .* got 'rellu'"),
        ({"optimizer": "adamm"}, None, "optimizer to be .* got 'adamm'"),
        ({"optimizer": 3}, None, "optimizer to be .* got 3"),
        ({"learning_rate": 0}, None, "learning_rate > 0, or a schedule, got learning_rate == 0"),
        ({"weight_decay": -1}, None, "weight_decay >= 0, got weight_decay == -1"),
        ({"n_epochs": 0}, None, "n_epochs >= 1, got n_epochs == 0"),
        ({"n_epochs": 1.5}, None, "a whole number n_epochs >= 1, got n_epochs == 1.5"),
        ({"learning_rate": "0.1"}, None, "learning_rate > 0, or a schedule, got learning_rate == '0.1'"),
        ({"activation": None}, None, "activation to be a name or a function, got None"),
        ({"hidden_layer_sizes": (8.7,)}, None, r"hidden_layer_sizes to be whole numbers >= 1, got \(8.7,\)"),
        ({"batch_size": 0}, None, "batch_size >= 1"),
        ({"batch_size": "a"}, None, "a whole number batch_size >= 1, or None for all, got batch_size == 'a'"),
        ({"hidden_layer_sizes": (0,)}, None, "hidden_layer_sizes to be whole numbers >= 1"),
        ({"model": 7}, None, "model to be a function or None, got 7"),
        ({"model": lambda n, m: None}, None, r"model\(n_features, n_outputs\) to give a Model, got None"),
        ({}, -np.ones(90), "sample weights >= 0, got a smallest of -1"),
        ({}, np.zeros(90), "a sample weight above zero, got all sample weights zero"),
        ({}, np.ones((90, 1)), r"sample_weight of shape \(n_samples,\)"),
    ],
)
def test_bad_settings(settings, weights, text):
    with pytest.raises(InputError, match=text):
        NetworkClassifier(**settings).fit(X, NAMES, weights)


def test_a_rate_may_be_a_number_of_any_library():
    plain, arrays = (
        NetworkClassifier((4,), learning_rate=r, n_epochs=1, random_state=0) for r in (0.5, np.float32(0.5))
    )
    np.testing.assert_array_equal(plain.fit(X, NAMES).predict_proba(X), arrays.fit(X, NAMES).predict_proba(X))
    jax_rate = NetworkClassifier((4,), learning_rate=jax.numpy.float32(0.5), n_epochs=1, random_state=0)
    np.testing.assert_array_equal(plain.predict_proba(X), jax_rate.fit(X, NAMES).predict_proba(X))
