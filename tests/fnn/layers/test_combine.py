import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, Model, batch_norm, dense, dropout, parallel, relu, residual, serial, sweep


def test_is_the_composition_of_its_layers():
    first, second = dense(4), dense(2)
    model = serial(first, relu, second)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), jnp.float32)
    params, state = model.init(jax.random.key(0), x)
    inner = jnp.maximum(first.apply(params["00_dense"], {}, x)[0], 0)
    np.testing.assert_array_equal(model.apply(params, state, x)[0], second.apply(params["02_dense"], {}, inner)[0])


def test_layers_draw_different_parameters_and_masks():
    square = serial(dense(8, bias=False), dense(8, bias=False))
    params, _ = square.init(jax.random.key(0), jnp.ones((1, 8)))
    assert (params["00_dense"]["w"] != params["01_dense"]["w"]).all()
    twice, x = serial(dropout(0.5), dropout(0.5)), jnp.ones(10_000)
    y, _ = twice.apply({}, {}, x, key=jax.random.key(0), train=True)
    assert abs(float((y > 0).mean()) - 0.25) < 0.03  # one mask used twice would leave one half


def test_names_sort_in_the_order_of_the_layers():
    scale = Model(
        init=lambda key, x: ({"by": jnp.ones(())}, {}),
        apply=lambda params, state, x, *, key=None, train=False: (params["by"] * x, state),
        name="scale",
    )
    params, _ = serial(*[scale] * 101).init(jax.random.key(0), jnp.ones((1, 2)))
    assert list(params) == sorted(params)
    assert len(params) == 101


def test_state_is_threaded_through():
    counter = Model(
        init=lambda key, x: ({}, {"calls": jnp.zeros((), jnp.int32)}),
        apply=lambda params, state, x, *, key=None, train=False: (x, {"calls": state["calls"] + 1}),
        name="counter",
    )
    model = serial(counter, serial(relu, counter))
    params, state = model.init(jax.random.key(0), jnp.ones(2))
    assert params == {}
    for _ in range(2):
        _, state = model.apply(params, state, jnp.ones(2))
    assert int(state["00_counter"]["calls"]) == int(state["01_serial"]["01_counter"]["calls"]) == 2


def test_an_error_inside_names_the_layer():
    model = serial(dense(3), serial(relu, dense(2)))
    params, state = model.init(jax.random.key(0), jnp.ones((1, 4)))
    params["01_serial"]["01_dense"]["w"] = jnp.ones((5, 2))
    with pytest.raises(InputError) as error:
        model.apply(params, state, jnp.ones((1, 4)))
    assert str(error.value) == (
        'dense: expected x.shape[-1] == 5 (rows of params["w"]), got x.shape == (1, 3)'
        " (in layer 01_dense) (in layer 01_serial)"
    )


def test_what_is_no_layer():
    with pytest.raises(InputError, match=r"^serial: expected a Model or a callable as a layer, got 3$"):
        serial(dense(2), 3)
    # The parentheses of dense(2) were forgotten: the layer is a function that makes a layer.
    for combine in (serial, parallel):
        with pytest.raises(InputError, match=r"got the function dense that makes one; write dense\(...\)"):
            combine(dense)
    model = serial(lambda x: dense(2))
    with pytest.raises(InputError, match=r"got the function function that makes one; write function\(...\)"):
        model.apply({}, {}, 2)


def test_a_model_of_somebody_else_is_no_layer_that_was_forgotten():
    names: dict = {}
    exec("class Model: pass\ndef double(x) -> 'Model':\n    return 2 * x", names)  # as in a module of its own
    assert serial(names["double"]).apply({"00_double": {}}, {"00_double": {}}, jnp.ones(1))[0].tolist() == [2.0]


@pytest.mark.parametrize(
    ("key", "came"),
    [(0, "key == 0"), (None, "key == None"), ("a", "key == 'a'"), (jax.random.split(jax.random.key(0)), r"keys of .*")],
)
def test_what_is_no_key(key, came):
    for model in (dense(2), serial(dense(2), relu)):
        with pytest.raises(InputError, match=rf"^init: expected key=jax.random.key\(seed\), got {came}$"):
            model.init(key, jnp.ones((1, 3)))


