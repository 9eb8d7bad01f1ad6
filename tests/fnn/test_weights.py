"""Safetensors: held against the package of that name, and against every kind of damage."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import deserialize
from safetensors.numpy import load_file, save_file

from fnn import CheckpointError, dense, load_weights, read_weights, save_weights

TREE = {
    "params": {"00_dense": {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(3, np.float16)}},
    "state": {"count": np.array(7, np.int32), "none": np.zeros((0, 3), np.float32), "on": np.array([True, False])},
}
ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def write(path, header, numbers=b"\0\0\0\0"):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    return path


def equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)
    assert jax.tree.map(lambda leaf: leaf.dtype.name, one) == jax.tree.map(lambda leaf: leaf.dtype.name, other)


def test_comes_back_as_it_was_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "model.safetensors"
    for tree in (jax.tree.map(np.zeros_like, TREE), TREE):  # the second replaces the first
        save_weights(path, tree)
    loaded = load_weights(path, TREE)
    equal(loaded, TREE)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(loaded))
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]


def test_a_network_comes_back(tmp_path):
    model = dense(3)
    x = jnp.ones((2, 5))
    params, state = model.init(jax.random.key(0), x)
    save_weights(tmp_path / "w", params)
    again = load_weights(tmp_path / "w", jax.eval_shape(lambda: params))
    equal(model.apply(again, state, x)[0], model.apply(params, state, x)[0])


def test_the_safetensors_package_reads_it_and_is_read(tmp_path):
    save_weights(tmp_path / "ours", TREE)
    flat = read_weights(tmp_path / "ours")
    assert set(flat) == {"params.00_dense.w", "params.00_dense.b", "state.count", "state.none", "state.on"}
    equal(load_file(tmp_path / "ours"), flat)
    save_file(flat, tmp_path / "theirs", {"by": "them"})
    equal(load_weights(tmp_path / "theirs", TREE), TREE)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "complex64", "uint16", "int8"])
def test_other_dtypes_by_the_bit(tmp_path, dtype):
    array = jnp.array([1.5, -0.0, 3.0]).astype(dtype)
    save_weights(tmp_path / "w", {"a": array, "z": jnp.ones(1)})
    equal(load_weights(tmp_path / "w", {"a": array, "z": jnp.ones(1)})["a"], array)
    # The package names the same dtype, by the format's own name, and the same bytes.
    theirs = dict(deserialize((tmp_path / "w").read_bytes()))["a"]
    assert bytes(theirs["data"]) == np.asarray(array).tobytes()


def test_64_bits_are_kept_or_refused(tmp_path):
    tree = {"w": np.array([1 / 3])}
    save_weights(tmp_path / "w", tree)
    equal(read_weights(tmp_path / "w"), tree)
    with pytest.raises(CheckpointError, match=r"expected jax_enable_x64 for w of shape \(1,\) and dtype float64"):
        load_weights(tmp_path / "w", tree)
    with jax.enable_x64(True):
        equal(load_weights(tmp_path / "w", tree), tree)


def test_the_other_byte_order_is_turned(tmp_path):
    save_weights(tmp_path / "w", {"w": np.array([1.0, 2.0], ">f4")})
    assert read_weights(tmp_path / "w")["w"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("like", "text"),
    [
        ({"w": np.zeros((3, 2), np.float32)}, r"expected w of shape \(3, 2\) and dtype float32, got of shape \(2, 3\)"),
        ({"w": np.zeros((2, 3), np.int32)}, r"expected w of shape \(2, 3\) and dtype int32, got .* dtype float32"),
        ({"v": np.zeros((2, 3), np.float32)}, r"expected v of shape .*, got to be absent"),
        ({}, r"expected w to be absent, got of shape \(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, like, text):
    save_weights(tmp_path / "w", {"w": np.zeros((2, 3), np.float32)})
    with pytest.raises(CheckpointError, match=f"belongs to another model: {text}"):
        load_weights(tmp_path / "w", like)


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        ({}, "expected arrays to write, got none"),
        ({"key": jax.random.key(0)}, "expected key to be an array of numbers, got key"),
        ({"name": "text"}, "expected name to be an array of numbers, got str"),
        ({"a": {"b": np.ones(1)}, "a.b": np.ones(1)}, "a name of its own for each array, got 'a.b'"),
        ({"__metadata__": np.ones(1)}, "'__metadata__' twice or reserved"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, tree, text):
    with pytest.raises(CheckpointError, match=text):
        save_weights(tmp_path / "w", tree)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_weights(tmp_path / "file" / "w", TREE)


def test_too_large_is_not_read(tmp_path):
    save_weights(tmp_path / "w", TREE)
    size = (tmp_path / "w").stat().st_size
    assert read_weights(tmp_path / "w", max_bytes=size)
    with pytest.raises(CheckpointError, match=f"expected at most max_bytes == {size - 1}, got {size} bytes"):
        read_weights(tmp_path / "w", max_bytes=size - 1)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"{", "the header is not JSON"),
        (b"\xff", "the header is not JSON"),
        (b"[" * 100_000, "the header is not JSON"),
        (b'{"a": ' + json.dumps(ENTRY).encode() + b', "a": ' + json.dumps(ENTRY).encode() + b"}", "occurs twice"),
        ([], "expected the header to be a JSON object, got list"),
        ({"a": 1}, "entry for 'a'"),
        ({"a": {"dtype": "F32", "shape": [1]}}, "entry for 'a'"),
        ({"a": ENTRY | {"more": 1}}, "entry for 'a'"),
        ({"a": ENTRY | {"shape": [-1]}}, "entry for 'a'"),
        ({"a": ENTRY | {"shape": [True]}}, "entry for 'a'"),
        ({"a": ENTRY | {"shape": [1.0]}}, "entry for 'a'"),
        ({"a": ENTRY | {"data_offsets": [0, 2, 4]}}, "entry for 'a'"),
        ({"a": ENTRY | {"dtype": "PICKLE"}}, "expected a of a dtype among .* got 'PICKLE'"),
        ({"a": ENTRY | {"shape": [2]}}, "expected 8 bytes for a, got 4"),
        ({"a": ENTRY | {"data_offsets": [4, 0]}}, "expected 4 bytes for a, got -4"),
        ({"a": ENTRY, "b": ENTRY}, "expected b to begin at byte 4, got 0"),
        ({"a": ENTRY | {"data_offsets": [4, 8]}}, "expected a to begin at byte 0, got 4"),
        ({}, "expected 0 bytes of numbers, got 4"),
        ({"a": ENTRY, "b": ENTRY | {"data_offsets": [4, 8]}}, "expected 8 bytes of numbers, got 4"),
        ({"a": ENTRY, "b": {"dtype": "F32", "shape": [0, 2**70], "data_offsets": [4, 4]}}, "a shape that no array has"),
        ({"a": ENTRY, "b": {"dtype": "F32", "shape": [0] * 99, "data_offsets": [4, 4]}}, "a shape that no array has"),
    ],
)
def test_a_header_that_is_not_of_the_format(tmp_path, header, text):
    with pytest.raises(CheckpointError, match=text):
        read_weights(write(tmp_path / "w", header))


def test_a_bool_that_is_neither(tmp_path):
    entry = {"dtype": "BOOL", "shape": [4], "data_offsets": [0, 4]}
    assert read_weights(write(tmp_path / "w", {"a": entry}, b"\0\1\0\1"))["a"].tolist() == [False, True, False, True]
    with pytest.raises(CheckpointError, match="a of dtype bool holds other bytes"):
        read_weights(write(tmp_path / "w", {"a": entry}, b"\0\2\0\1"))


def test_every_shorter_file_is_refused(tmp_path):
    save_weights(tmp_path / "w", {"w": np.arange(3, dtype=np.float32)})
    whole = (tmp_path / "w").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "w").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            read_weights(tmp_path / "w")


def test_no_flipped_bit_of_the_header_makes_another_kind_of_error(tmp_path):
    save_weights(tmp_path / "w", {"w": np.arange(3, dtype=np.float32), "b": np.ones(2, np.int32)})
    whole = bytearray((tmp_path / "w").read_bytes())
    refused = 0
    for bit in range(0, 8 * (len(whole) - 20), 3):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "w").write_bytes(damaged)
        try:
            arrays = read_weights(tmp_path / "w")
        except CheckpointError:
            refused += 1
        else:  # a name or a dtype has become another; the numbers are all there
            assert sum(math.prod(array.shape) * array.itemsize for array in arrays.values()) == 20
    assert refused > 150
