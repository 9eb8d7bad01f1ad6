"""Weights in and out as safetensors, the file that most other libraries read and write.

Eight bytes give the length of a JSON header; the header gives each array's name, dtype, shape and place; then the
numbers follow. Nothing in such a file is code. Written and read here rather than with the ``safetensors`` package,
whose NumPy interface has no bfloat16; the tests hold the two against each other.

Source: the format's description at https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.errors import CheckpointError

_DTYPES = {
    code: np.dtype(getattr(jnp, name))
    for code, name in {
        "BOOL": "bool_",
        "U8": "uint8",
        "I8": "int8",
        "F8_E5M2": "float8_e5m2",
        "F8_E4M3": "float8_e4m3fn",
        "I16": "int16",
        "U16": "uint16",
        "F16": "float16",
        "BF16": "bfloat16",
        "I32": "int32",
        "U32": "uint32",
        "F32": "float32",
        "C64": "complex64",
        "F64": "float64",
        "I64": "int64",
        "U64": "uint64",
    }.items()
}
_CODES = {dtype.name: code for code, dtype in _DTYPES.items()}
_PREFIX = 8  # bytes that hold the header's length
_MAX_HEADER = 100_000_000  # bytes, the format's own limit
_METADATA = "__metadata__"


def save_weights(path: str | Path, tree: Any) -> None:
    """Writes a pytree of arrays as one safetensors file, replacing what was there.

    An array is named by its path in the tree, the parts joined by points: ``00_dense.w``. The file appears whole or
    not at all.

    Args:
        path: the file; its folder is made.
        tree: nested dicts of arrays, such as ``params``, or ``{"params": params, "state": state}``.

    Raises:
        CheckpointError: ``tree`` is empty, a leaf is no array or of a dtype that the format does not have (PRNG keys),
            two names are the same, or the file cannot be written.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(f"{folder}/model.safetensors", {"00_dense": {"w": np.ones((2, 1), np.float32)}})
        ...     read_weights(f"{folder}/model.safetensors")["00_dense.w"].tolist()
        [[1.0], [1.0]]
    """
    path = Path(path).absolute()
    arrays = {name: _to_host(path, name, leaf) for name, leaf in _named(path, tree).items()}
    if not arrays:
        raise CheckpointError(f"{path}: expected arrays to write, got none")
    # The widest numbers first, so that each array starts at a multiple of its item's size.
    arrays = dict(sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])))
    header, end = {}, 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": _CODES[array.dtype.name], "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _PREFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
            fresh = Path(scratch) / "new"
            with fresh.open("wb") as file:
                file.write(len(text).to_bytes(_PREFIX, "little") + text)
                file.writelines(array.tobytes() for array in arrays.values())
            fresh.replace(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from None


def load_weights(path: str | Path, like: Any, *, max_bytes: int = 2**32) -> Any:
    """The arrays of a safetensors file, in the structure of ``like``.

    Args:
        path: the file.
        like: a pytree of the structure, shapes and dtypes that are expected: arrays or ``jax.ShapeDtypeStruct``.
        max_bytes: a file larger than this is not read.

    Returns:
        The arrays, on the default device.

    Raises:
        CheckpointError: the file is missing, too large or no valid safetensors; a name is missing or in excess; a shape
            or dtype is another; a dtype has 64 bits and JAX is not set to keep them.

    Example:
        >>> load_weights("no-such-file", like={})
        Traceback (most recent call last):
            ...
        fnn.errors.CheckpointError: no-such-file: no such file
    """
    wanted, found = _named(path, like), read_weights(path, max_bytes=max_bytes)
    for name in sorted({*wanted, *found}):
        expected, got = _describe(wanted.get(name)), _describe(found.get(name))
        if expected != got:
            raise CheckpointError(f"{path}: belongs to another model: expected {name} {expected}, got {got}")
        if jax.dtypes.canonicalize_dtype(found[name].dtype) != found[name].dtype:
            raise CheckpointError(f"{path}: expected jax_enable_x64 for {name} {expected}, got JAX set to 32 bits")
    return jax.tree.unflatten(jax.tree.structure(like), [jnp.asarray(found[name]) for name in wanted])


def read_weights(path: str | Path, *, max_bytes: int = 2**32) -> dict[str, np.ndarray]:
    """All arrays of a safetensors file by name, as another library may have written it.

    Args:
        path: the file.
        max_bytes: a file larger than this is not read.

    Raises:
        CheckpointError: the file is missing, too large or no valid safetensors: a header that is not of the format,
            arrays that overlap, leave gaps or do not end with the file, a length that does not fit dtype and shape.

    Example:
        See :func:`save_weights`. A file of other names serves after renaming:

        >>> found = {"fc.weight": np.ones((1, 2), np.float32), "fc.bias": np.zeros(1, np.float32)}
        >>> params = {"w": found["fc.weight"].T, "b": found["fc.bias"]}
    """
    data = _read(Path(path), max_bytes)
    length = int.from_bytes(data[:_PREFIX], "little")
    if len(data) < _PREFIX or length > min(_MAX_HEADER, len(data) - _PREFIX):
        raise CheckpointError(f"{path}: damaged: expected a header, got {len(data)} bytes that do not hold one")
    header = _parse(path, data[_PREFIX : _PREFIX + length])
    places = {name: _place(path, name, entry) for name, entry in header.items() if name != _METADATA}
    end = 0
    for name, (_, _, begin, after) in sorted(places.items(), key=lambda item: item[1][2:]):
        if begin != end:
            raise CheckpointError(f"{path}: damaged: expected {name} to begin at byte {end}, got {begin}")
        end = after
    if end != len(data) - _PREFIX - length:
        raise CheckpointError(f"{path}: damaged: expected {end} bytes of numbers, got {len(data) - _PREFIX - length}")
    numbers = memoryview(data)[_PREFIX + length :]
    return {
        name: _array(path, name, dtype, shape, numbers[begin:after])
        for name, (dtype, shape, begin, after) in places.items()
    }


def _named(path: str | Path, tree: Any) -> dict[str, Any]:
    """The leaves by the name they have in the file, in the order of the tree."""
    leaves: dict[str, Any] = {}
    for place, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(place, simple=True, separator=".")
        if name in leaves or name == _METADATA:
            raise CheckpointError(f"{path}: expected a name of its own for each array, got {name!r} twice or reserved")
        leaves[name] = leaf
    return leaves


def _to_host(path: Path, name: str, leaf: Any) -> np.ndarray:
    dtype = getattr(getattr(leaf, "dtype", None), "name", type(leaf).__name__)
    if dtype not in _CODES:
        raise CheckpointError(f"{path}: expected {name} to be an array of numbers, got {dtype}")
    # An array whose bytes are in the other order is turned.
    return np.asarray(leaf).astype(_DTYPES[_CODES[dtype]], copy=False)


def _describe(leaf: Any) -> str:
    return "to be absent" if leaf is None else f"of shape {tuple(leaf.shape)} and dtype {leaf.dtype.name}"


def _read(path: Path, max_bytes: int) -> bytes:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise CheckpointError(f"{path}: expected at most max_bytes == {max_bytes}, got {size} bytes")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None


def _parse(path: str | Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a name occurs twice")
        return dict(pairs)

    try:
        header = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged: the header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: damaged: expected the header to be a JSON object, got {type(header).__name__}")
    return header


def _place(path: str | Path, name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """dtype, shape, first byte and the byte after the last, all found to agree."""
    sound = isinstance(entry, Mapping) and entry.keys() == {"dtype", "shape", "data_offsets"}
    sound = (
        sound and isinstance(entry["dtype"], str) and _are_sizes(entry["shape"]) and _are_sizes(entry["data_offsets"])
    )
    if not sound or len(entry["data_offsets"]) != 2:
        raise CheckpointError(f"{path}: damaged: the header's entry for {name!r} is not one of dtype, shape and place")
    code, shape, (begin, after) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if code not in _DTYPES:
        raise CheckpointError(f"{path}: expected {name} of a dtype among {sorted(_DTYPES)}, got {code[:20]!r}")
    n_bytes = math.prod(shape) * _DTYPES[code].itemsize
    if after - begin != n_bytes:
        raise CheckpointError(f"{path}: damaged: expected {n_bytes} bytes for {name}, got {after - begin}")
    return _DTYPES[code], shape, begin, after


def _are_sizes(value: Any) -> bool:
    # type() rather than isinstance(): true and false are JSON too, and no sizes.
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _array(
    path: str | Path, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], numbers: memoryview
) -> np.ndarray:
    if dtype == np.bool_ and max(numbers, default=0) > 1:
        raise CheckpointError(f"{path}: damaged: {name} of dtype bool holds other bytes than 0 and 1")
    try:
        return np.frombuffer(numbers, dtype).reshape(shape)
    except (ValueError, OverflowError):
        # No bytes at all, and yet sizes, or so many of them, that no array has.
        raise CheckpointError(f"{path}: damaged: {name} has a shape that no array has") from None
