import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import dense, fit, half_squared_error, make_step, mlp, supervised
from fnn.recompilation import RecompilationWarning, report_recompiles
from fnn.train import start


def total(tree, scale=1.0):
    return sum(jnp.sum(leaf) * scale for leaf in jax.tree.leaves(tree))


X = np.ones((4, 3), np.float32)


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ((X,), (X[:2],), r"tree from float32\[4,3\] to float32\[2,3\]$"),
        (({"w": X, "b": X},), ({"w": X, "b": X[0]},), r"again: tree\['b'\] from float32\[4,3\] to float32\[3\]$"),
        (({"w": X},), ({"w": X.astype(np.int32)},), r"again: tree\['w'\] from float32\[4,3\] to int32\[4,3\]$"),
        ((X, jnp.float32(2)), (X, 2.0), r"again: scale from float32\[\] to weakly typed float32\[\]$"),
        (
            ({"w": X},),
            ({"w": X, "b": X},),
            r"the structure of tree from .*'w': \*.* to .*'b': \*.*; tree\['b'\] is new$",
        ),
        (([X, X],), ((X, X),), r"again: the structure of tree from .*\[\*, \*\].* to .*\(\*, \*\).*$"),
    ],
    ids=["shape", "shape of a leaf", "dtype", "weak type", "structure", "kind of structure"],
)
def test_what_is_new_is_named(first, second, text):
    with jax.numpy_dtype_promotion("standard"):
        reported = report_recompiles(total)
        assert float(reported(*first)) == float(total(*first))
        with pytest.warns(
            RecompilationWarning, match="total was compiled again: .*" + text.removeprefix("again: ")
        ) as w:
            assert float(reported(*second)) == float(total(*second))
        assert len(w) == 1
        assert w[0].filename == __file__
        for arguments in (first, second, second):  # both programs are there: warnings are errors here
            reported(*arguments)


def test_static_values_and_donated_arrays():
    def power(x, n):
        return x**n

    reported = report_recompiles(power, "my power", static_argnums=1, donate_argnums=0)
    assert float(reported(jnp.float32(3), 2)) == 9
    with pytest.warns(
        RecompilationWarning, match=r"^my power was compiled again: n from the static 2 to the static 3$"
    ):
        assert float(reported(jnp.float32(3), 3)) == 27
    with pytest.warns(RecompilationWarning, match=r"again: x from float32\[\] to float32\[2\]$"):
        reported(jnp.ones(2), 3)  # the most similar of the two, not the first


def test_nothing_changed_but_the_caches():
    reported = report_recompiles(lambda x: x + 1, "plus")
    reported(X[0, 0])
    with (
        pytest.warns(RecompilationWarning, match="none of its arguments changed"),
        jax.numpy_dtype_promotion("standard"),
    ):
        reported(X[0, 0])


def test_within_another_program_it_is_silent():
    reported = report_recompiles(jnp.sum, "sum")
    for n in (2, 3):
        assert float(jax.jit(lambda x: reported(x))(X[:n])) == 3 * n
        np.testing.assert_array_equal(jax.grad(reported)(X[:n]), np.ones((n, 3)))


def test_a_loop_of_ones_own():
    model, optimizer = dense(1), optax.adam(0.1)
    objective = supervised(model, half_squared_error)
    params, state = model.init(jax.random.key(0), X)
    train_state = start(optimizer, params, state, jax.random.key(1))
    step = report_recompiles(make_step(objective, optimizer), "step")
    for _ in range(3):
        train_state, metrics = step(train_state, (X, X[:, :1]))
    with pytest.warns(
        RecompilationWarning, match=r"^step was compiled again: batch\[0\] from float32\[4,3\] to float32"
    ):
        step(train_state, (X[:3], X[:3, :1]))
    assert np.isfinite(metrics["loss"])


def test_fit_compiles_a_program_for_each_training_without_a_word():
    model, optimizer = mlp([], 1), optax.sgd(0.1)
    objective = supervised(model, half_squared_error)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in (4, 2):
            params, state = model.init(jax.random.key(0), X)
            data = X[:n], X[:n, :1]
            fit(objective, optimizer, params, state, data, key=jax.random.key(1), n_epochs=1, batch_size=n)
