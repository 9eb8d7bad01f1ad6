"""What is exported runs without fnn, for any number of examples, and gives what the model gives."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fnn import CheckpointError, InputError, cnn, dense, export, from_nnx, lift, predict, serial

EXAMPLES = Path(__file__).parents[2] / "examples"
X = np.random.default_rng(0).normal(size=(5, 6, 6, 2)).astype(np.float32)


def read(path):
    return jax.export.deserialize(bytearray(path.read_bytes()))


@pytest.mark.parametrize(
    "model",
    [
        cnn(3, n_channels=(3, 4), n_hidden=5, drop_rate=0.5),
        from_nnx(lambda rngs: nnx.Sequential(nnx.BatchNorm(2, rngs=rngs), nnx.Dropout(0.5, rngs=rngs))),
    ],
    ids=["cnn", "nnx"],
)
def test_gives_what_the_model_gives_for_any_number_of_examples(model, tmp_path):
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        params, state = model.init(jax.random.key(0), X)
        expected = predict(model, params, state, X)
        export(tmp_path / "new" / "model", model, params, state, X[:1])
        exported = read(tmp_path / "new" / "model")
    assert exported.platforms == ("cpu", "cuda")
    for n_examples in (1, 5):
        np.testing.assert_allclose(exported.call(X[:n_examples]), expected[:n_examples], rtol=1e-5, atol=1e-6)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["model"]
    with pytest.raises(ValueError, match="Shape mismatch"):
        exported.call(X[:, :5])


def test_the_parameters_are_in_the_file(tmp_path):
    params = {"w": jnp.full((2, 1), 3.0)}
    export(tmp_path / "model", dense(1, bias=False), params, {}, jax.ShapeDtypeStruct((1, 2), jnp.float32))
    del params
    assert read(tmp_path / "model").call(np.ones((2, 2), np.float32)).tolist() == [[6.0], [6.0]]


def test_inputs_and_outputs_may_be_trees(tmp_path):
    both = lift(lambda x: {"sum": x["a"] + x["b"], "a": x["a"]})
    x = {"a": np.ones((2, 3), np.float32), "b": np.ones((2, 3), np.float32)}
    export(tmp_path / "model", both, {}, {}, x, platforms=["cpu"])
    y = read(tmp_path / "model").call({"a": np.ones((4, 3), np.float32), "b": np.full((4, 3), 2, np.float32)})
    assert y["sum"].tolist() == [[3.0] * 3] * 4


@pytest.mark.parametrize(
    ("x", "platforms", "text"),
    [
        (X, ["gpu"], r"platforms out of cpu, cuda, rocm, tpu, at least one, got platforms == \['gpu'\]"),
        (X, [], r"platforms out of .* got platforms == \[\]"),
        (X, "cpu", "platforms out of .* got platforms == 'cpu'"),
        (np.float32(1), ["cpu"], r"x with the examples along axis 0, got x.shape == \(\)"),
    ],
)
def test_bad_arguments(tmp_path, x, platforms, text):
    with pytest.raises(InputError, match=f"export: expected {text}"):
        export(tmp_path / "model", serial(), {}, {}, x, platforms=platforms)
    assert not list(tmp_path.iterdir())


def test_parameters_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match=r"dense: expected x\.shape"):
        export(tmp_path / "model", dense(1, bias=False), {"w": jnp.ones((3, 1))}, {}, X)


def test_a_model_that_asks_how_many_examples_there_are(tmp_path):
    pairs = lift(lambda x: x if x.shape[0] > 4 else -x)
    with pytest.raises(InputError, match="export: expected a model for any number of examples, got one that asks: "):
        export(tmp_path / "model", pairs, {}, {}, X)


def test_without_flatbuffers(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    with pytest.raises(InputError, match=r"export: expected the package flatbuffers \(pip install flatbuffers\)"):
        export(tmp_path / "model", serial(), {}, {}, X)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        export(tmp_path / "file" / "model", serial(), {}, {}, X)


def start(*arguments):
    return subprocess.run([sys.executable, "-W", "error", *arguments], capture_output=True, text=True)


def test_the_example_exports_and_a_ten_line_script_without_fnn_runs_it(tmp_path):
    writes, runs = EXAMPLES / "export_digits.py", EXAMPLES / "run_exported.py"
    assert len(writes.read_text(encoding="utf-8").splitlines()) < 30
    source = runs.read_text(encoding="utf-8")
    assert len([line for line in source.splitlines() if line]) <= 10
    done = start(str(writes), str(tmp_path))
    assert done.returncode == 0, done.stderr
    # With fnn made impossible to import.
    program = "import sys, runpy; sys.modules['fnn'] = None; path = sys.argv[1]; sys.argv = sys.argv[1:]"
    done = start(
        "-c",
        f"{program}; runpy.run_path(path)",
        str(runs),
        *(str(tmp_path / name) for name in ("model.stablehlo", "inputs.npy")),
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), np.load(tmp_path / "outputs.npy"), rtol=1e-5, atol=1e-5)
