"""How trained parameters are kept on disk. The only file that knows.

A kept model is a folder: ``arrays/`` written by Orbax, ``description.json`` saying what the arrays are and whatever the
caller wants to know again, ``manifest.json`` with the SHA-256 of every other file. Orbax itself does not notice a bit
that has flipped on the disk; the manifest does. Nothing is ever unpickled; what is loaded must fit.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax

from fnn.errors import CheckpointError

_ARRAYS, _DESCRIPTION, _MANIFEST = "arrays", "description.json", "manifest.json"
_PREVIOUS, _SCRATCH = ".previous", ".part"
_FORMAT = 1
_ABANDONED_S = 3600  # nobody writes for so long: what is older was left by a process that was killed
_SPEC: Any = jax.ShapeDtypeStruct  # has no annotations of its own


def save(path: str | Path, tree: Any, about: Mapping[str, Any] | None = None) -> None:
    """Keeps a pytree of arrays in the folder ``path``, replacing what was kept there before.

    Whenever the process is killed, what :func:`load` finds afterwards is the old whole or the new whole.

    Args:
        path: the folder; its parents are made.
        tree: nested dicts of arrays, such as ``{"params": params, "state": state}``.
        about: what else to keep beside it; has to be JSON.

    Raises:
        CheckpointError: ``path`` exists and is not as this function leaves it, or cannot be written; ``tree`` is empty
            or has a leaf that is no array; ``about`` is not JSON.

    Example:
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/kept", {"w": np.ones(2, np.float32)}, {"seed": 1})
        ...     load(f"{folder}/kept", like={"w": np.zeros(2, np.float32)})["w"].tolist(), describe(f"{folder}/kept")
        ([1.0, 1.0], {'seed': 1})
    """
    path = Path(path).absolute()
    check_replaceable(path)
    leaves = _leaves(tree)
    if not leaves:
        raise CheckpointError(f"{path}: expected arrays to keep, got none")
    try:
        description = json.dumps({"format": _FORMAT, "arrays": leaves, "about": dict(about or {})}, indent=1)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: expected about to be JSON: {error}") from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path)
        with _scratch(path.parent, path) as scratch:
            fresh = Path(scratch) / "new"
            with _unlogged(), _checkpointer() as checkpointer:
                checkpointer.save(fresh / _ARRAYS, tree)
            (fresh / _DESCRIPTION).write_text(description)
            (fresh / _MANIFEST).write_text(json.dumps(_digests(fresh), indent=1))
            _swap(fresh, path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from None
    except (ValueError, RuntimeError) as error:  # what Orbax makes of a full disk, by its version
        raise CheckpointError(f"{path}: cannot be written: {_reason(error)}") from None


def load(path: str | Path, like: Any) -> Any:
    """The pytree that :func:`save` kept in ``path``.

    Args:
        path: the folder.
        like: a pytree of the same structure, shapes and dtypes: arrays or ``jax.ShapeDtypeStruct``.

    Returns:
        The arrays, on the default device, in the structure of ``like``.

    Raises:
        CheckpointError: the folder is missing, not complete or not as it was written, or holds another structure.

    Example:
        >>> load("no-such-folder", like={})
        Traceback (most recent call last):
            ...
        fnn.errors.CheckpointError: no-such-folder: no kept parameters there (no manifest.json)
    """
    _check_same(path, _read(path)["arrays"], _leaves(like))
    return _restore(path, like)


def load_part(path: str | Path, prefix: str, like: Any) -> dict[str, Any]:
    """Of a flat dict of arrays that :func:`save` kept, those whose names begin with ``prefix``, which is cut off.

    Args:
        path: the folder.
        prefix: what names begin with.
        like: a dict with these names, of arrays or ``jax.ShapeDtypeStruct``: what is expected.

    Raises:
        CheckpointError: the folder is missing, not complete or not as it was written, or holds something else.

    Example:
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/kept", {"layer.w": np.ones(2, np.float32), "steps": np.int32(3)})
        ...     load_part(f"{folder}/kept", "layer.", {"w": np.zeros(2, np.float32)})
        {'w': Array([1., 1.], dtype=float32)}
    """
    kept = {name[2:-2]: leaf for name, leaf in _read(path)["arrays"].items()}  # a dict's leaf is called ['name']
    found = {name.removeprefix(prefix): leaf for name, leaf in kept.items() if name.startswith(prefix)}
    _check_same(path, found, {name[2:-2]: leaf for name, leaf in _leaves(like).items()})
    whole = _restore(path, {name: _SPEC(leaf["shape"], leaf["dtype"]) for name, leaf in kept.items()})
    return {name: whole[prefix + name] for name in found}


def _check_same(path: str | Path, kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name in sorted({*kept, *wanted}):
        if kept.get(name) != wanted.get(name):
            expected, found = (_text(leaves.get(name)) for leaves in (wanted, kept))
            raise CheckpointError(f"{path}: belongs to another model: expected {name} {expected}, got {found}")


def _restore(path: str | Path, like: Any) -> Any:
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    target = jax.tree.map(lambda leaf: _SPEC(leaf.shape, leaf.dtype, sharding=device), like)
    try:
        with _unlogged(), _checkpointer() as checkpointer:
            return checkpointer.restore(Path(path).absolute() / _ARRAYS, target)
    except (OSError, ValueError, KeyError) as error:  # the digests were right: it was never a whole
        raise CheckpointError(f"{path}: cannot be restored: {_reason(error)}") from None


def describe(path: str | Path) -> dict[str, Any]:
    """What ``about`` was when :func:`save` wrote ``path``.

    Raises:
        CheckpointError: the folder is missing, not complete or not as it was written.

    Example:
        See :func:`save`.
    """
    about: dict[str, Any] = _read(path)["about"]
    return about


def check_replaceable(path: str | Path) -> None:
    """Refuses what :func:`save` would refuse: above all a folder with anything else in it, which would be destroyed.

    Raises:
        CheckpointError: there is something else at ``path``, or it lies where nothing can be written.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     check_replaceable(f"{folder}/not-there-yet")
    """
    path = Path(path)
    if path.exists():
        present = {file.name for file in path.iterdir()} if path.is_dir() else {path.name}
        if present and not {_DESCRIPTION, _MANIFEST} <= present:
            raise CheckpointError(f"{path}: exists and holds no kept parameters; it is not replaced")
        if others := sorted(present - {_ARRAYS, _DESCRIPTION, _MANIFEST}):
            raise CheckpointError(f"{path}: holds {others[0]} beside kept parameters; it is not replaced")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        _scratch(above, path).cleanup()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}: {above}") from None


def find_newest(folder: str | Path) -> Path:
    """The folder in ``folder`` that :func:`save` wrote last.

    Raises:
        CheckpointError: there is none.

    Example:
        >>> find_newest("no-such-folder")
        Traceback (most recent call last):
            ...
        fnn.errors.CheckpointError: no-such-folder: no kept parameters there
    """
    for previous in Path(folder).glob(_previous(Path("*")).name):
        _recover(previous.with_name(previous.name[1:].removesuffix(_PREVIOUS)))
    manifests = [m for m in Path(folder).glob(f"*/{_MANIFEST}") if not m.parent.name.startswith(".")]
    if not manifests:
        raise CheckpointError(f"{folder}: no kept parameters there")
    return max(manifests, key=lambda manifest: (manifest.stat().st_mtime_ns, manifest.parent.name)).parent


def _previous(path: Path) -> Path:
    """Where the old folder is while the new one takes its place."""
    return path.parent / f".{path.name}{_PREVIOUS}"


def _scratch(folder: Path, path: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=folder, prefix=f".{path.name}-", suffix=_SCRATCH)


def _swap(fresh: Path, path: Path) -> None:
    """Puts ``fresh`` where ``path`` is; whatever stops it half way, the old folder is put back, now or by the next."""
    aside = _previous(path)
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
    try:
        fresh.rename(path)
    except BaseException:
        _recover(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _recover(path: Path) -> None:
    """Puts the old folder back if a replacement was killed between taking it away and putting the new one there."""
    aside = _previous(path)
    with suppress(OSError):  # another process was quicker, or nothing may be written here
        if aside.is_dir() and not path.exists():
            aside.rename(path)


def _tidy(path: Path) -> None:
    """Removes what killed processes left beside ``path``."""
    _recover(path)
    for scratch in path.parent.glob(f".{glob.escape(path.name)}-*{_SCRATCH}"):
        with suppress(OSError):
            if time.time() - scratch.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(scratch)


def _read(path: str | Path) -> dict[str, Any]:
    """The description, after every file has been found to be what it was."""
    path = Path(path)
    _recover(path.absolute())
    if not (path / _MANIFEST).is_file():
        raise CheckpointError(f"{path}: no kept parameters there (no {_MANIFEST})")
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        present = _digests(path)
        if not isinstance(manifest, dict):
            raise CheckpointError(f"{path}: damaged: {_MANIFEST} is not what was written")
        for name in sorted({*manifest, *present}):
            if name not in present:
                raise CheckpointError(f"{path}: damaged: {name}, which its manifest names, is missing")
            if manifest.get(name) != present[name]:
                raise CheckpointError(f"{path}: damaged: {name} is not what was written (SHA-256 differs)")
        description = json.loads((path / _DESCRIPTION).read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: damaged: {_MANIFEST} is not what was written") from None
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: expected format {_FORMAT}, got another version's")
    return description


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for directory, _, names in os.walk(folder):
        for name in names:
            file = Path(directory) / name
            relative = file.relative_to(folder).as_posix()
            if relative != _MANIFEST:
                digests[relative] = hashlib.sha256(file.read_bytes()).hexdigest()
    return digests


def _leaves(tree: Any) -> dict[str, dict[str, Any]]:
    named = jax.tree_util.tree_leaves_with_path(tree)
    for path, leaf in named:
        if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
            where = jax.tree_util.keystr(path) or "the tree"
            raise CheckpointError(f"{where}: expected an array, got {type(leaf).__name__}")
    return {jax.tree_util.keystr(path): {"shape": list(leaf.shape), "dtype": str(leaf.dtype)} for path, leaf in named}


@contextmanager
def _unlogged() -> Iterator[None]:
    """Orbax logs each failure, trace and all, besides raising it."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _reason(error: Exception) -> str:
    """What the system said, if that is in the text, else the first line of it."""
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(number[1])) if number else next(iter(str(error).splitlines()), type(error).__name__)


def _text(leaf: Mapping[str, Any] | None) -> str:
    return "to be absent" if leaf is None else f"of shape {tuple(leaf['shape'])} and dtype {leaf['dtype']}"


def _checkpointer() -> Any:
    import orbax.checkpoint  # here, because it takes longer to load than small networks take to train

    return orbax.checkpoint.StandardCheckpointer()