def test_keys_of_the_old_kind():
    x = jnp.ones((1, 3))
    old, new = dense(2).init(jax.random.PRNGKey(0), x), dense(2).init(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, old, new)


def test_init_within_a_program_that_its_key_comes_from_outside():
    model, key, x = serial(dense(4), relu, dense(2)), jax.random.key(0), jnp.ones((1, 3))
    expected = model.init(key, x)

    def check(found):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, jnp.broadcast_to(b, a.shape), rtol=1e-6), found, expected
        )

    check(jax.jit(lambda x: model.init(key, x))(x))
    check(jax.vmap(lambda x: model.init(key, x))(jnp.ones((2, 1, 3))))
    check(jax.lax.scan(lambda carry, _: (carry, model.init(key, x)), 0, None, length=2)[1])
    check(sweep(lambda k, rate: model.init(key, rate * x), seeds=2, rate=jnp.ones(2)).results)
    assert jax.eval_shape(lambda: model.init(key, x)) == jax.eval_shape(lambda: expected)


def test_parameters_of_another_model():
    model = serial(relu, dense(2), name="net")
    with pytest.raises(InputError, match=r"^net: expected params for the layers .*, got params for \['00_dense'\]$"):
        model.apply({"00_dense": {}}, {}, jnp.ones((1, 2)))


X = jnp.asarray(np.random.default_rng(1).normal(size=(5, 3)), jnp.float32)


def test_parallel_puts_its_layers_side_by_side():
    first, second = dense(4), dense(2)
    model = parallel(first, relu, second)
    params, state = model.init(jax.random.key(0), X)
    parts = first.apply(params["00_dense"], {}, X)[0], jnp.maximum(X, 0), second.apply(params["02_dense"], {}, X)[0]
    np.testing.assert_array_equal(model.apply(params, state, X)[0], np.concatenate(parts, axis=1))
    product = parallel(relu, lambda x: 2 * x, merge=lambda a, b: a * b)
    np.testing.assert_array_equal(product.apply({}, {}, X)[0], 2 * X * np.maximum(X, 0))


def test_residual_adds_to_its_input_or_shortcut():
    inner = dense(3)
    params, state = residual(inner, relu).init(jax.random.key(0), X)
    inside = jnp.maximum(inner.apply(params["body"]["00_dense"], {}, X)[0], 0)
    np.testing.assert_array_equal(residual(inner, relu).apply(params, state, X)[0], inside + X)
    doubled = residual(relu, shortcut=lambda x: 2 * x)
    np.testing.assert_array_equal(doubled.apply({}, {}, X)[0], np.maximum(X, 0) + 2 * X)


def test_branches_draw_different_masks_and_keep_their_state():
    x = jnp.ones((2, 5000))
    y, _ = parallel(dropout(0.5), dropout(0.5)).apply({}, {}, x, key=jax.random.key(0), train=True)
    both = float(((y[:, :5000] > 0) & (y[:, 5000:] > 0)).mean())
    assert abs(both - 0.25) < 0.03  # one mask used twice would leave one half
    model = residual(batch_norm(), shortcut=batch_norm())
    params, state = model.init(jax.random.key(0), X)
    _, state = model.apply(params, state, X, train=True)
    expected = 0.1 * np.asarray(X).mean(0)
    for branch in (state["body"]["00_batch_norm"], state["shortcut"]):
        np.testing.assert_allclose(branch["mean"], expected, rtol=1e-5)


def test_branches_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"^parallel: expected at least one layer, got none$"):
        parallel()
    with pytest.raises(
        InputError,
        match=r"^parallel: expected outputs that differ in the last axis only, got shapes \[\(5, 3\), \(3,\)\]",
    ):
        parallel(relu, lambda x: x[0]).init(jax.random.key(0), X)
    with pytest.raises(
        InputError,
        match=r"^residual: expected body and shortcut of one shape, \(5, 3\) as from the shortcut, got \(5, 2\) from",
    ):
        residual(dense(2)).init(jax.random.key(0), X)
    with pytest.raises(InputError, match=r"^residual: expected params for the layers .*, got params for \['w'\]$"):
        residual(relu).apply({"w": 1}, {}, X)
