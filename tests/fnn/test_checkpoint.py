import hashlib
import json
import os
import resource
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnn import CheckpointError, dense, load, make_step, mean_squared_error, save, start, supervised
from fnn.checkpoint import check_replaceable, describe, find_newest

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
    # manifest.json is the name of many a manifest.
    (tmp_path / "thesis.txt").rename(tmp_path / "manifest.json")
    with pytest.raises(CheckpointError, match=r": exists and holds no kept parameters; it is not replaced$"):
        save(tmp_path, TREE)


def test_what_was_put_beside_kept_parameters_is_not_replaced(kept):
    (kept / "notes.txt").write_text("seed 3 was the good one")
    with pytest.raises(CheckpointError, match=r"kept: holds notes.txt beside kept parameters; it is not replaced$"):
        save(kept, TREE)


def test_killed_while_replacing(kept, monkeypatch):
    class Killed(BaseException):
        pass

    def killed_after(*renames):
        """Ends the process, as it were, after so many renames: nothing of it runs on."""
        left = list(renames)

        def rename(self, target):
            if not left:
                raise Killed
            left.pop()
            return os.rename(self, target)

        return rename

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed_after(1))
        with pytest.raises(Killed):
            save(kept, {"w": np.zeros(1, np.float32)})
    assert not kept.exists()
    assert find_newest(kept.parent) == kept
    load(kept, like(TREE))  # the old whole
    assert os.listdir(kept.parent) == ["kept"]


def test_what_a_killed_process_left_is_removed_when_it_is_old(kept):
    old, young = kept.with_name(".kept-old.part"), kept.with_name(".kept-young.part")
    for scratch in (old, young):
        (scratch / "new").mkdir(parents=True)
    os.utime(old, (0, 0))
    save(kept, TREE)
    assert sorted(os.listdir(kept.parent)) == [".kept-young.part", "kept"]


def test_a_full_disk(kept, capfd):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"kept: cannot be written: File too large$"):
            save(kept, {"w": np.random.default_rng(0).normal(size=20_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert capfd.readouterr().err == ""
    assert os.listdir(kept.parent) == ["kept"]
    load(kept, like(TREE))


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "kept", tmp_path / "file" / "deep" / "kept"):
        with pytest.raises(CheckpointError, match=r"kept: cannot be written: Not a directory: .*file$"):
            check_replaceable(path)


def test_what_cannot_be_kept(tmp_path):
    with pytest.raises(CheckpointError, match=r"^\['a'\]\['b'\]: expected an array, got float$"):
        save(tmp_path / "kept", {"a": {"b": 1.0}})
    with pytest.raises(CheckpointError, match=r"kept: expected about to be JSON: .*ndarray"):
        save(tmp_path / "kept", TREE, {"a": np.ones(2)})
    assert os.listdir(tmp_path) == []


def test_a_training_is_kept_and_goes_on_with_the_same_bits(tmp_path):
    objective = supervised(dense(1), mean_squared_error)
    optimizer = optax.chain(optax.clip(1.0), optax.adam(optax.cosine_decay_schedule(0.1, 9)))
    batch = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    with jax.numpy_dtype_promotion("standard"):
        step = jax.jit(make_step(objective, optimizer))
        params, state = dense(1).init(jax.random.key(0), batch[0])
        half, _ = step(start(optimizer, params, state, jax.random.key(1)), batch)
        save(tmp_path / "half", half)
        again = load(tmp_path / "half", like=half)
        jax.tree.map(np.testing.assert_array_equal, step(half, batch)[0].params, step(again, batch)[0].params)
    assert jax.tree.structure(again) == jax.tree.structure(half)


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
