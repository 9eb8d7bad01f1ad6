import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, Model, dense, dropout, relu, serial


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
    params, _ = serial(*[dense(2) for _ in range(101)]).init(jax.random.key(0), jnp.ones((1, 2)))
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
    with pytest.raises(InputError, match=r"got the function dense that makes one; write dense\(...\)"):
        serial(dense).apply({}, {}, 2)


def test_parameters_of_another_model():
    model = serial(relu, dense(2), name="net")
    with pytest.raises(InputError, match=r"^net: expected params for the layers .*, got params for \['00_dense'\]$"):
        model.apply({"00_dense": {}}, {}, jnp.ones((1, 2)))
