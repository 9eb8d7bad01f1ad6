import hashlib
import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import CheckpointError, load, save
from fnn.checkpoint import describe, find_newest

TREE = {
    "params": {"00_dense": {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(3, np.float32)}},
    "state": {},
}


@pytest.fixture(scope="module")
def kept_once(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "kept"
    save(path, TREE, {"seed": 3, "model": {"name": "mlp"}})
    return path


@pytest.fixture
def kept(kept_once, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(kept_once, tmp_path / "kept")


def like(tree):
    return jax.eval_shape(lambda: jax.tree.map(jnp.asarray, tree))


def test_comes_back_as_it_was(kept):
    loaded = load(kept, like(TREE))
    assert jax.tree.structure(loaded) == jax.tree.structure(TREE)
    jax.tree.map(np.testing.assert_array_equal, loaded, TREE)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(loaded))
    assert describe(kept) == {"seed": 3, "model": {"name": "mlp"}}


def test_keeps_other_dtypes_and_keys_by_the_bit(tmp_path):
    tree = {
        "half": jnp.array([1.5, jnp.inf], jnp.bfloat16),
        "count": jnp.array(7, jnp.int32),
        "nan": jnp.array([jnp.nan, -0.0], jnp.float32),
        "key": jax.random.key(3),
    }
    save(tmp_path / "kept", tree)
    loaded = load(tmp_path / "kept", like(tree))
    for name in ("half", "count", "nan"):
        assert loaded[name].dtype == tree[name].dtype
        assert np.asarray(loaded[name]).tobytes() == np.asarray(tree[name]).tobytes()
    np.testing.assert_array_equal(jax.random.key_data(loaded["key"]), jax.random.key_data(tree["key"]))


def test_replaces_what_was_kept_and_leaves_nothing_else(tmp_path):
    for value in (1.0, 2.0):
        save(tmp_path / "deep" / "kept", {"w": np.full(2, value, np.float32)})
    loaded = load(tmp_path / "deep" / "kept", like({"w": np.zeros(2, np.float32)}))
    np.testing.assert_array_equal(loaded["w"], [2, 2])
    assert os.listdir(tmp_path / "deep") == ["kept"]


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for path in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(CheckpointError, match=r": exists and holds no kept parameters; it is not replaced$"):
            save(path, TREE)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("way", ["flip", "cut", "remove", "add"])
def test_every_damaged_file_is_noticed(kept, way):
    files = [path for path in kept.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        if way == "flip":
            path.write_bytes(content[:-2] + bytes([content[-2] ^ 4]) + content[-1:])
        elif way == "cut":
            path.write_bytes(content[:-1])
        elif way == "remove":
            path.unlink()
        else:
            path = path.with_name("stranger")
            path.write_bytes(b"?")
        with pytest.raises(CheckpointError, match=r"damaged|no kept parameters there") as error:
            load(kept, like(TREE))
        assert str(error.value).startswith(f"{kept}: ")
        assert "\n" not in str(error.value)
        if way == "add":
            path.unlink()
        else:
            path.write_bytes(content)
    load(kept, like(TREE))  # repaired


def test_another_model_is_refused(kept):
    other = jax.tree.map(np.copy, TREE)
    other["params"]["00_dense"]["w"] = np.zeros((2, 4), np.float32)
    with pytest.raises(CheckpointError) as error:
        load(kept, like(other))
    assert str(error.value) == (
        f"{kept}: belongs to another model: expected ['params']['00_dense']['w'] of shape (2, 4) and dtype float32,"
        " got of shape (2, 3) and dtype float32"
    )
    other["params"]["00_dense"]["w"] = np.zeros((2, 3), np.float16)
    with pytest.raises(CheckpointError, match=r"of shape \(2, 3\) and dtype float16, got of shape"):
        load(kept, like(other))
    with pytest.raises(
        CheckpointError, match=r"expected \['more'\] of shape \(1,\) and dtype float32, got to be absent$"
    ):
        load(kept, like({**TREE, "more": np.zeros(1, np.float32)}))
    with pytest.raises(CheckpointError, match=r"expected \['params'\]\['00_dense'\]\['b'\] to be absent, got of shape"):
        load(kept, like({"state": {}}))


def test_missing_and_empty(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere: no kept parameters there \(no manifest.json\)$"):
        load(tmp_path / "nowhere", {})
    with pytest.raises(CheckpointError, match=r": no kept parameters there$"):
        find_newest(tmp_path)
    with pytest.raises(CheckpointError, match=r": expected arrays to keep, got none$"):
        save(tmp_path / "kept", {"params": {}})


def test_a_manifest_that_is_no_manifest(kept):
    for text in ("[]", "{", "\xff", json.dumps({"description.json": 3})):
        (kept / "manifest.json").write_text(text, encoding="latin-1")
        with pytest.raises(CheckpointError, match=r"damaged"):
            describe(kept)


def test_another_format(kept):
    description = json.loads((kept / "description.json").read_text())
    (kept / "description.json").write_text(json.dumps(description | {"format": 99}))
    # The manifest is made to agree, as a later version of this library would have written it.
    manifest = json.loads((kept / "manifest.json").read_text())
    manifest["description.json"] = hashlib.sha256((kept / "description.json").read_bytes()).hexdigest()
    (kept / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"expected format 1, got another version's$"):
        describe(kept)


def test_the_newest(tmp_path):
    for age, name in enumerate(("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
        os.utime(tmp_path / name / "manifest.json", (age, age))
    assert find_newest(tmp_path).name == "a"
