import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import InputError, by_path, fit, freeze, mean_squared_error, mlp, path_mask, paths, supervised, take_over

MODEL = mlp([4], 2)
X, Y = np.random.default_rng(0).normal(size=(2, 8, 2)).astype(np.float32)


def first():
    return MODEL.init(jax.random.key(0), X)[0]


def trained(optimizer, params):
    objective = supervised(MODEL, mean_squared_error)
    return fit(objective, optimizer, params, {}, (X, Y), key=jax.random.key(0), n_epochs=2, batch_size=None).params


def test_paths_and_masks():
    params = first()
    assert paths(params) == ["01_dense/b", "01_dense/w", "03_dense/b", "03_dense/w"]
    assert jax.tree.leaves(path_mask("*/w")(params)) == [False, True, False, True]
    assert jax.tree.leaves(path_mask("01_*", "*/b")(params)) == [True, True, True, False]
    assert jax.tree.leaves(path_mask("0[3]_dense/?")(params)) == [False, False, True, True]


def test_what_is_frozen_keeps_its_bits_and_the_rest_learns():
    params = first()
    # Weight decay and momentum would both move a parameter whose gradient alone is 0.
    after = trained(freeze(optax.adamw(0.1, weight_decay=0.5), "01_*"), params)
    jax.tree.map(np.testing.assert_array_equal, after["01_dense"], params["01_dense"])
    assert (after["03_dense"]["w"] != params["03_dense"]["w"]).all()


def test_each_part_at_its_own_rate():
    params = first()
    whole = trained(optax.sgd(0.1), params)
    parts = trained(by_path({"*/w": optax.sgd(0.1), "*": optax.sgd(0.1)}), params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), whole, parts)
    slow = trained(by_path({"*/b": optax.sgd(0.0), "*": optax.sgd(0.1)}), params)
    np.testing.assert_array_equal(slow["01_dense"]["b"], params["01_dense"]["b"])
    assert (slow["03_dense"]["w"] != params["03_dense"]["w"]).any()


def test_layers_trained_before_are_taken_over():
    old = trained(optax.sgd(0.1), first())
    new, _ = mlp([4], 3).init(jax.random.key(5), X)  # another task, with three outputs
    mixed = take_over(new, old, "01_*")
    jax.tree.map(np.testing.assert_array_equal, mixed["01_dense"], old["01_dense"])
    jax.tree.map(np.testing.assert_array_equal, mixed["03_dense"], new["03_dense"])
    with pytest.raises(
        InputError, match=r"^take_over: expected 03_dense/b of shape \(3,\), float32, got shape \(2,\), fl"
    ):
        take_over(new, old, "*")
    with pytest.raises(
        InputError, match=r"^take_over: expected 03_dense/b in the trained parameters, got \['01_dense/b"
    ):
        take_over(new, {"01_dense": old["01_dense"]}, "03_*")


def test_a_pattern_that_matches_nothing_is_refused():
    params = {"00_dense": {"w": jnp.ones(1)}}
    for name, use in (
        ("path_mask", path_mask("00_dens/*")),
        ("freeze", freeze(optax.sgd(0.1), "00_dens/*").init),
        ("by_path", by_path({"00_dens/*": optax.sgd(0.1), "*": optax.sgd(0.1)}).init),
        ("take_over", lambda params: take_over(params, params, "00_dens/*")),
    ):
        with pytest.raises(
            InputError, match=rf"^{name}: expected a pattern that matches one of \['00_dense/w'\], got '00_dens/\*'$"
        ):
            use(params)
    with pytest.raises(
        InputError, match=r"^by_path: expected a pattern for every parameter, .*, got none for 00_dense/w$"
    ):
        by_path({"*/b": optax.sgd(0.1)}).init(params | {"00_dense": {"w": jnp.ones(1), "b": jnp.ones(1)}})
    # All may be frozen: then nothing is left for the optimizer, and nothing moves.
    updates, _ = freeze(optax.sgd(0.1), "*").update(params, freeze(optax.sgd(0.1), "*").init(params), params)
    np.testing.assert_array_equal(updates["00_dense"]["w"], [0])
