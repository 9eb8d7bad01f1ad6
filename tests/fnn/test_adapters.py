"""Models of four kinds through one contract: they train, evaluate and are kept by the same unchanged code."""

import runpy
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox
import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from fnn import (
    InputError,
    Model,
    dense,
    dropout,
    evaluate,
    fit,
    from_equinox,
    from_linen,
    from_nnx,
    half_squared_error,
    load,
    relu,
    save,
    serial,
    supervised,
    tanh,
)

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.stack([X[:, 0] - X[:, 1], X[:, 2] * X[:, 0]], axis=1)
KEY = jax.random.key(5)


@pytest.fixture(autouse=True)
def as_their_users_have_it(strict: None) -> Iterator[None]:
    """The other libraries do not hold to strict dtypes and ranks."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        x = linen.BatchNorm(use_running_average=not train, momentum=0.9)(linen.Dense(4)(x))
        return linen.Dense(2)(linen.Dropout(0.5, deterministic=not train)(linen.relu(x)))


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(3, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)])
        self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.layers[1](self.dropout(nnx.relu(self.norm(self.layers[0](x)))))


class Equinox(equinox.Module):
    layers: list[equinox.nn.Linear]
    norm: equinox.nn.BatchNorm
    dropout: equinox.nn.Dropout
    places: jax.Array  # integers: kept, not learned

    def __init__(self, key):
        keys = jax.random.split(key)
        self.layers = [equinox.nn.Linear(3, 4, key=keys[0]), equinox.nn.Linear(4, 2, key=keys[1])]
        self.norm = equinox.nn.BatchNorm(4, axis_name="batch", momentum=0.9, mode="batch")
        self.dropout = equinox.nn.Dropout(0.5)
        self.places = jnp.array([1, 0])

    def __call__(self, x, state, key):
        x, state = self.norm(self.layers[0](x), state)
        return self.layers[1](self.dropout(jax.nn.relu(x), key=key))[self.places], state


class Case(NamedTuple):
    model: Model
    traced: list[None]
    """One entry for each time that Python went through the module."""


def counted(make: Callable[..., Model], call: Callable[..., Any]) -> Case:
    traced: list[None] = []

    def counting(*arguments: Any) -> Any:
        traced.append(None)
        return call(*arguments)

    return Case(make(call=counting), traced)


def own() -> Case:
    traced: list[None] = []

    def counting(x: Any) -> Any:
        traced.append(None)
        return relu(x)

    return Case(serial(dense(4), counting, dropout(0.5), dense(2)), traced)


CASES = {
    "fnn": own,
    "linen": lambda: counted(partial(from_linen, Linen()), lambda module, x, train: module(x, train)),
    "nnx": lambda: counted(partial(from_nnx, Nnx), lambda module, x, train: module(x)),
    "equinox": lambda: counted(partial(from_equinox, Equinox), lambda module, state, x, key: module(x, state, key)),
}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> tuple[Case, Any, Any]:
    case = CASES[request.param]()
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        return case, *case.model.init(jax.random.key(1), X)


def close(one, other, **tolerance):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, other)


def test_init_needs_only_shape_and_dtype_and_is_pure(case):
    (model, _), params, state = case
    again = model.init(jax.random.key(1), jax.ShapeDtypeStruct((1, 3), jnp.float32))
    close((params, state), again)
    other, _ = model.init(jax.random.key(2), X)
    assert any(not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(other), strict=True))
    for path, leaf in jax.tree_util.tree_leaves_with_path((params, state)):
        assert isinstance(leaf, jax.Array)
        assert not leaf.weak_type
        assert all(isinstance(part.key, str) for part in path[1:])


def test_apply_is_pure_and_the_same_compiled(case):
    (model, _), params, state = case
    before = jax.tree.map(np.array, (params, state))
    for options in ({}, {"key": KEY, "train": True}):
        y, new_state = model.apply(params, state, X, **options)
        close((y, new_state), jax.jit(partial(model.apply, **options))(params, state, X))
        close((y, new_state), model.apply(params, state, X, **options))
        assert y.dtype == X.dtype
        assert jax.tree.map(jnp.result_type, new_state) == jax.tree.map(jnp.result_type, state)
    jax.tree.map(np.testing.assert_array_equal, before, (params, state))


def test_state_changes_in_training_only_and_keys_decide(case):
    (model, _), params, state = case
    _, evaluated = model.apply(params, state, X)
    jax.tree.map(np.testing.assert_array_equal, evaluated, state)
    one, trained = model.apply(params, state, X, key=KEY, train=True)
    other, _ = model.apply(params, state, X, key=jax.random.key(6), train=True)
    assert not np.allclose(one, other)
    changed = [not np.allclose(a, b) for a, b in zip(jax.tree.leaves(trained), jax.tree.leaves(state), strict=True)]
    assert any(changed) == bool(state)


def test_examples_do_not_see_each_other(case):
    (model, _), params, state = case
    close(model.apply(params, state, X)[0][1:2], model.apply(params, state, X[1:2])[0])


def test_gradient_agrees_with_differences(case, check_gradient):
    (model, _), params, state = case
    check_gradient(lambda params, x: model.apply(params, state, x)[0], params, X)


def test_trains_evaluates_is_kept_with_one_compilation(case, tmp_path):
    (model, traced), params, state = case
    objective, begin = supervised(model, half_squared_error), len(traced)
    # Five and one: the last batch is padded.
    fitted = fit(objective, optax.adam(0.03), params, state, (X, Y), key=KEY, n_epochs=60, batch_size=5)
    assert len(traced) <= begin + 2  # for the metrics' names and for the step, however many steps there are
    begin = len(traced)
    untrained, trained = (
        evaluate(model, *numbers, (X, Y), {"error": half_squared_error})
        for numbers in ((params, state), (fitted.params, fitted.state))
    )
    assert trained["error"] < 0.8 * untrained["error"]
    assert len(traced) == begin + 1
    tree = {"params": fitted.params, "state": fitted.state}
    save(tmp_path / "kept", tree)
    kept = load(tmp_path / "kept", tree)
    assert evaluate(model, kept["params"], kept["state"], (X, Y), {"error": half_squared_error}) == trained


def test_the_four_kinds_train_to_the_same_numbers():
    models = {
        "fnn": serial(dense(4), tanh, dense(2)),
        "linen": from_linen(linen.Sequential([linen.Dense(4), jnp.tanh, linen.Dense(2)])),
        "nnx": from_nnx(lambda r: nnx.Sequential(nnx.Linear(3, 4, rngs=r), jnp.tanh, nnx.Linear(4, 2, rngs=r))),
        "equinox": from_equinox(lambda key: equinox.nn.MLP(3, 2, 4, 1, activation=jnp.tanh, key=key)),
    }
    begin, _ = models["fnn"].init(jax.random.key(1), X)
    (w1, b1), (w2, b2) = ((begin[name]["w"], begin[name]["b"]) for name in ("00_dense", "02_dense"))
    starts = {
        "fnn": begin,
        "linen": {"layers_0": {"kernel": w1, "bias": b1}, "layers_2": {"kernel": w2, "bias": b2}},
        "nnx": {"layers": {"00": {"kernel": w1, "bias": b1}, "02": {"kernel": w2, "bias": b2}}},
        "equinox": {"layers": {"00": {"weight": w1.T, "bias": b1}, "01": {"weight": w2.T, "bias": b2}}},
    }
    histories = {}
    for name, model in models.items():
        params, state = model.init(jax.random.key(1), X)
        assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, starts[name])
        assert state == {}
        objective = supervised(model, half_squared_error)
        fitted = fit(objective, optax.sgd(0.1), starts[name], state, (X, Y), key=KEY, n_epochs=5, batch_size=2)
        histories[name] = [metrics["loss"] for metrics in fitted.history]
    for name in ("linen", "nnx", "equinox"):
        np.testing.assert_allclose(histories[name], histories["fnn"], rtol=1e-5)


def test_linen_gives_what_flax_gives():
    model = CASES["linen"]().model
    params, state = model.init(KEY, X)
    variables = {"params": params, **state}
    close(model.apply(params, state, X)[0], Linen().apply(variables, X, False))
    close(model.apply(params, state, X, key=KEY, train=True)[1], linen_update(variables))


def linen_update(variables):
    return Linen().apply(variables, X, True, rngs={"dropout": KEY}, mutable=["batch_stats"])[1]


def test_nnx_gives_what_flax_gives():
    module = Nnx(nnx.Rngs(3))
    model = from_nnx(lambda rngs: module)
    params, state = model.init(KEY, X)
    np.testing.assert_array_equal(params["layers"]["01"]["kernel"], module.layers[1].kernel.get_value())
    _, new_state = model.apply(params, state, X, key=KEY, train=True)
    np.testing.assert_array_equal(module.norm.mean.get_value(), np.zeros(4))  # the user's own is left alone
    module.train()
    module(X)
    close(new_state["norm"], {"mean": module.norm.mean.get_value(), "var": module.norm.var.get_value()})
    module.eval()
    close(model.apply(params, new_state, X)[0], module(X))


def test_equinox_gives_what_equinox_gives():
    module, module_state = equinox.nn.make_with_state(Equinox)(KEY)
    model = CASES["equinox"]().model
    params, state = model.init(KEY, X)
    options = {"in_axes": (0, None, 0), "out_axes": (0, None), "axis_name": "batch"}
    y, module_state = jax.vmap(module, **options)(X, module_state, jax.random.split(KEY, 6))
    trained, state = model.apply(params, state, X, key=KEY, train=True)
    close(trained, y)
    close(jax.tree.leaves(state["state"]), jax.tree.leaves(module_state))
    expected, _ = jax.vmap(equinox.nn.inference_mode(module), **options)(X, module_state, jax.random.split(KEY, 6))
    close(model.apply(params, state, X)[0], expected)


class Sows(linen.Module):
    @linen.compact
    def __call__(self, x):
        self.sow("losses", "size", jnp.sum(jnp.square(x)))
        return linen.BatchNorm(use_running_average=False)(linen.Dense(2)(x))


class Grows(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        self.variable("seen", "first", jnp.zeros, ())
        if train:
            self.variable("seen", "second", jnp.zeros, ())
        return x


def test_what_linen_sows_is_not_kept():
    model = from_linen(Sows())
    params, state = model.init(KEY, X)
    assert list(state) == ["batch_stats"]
    after = model.apply(params, state, X, train=True)[1]
    assert jax.tree.structure(after) == jax.tree.structure(state)


class Remembers(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        pair = self.variable("carry", "pair", lambda: (jnp.zeros(()), jnp.zeros(())))
        self.sow("carry", "sizes", jnp.sum(x))  # into the same collection
        self.sow("losses", "size", jnp.sum(x))
        if train:
            self.sow("carry", "in_training", jnp.sum(x))
            pair.value = (pair.value[0] + 1, jnp.sum(x))
        return linen.Dense(2)(x) + pair.value[0]


def test_a_tuple_that_is_not_sown_is_kept():
    model = from_linen(linen.Sequential([Remembers()]), call=lambda module, x, train: module(x, train))
    params, state = model.init(KEY, X)
    assert state == {"carry": {"layers_0": {"pair": (0, 0)}}}
    apply = jax.jit(partial(model.apply, train=True))
    for _ in range(2):
        _, state = apply(params, state, X)
    (calls, total) = state["carry"]["layers_0"]["pair"]
    assert calls == 2
    close(total, X.sum())
    close(model.apply(params, state, X)[0], model.apply(params, model.init(KEY, X)[1], X)[0] + 2)


class Shifted(equinox.Module):
    w: jax.Array
    shift: np.ndarray

    def __call__(self, x):
        return x * self.w + self.shift


def test_a_numpy_array_of_an_equinox_module_is_a_constant():
    model = from_equinox(lambda key: Shifted(jnp.ones(3), np.full(3, 2, np.float32)))
    params, state = model.init(KEY, jnp.ones((1, 3)))
    assert list(params) == ["w"]
    np.testing.assert_array_equal(model.apply(params, state, jnp.ones((2, 3)))[0], np.full((2, 3), 3))
    assert jax.jit(model.init)(KEY, jnp.ones((1, 3)))[0].keys() == params.keys()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: from_linen(Linen), "from_linen: expected a flax.linen.Module, got the class Linen"),
        (lambda: from_linen(Nnx(nnx.Rngs(0))), "from_linen: expected a flax.linen.Module, got Nnx"),
        (
            lambda: from_nnx(Nnx(nnx.Rngs(0))),
            "from_nnx: expected a function of nnx.Rngs that makes the module, got Nnx",
        ),
        (lambda: from_nnx(lambda rngs: Linen()), r"makes the module \(an nnx.Module\), got Linen"),
        (lambda: from_equinox(Equinox(KEY)), "from_equinox: expected a function of a key .* module, got Equinox"),
        (lambda: from_equinox(lambda key: 3), r"makes the module \(an equinox.Module\), got int"),
    ],
)
def test_what_is_no_module_is_named(make, text):
    with pytest.raises(InputError, match=text):
        make()


@pytest.mark.parametrize("name", ["linen", "nnx"])
def test_training_without_a_key(name):
    model = CASES[name]().model
    params, state = model.init(KEY, X)
    with pytest.raises(InputError, match=f"from_{name}: expected key=... because the module draws random numbers"):
        model.apply(params, state, X, train=True)


def test_training_without_a_key_where_nothing_is_drawn():
    model = from_nnx(lambda rngs: nnx.Linear(3, 2, rngs=rngs))
    params, state = model.init(KEY, X)
    close(model.apply(params, state, X, train=True)[0], model.apply(params, state, X)[0])


@pytest.mark.parametrize("name", ["nnx", "equinox"])
def test_parameters_of_another_model_are_named(name):
    model = CASES[name]().model
    params, state = model.init(KEY, X)
    kernel, shape = ("kernel", r"\(3, 4\)") if name == "nnx" else ("weight", r"\(4, 3\)")
    layer = params["layers"]["00"]
    for other, got in (
        ({k: v for k, v in layer.items() if k != kernel}, "none of that name"),
        (layer | {kernel: jnp.ones((5, 4))}, r"shape \(5, 4\)"),
    ):
        wrong = params | {"layers": params["layers"] | {"00": other}}
        with pytest.raises(InputError, match=f"params with layers/00/{kernel} of shape {shape}, got {got}"):
            model.apply(wrong, state, X)
    with pytest.raises(InputError, match=r"params with 6 arrays, got one more, extra/w"):
        model.apply(params | {"extra": {"w": jnp.ones(1)}}, state, X)
    with pytest.raises(InputError, match=r"expected state with .* got none of that name"):
        model.apply(params, {}, X)


def test_a_call_that_changes_the_state_is_named():
    model = from_linen(Grows(), call=lambda module, x, train: module(x, train))
    params, state = model.init(KEY, X)
    with pytest.raises(InputError, match="from_linen: expected a call to keep the state's structure"):
        model.apply(params, state, X, train=True)


def test_boxed_linen_parameters_are_plain():
    boxed = linen.Dense(2, kernel_init=linen.with_partitioning(linen.initializers.ones, (None, "model")))
    params, _ = from_linen(boxed).init(KEY, X)
    assert isinstance(params["kernel"], jax.Array)
    assert not isinstance(params, flax.core.FrozenDict)


def test_equinox_is_imported_only_when_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "equinox", None)
    with pytest.raises(InputError, match=r"from_equinox: expected the package equinox \(pip install equinox\)"):
        from_equinox(Equinox)
    assert from_linen(linen.Dense(2)).name == "dense"


def test_the_example_trains_all_three(capsys):
    path = Path(__file__).parents[2] / "examples" / "any_model.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 30
    runpy.run_path(str(path))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["linen", "nnx", "equinox"]
    assert all(float(line.split()[-1].rstrip("}")) > 0.85 for line in lines)
