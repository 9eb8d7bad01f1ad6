"""Which programs are compiled without YNNPACK's convolutions, and that those give the right numbers and are kept."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.experimental.compilation_cache import compilation_cache

import fnn
from fnn.evaluation import _forward, _score
from fnn.lowering import Options, options_for, ynnpack

MODEL = fnn.serial(fnn.conv(8), fnn.relu, fnn.average_pool(), fnn.conv(16), fnn.relu, fnn.flatten(), fnn.dense(3))
X = np.random.default_rng(0).normal(size=(32, 14, 14, 5)).astype(np.float32)
Y = np.arange(32) % 3


def by_ynnpack(program):
    """The convolutions of a compiled program that YNNPACK is called for."""
    called = [line for line in program.as_text().splitlines() if "kind=kCustom" in line]
    return [line for line in called if re.search(r'op_name="[^"]*conv_general_dilated', line)]


@pytest.fixture
def trained():
    params, state = MODEL.init(jax.random.key(0), X)
    return params, state


def gradient(params, state):
    objective = fnn.supervised(MODEL, fnn.softmax_cross_entropy_with_integer_labels)
    return fnn.loss_and_grad(objective)(params, state, (X, Y), jax.random.key(1))[1]


def test_convolutions_are_the_compilers_own(trained):
    traced = jax.jit(gradient).trace(*trained)
    assert by_ynnpack(traced.lower().compile())  # or there is nothing to avoid
    options = options_for(traced.jaxpr)
    assert options == Options(tuple(fnn.compiler_options().items()), is_kept=True)
    program = traced.lower().compile(compiler_options=dict(options.given))
    assert by_ynnpack(program) == []
    for got, expected in zip(*map(jax.tree.leaves, (program(*trained), gradient(*trained))), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_evaluation(trained):
    metrics = (("accuracy", fnn.accuracy),)
    programs = [
        _forward(MODEL).lower(*trained, X).compile(),
        _score(MODEL, metrics).lower(*trained, X, Y).compile(),
    ]
    assert [by_ynnpack(program) for program in programs] == [[], []]


def test_a_program_without_convolutions_is_the_same():
    def program(x, w):
        hidden = jnp.maximum(x @ w, 0)
        return jax.grad(lambda w: jnp.log(jnp.exp(x @ w).sum(1)).mean())(w), hidden.sum(0), hidden.max(1)

    traced = jax.jit(program).trace(jnp.ones((128, 784)), jnp.ones((784, 512)))
    assert options_for(traced.jaxpr) == Options((), is_kept=True)
    texts = [traced.lower().compile(compiler_options=options).as_text() for options in ({}, fnn.compiler_options())]
    assert "ynn" in texts[0]
    assert texts[0] == texts[1]


def test_where_it_is_not_for_us_to_say(monkeypatch):
    assert fnn.compiler_options() != {}
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE")
    assert fnn.compiler_options() == {}
    monkeypatch.delenv("XLA_FLAGS")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert fnn.compiler_options() == {}
    assert jax.jit(lambda x: x + 1, compiler_options=fnn.compiler_options())(1) == 2


def test_a_jax_whose_defaults_nobody_has_looked_at(monkeypatch):
    for version, is_known in {(0, 9, 2): False, (0, 10, 0): True, (0, 12, 0, 1): True, (0, 13, 0): False}.items():
        monkeypatch.setattr(jax, "__version_info__", version)
        assert bool(fnn.compiler_options()) == is_known


def test_on_another_device_than_programs_run_on_by_default(monkeypatch, trained):
    jaxpr = jax.jit(MODEL.apply).trace(*trained, X).jaxpr
    assert ynnpack.for_convolutions(jaxpr) == fnn.compiler_options()
    assert ynnpack.for_convolutions(jaxpr, "gpu") == {}
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert ynnpack.for_convolutions(jaxpr, "cpu") != {}


def record(monkeypatch, name):
    """The compiler options of what is called ``name``, as ``jax.jit`` gets them from now on."""
    given, jit = [], jax.jit

    def recording(function, **arguments):
        if function.__name__ == name:
            given.append(arguments.get("compiler_options"))
        return jit(function, **arguments)

    monkeypatch.setattr(jax, "jit", recording)
    return given


def test_a_sweep(monkeypatch):
    given, compile_it = [], jax.stages.Lowered.compile

    def recording(self, compiler_options=None, **arguments):
        given.append(compiler_options)
        return compile_it(self, compiler_options, **arguments)

    monkeypatch.setattr(jax.stages.Lowered, "compile", recording)

    def run(key):
        params, state = MODEL.init(key, X[:1])
        return MODEL.apply(params, state, X[:4])[0].sum()

    assert fnn.sweep(run, seeds=2).results.shape == (2,)
    assert given == [fnn.compiler_options()]


def test_the_programs_of_fit(tmp_path, trained, monkeypatch):
    """Are compiled with it, and kept."""
    names = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"
    before = [getattr(jax.config, name) for name in names]
    try:
        compilation_cache.reset_cache()
        jax.config.update(names[0], str(tmp_path))
        jax.config.update(names[1], 0.0)
        objective = fnn.supervised(MODEL, fnn.softmax_cross_entropy_with_integer_labels)
        given = record(monkeypatch, "advance")
        fnn.fit(objective, optax.sgd(0.1), *trained, (X, Y), key=jax.random.key(1), n_epochs=1, batch_size=16)
        assert given == [fnn.compiler_options()]
        assert any("advance" in path.name for path in tmp_path.iterdir())
    finally:
        for name, value in zip(names, before, strict=True):
            jax.config.update(name, value)
        compilation_cache.reset_cache()
