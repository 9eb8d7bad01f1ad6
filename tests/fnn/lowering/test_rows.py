"""Updates of matrices with short rows: the same numbers, in loops over one long row."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fnn
from fnn.lowering import canonical, in_one_row, rows
from fnn.train import make_step, start

heeded = pytest.mark.skipif(not rows.barriers_are_heeded(), reason="barriers are dropped, so that nothing is done")


@heeded
@pytest.mark.parametrize(
    ("shape", "n_examples", "expected"),
    [
        ((784, 30), 10, True),
        ((784, 16), 32, True),
        ((784, 32), 1, True),
        ((784, 15), 10, False),
        ((784, 33), 10, False),
        ((784, 30), 33, False),
        ((30,), 10, False),
        ((3, 3, 30), 10, False),
        ((0, 30), 10, False),
    ],
)
def test_where_it_pays(shape, n_examples, expected):
    assert rows.updated_as_one_row(shape, n_examples) is expected


def test_not_elsewhere(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not rows.updated_as_one_row((784, 30), 10)


def test_any_leaves_stay_what_they_are():
    batch = (jnp.ones((4, 2)), 1.0, None, jax.random.key(0))
    tree = {
        "count": jnp.ones((2, 20), jnp.int32),
        "half": jnp.ones((2, 20), jnp.bfloat16),
        "host": np.ones((2, 20)),
        "key": jax.random.key(1),
        "name": "adam",
        "none": None,
        "rate": 0.1,
        "steep": np.zeros((2, 20), jax.dtypes.float0),
    }
    for name, leaf in tree.items():
        assert in_one_row({name: leaf}, batch)[name] is leaf


@heeded
@pytest.mark.parametrize(("batch", "expected"), [((jnp.ones((4, 2)), None), 1), ((jnp.ones((40, 2)),), 0), (None, 0)])
def test_a_barrier_for_few_examples(batch, expected):
    w = jnp.arange(40.0).reshape(2, 20)
    traced = jax.make_jaxpr(lambda w: in_one_row({"w": w, "b": w[0]}, batch))(w)
    assert str(traced).count("optimization_barrier") == expected
    np.testing.assert_array_equal(in_one_row(w, batch), w)


@pytest.mark.parametrize("n_rows", [3, 30, 50])
@pytest.mark.parametrize("n_columns", [7, 16, 31])
@pytest.mark.parametrize("n_examples", [1, 9])
@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_gradients(n_rows, n_columns, n_examples, axes):
    """The product that gives them comes in either order."""
    rng = np.random.default_rng(0)
    x, g = (rng.normal(size=(n_examples, n)).astype(np.float32) for n in (n_rows, n_columns))

    def gradient(x, g):
        return jax.grad(lambda w: jnp.vdot(x @ jnp.transpose(w, axes), g))(
            jnp.zeros((n_rows, n_columns)[:: 1 - 2 * axes[0]])
        )

    got = jax.jit(canonical(gradient))(x, g)
    np.testing.assert_allclose(got, np.transpose(x.T @ g, axes), rtol=1e-5, atol=1e-5)


@heeded
@pytest.mark.parametrize(("n_examples", "shape"), [(9, (784, 30)), (64, (30, 784))])
def test_the_order_in_which_a_gradient_comes(n_examples, shape):
    x, g = jnp.ones((n_examples, 784)), jnp.ones((n_examples, 30))
    traced = jax.make_jaxpr(canonical(jax.grad(lambda w: jnp.vdot(x @ w, g))))(jnp.zeros((784, 30)))
    products = [eqn.outvars[0].aval.shape for eqn in traced.eqns if eqn.primitive.name == "dot_general"]
    assert products[-1] == shape


def shapes_of_roots(optimizer, size):
    """Of each square root in a compiled loop over updates of a network of that size."""
    model = fnn.serial(fnn.dense(30), fnn.sigmoid, fnn.dense(10))
    x, y = jnp.ones((size, 784)), jnp.zeros(size, jnp.int32)
    params, state = model.init(jax.random.key(0), x)
    step = make_step(fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels), optimizer)
    begin = start(optimizer, params, state, jax.random.key(0))
    program = jax.jit(lambda begin: jax.lax.fori_loop(0, 5, lambda _, state: step(state, (x, y))[0], begin))
    # The results of the loops in which a root is: what the compiler walks through, number by number.
    loops = re.findall(r"\n(%\S+ \([^\n]*-> [^\n]*\{\n.*?\n\})", program.lower(begin).compile().as_text(), re.DOTALL)
    return [re.search(r"-> (\S+) \{", loop)[1] for loop in loops if " sqrt(" in loop]


@heeded
def test_the_compiler_walks_through_one_row():
    assert "f32[23520]" in shapes_of_roots(optax.adam(1e-3), 10)
    assert "f32[784,30]" in shapes_of_roots(optax.adam(1e-3), 64)
