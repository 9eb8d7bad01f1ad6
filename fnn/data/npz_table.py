"""NumPy archives (.npz) as a data set. Only arrays of numbers and text are read; nothing is ever unpickled."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fnn.data.dataset import Dataset
from fnn.data.idx import MAX_BYTES
from fnn.data.tables import check_task, make_table
from fnn.errors import DataError


def load_npz(
    path: str | Path,
    *,
    x: str | None = None,
    y: str | None = None,
    x_test: str | None = None,
    y_test: str | None = None,
    task: str | None = None,
    held_out: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """A data set from the arrays of a NumPy archive, as ``np.savez`` writes it.

    Args:
        path: the file.
        x: the name of the array of inputs, (n, ...); ``None``: ``x_train`` if there is one, else ``x``.
        y: of the targets, (n,): classes, whole numbers from 0 or text; or for regression numbers (n,) or (n, k).
            ``None``: ``y_train`` if there is one, else ``y``.
        x_test: inputs to test with; ``None``: ``x_test`` if there is one, else examples are held out.
        y_test: their targets; ``None``: ``y_test`` if there is one.
        task: ``"single-label"`` or ``"regression"``; ``None``: regression if the targets are floating-point.
        held_out: the share held out, of each class alike, if there are no arrays to test with.
        seed: decides which.

    Returns:
        Inputs as they are, bytes divided by 255.

    Raises:
        DataError: the file is missing, damaged or no archive; an array is missing, of Python objects, or larger than
            :data:`fnn.data.idx.MAX_BYTES`; inputs and targets do not fit each other.
        InputError: an argument is out of range.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "table.npz"
        ...     np.savez(path, x=np.zeros((10, 3)), y=np.arange(10) % 2)
        ...     data = load_npz(path)
        >>> data.train.x.shape, data.test.x.shape, data.n_classes
        ((8, 3), (2, 3), 2)
    """
    if task is not None:
        check_task("load_npz", task)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            x = x or ("x_train" if "x_train" in names else "x")
            y = y or ("y_train" if "y_train" in names else "y")
            x_test = x_test or ("x_test" if "x_test" in names else None)
            y_test = y_test or ("y_test" if "y_test" in names else None)
            if (x_test is None) != (y_test is None):
                raise DataError(f"{path}: expected inputs and targets to test with, got only {x_test or y_test}")
            train = _read(archive, str(path), x), _read(archive, str(path), y)
            test = None
            if x_test is not None and y_test is not None:
                test = _read(archive, str(path), x_test), _read(archive, str(path), y_test)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: no sound NumPy archive: {error or 'it ends too early'}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except RuntimeError as error:  # what zipfile says of encryption and of methods that it has not
        raise DataError(f"{path}: cannot be unpacked: {error}") from None
    if task is None:
        task = "regression" if np.issubdtype(train[1].dtype, np.floating) else "single-label"
    class_names: list[str] = []
    if task == "single-label":
        train, test, class_names = _number_classes(str(path), train, test)
    scale = 255.0 if train[0].dtype == np.uint8 else 1.0
    return make_table(
        Path(path).stem,
        train,
        test,
        task=task,
        held_out=held_out,
        seed=seed,
        class_names=class_names,
        scale=scale,
    )


def _read(archive: zipfile.ZipFile, path: str, name: str) -> np.ndarray:
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        names = ", ".join(entry.removesuffix(".npy") for entry in archive.namelist()) or "none"
        raise DataError(f"{path}: no array {name!r}; there are: {names}") from None
    where = f"{path}, array {name!r}"
    with archive.open(info) as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header: Any = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if read_header is None:
                raise ValueError(f"format version {version}")
            shape, _, dtype = read_header(file)
        except ValueError as error:
            raise DataError(f"{where}: no sound NumPy array: {error}") from None
        if dtype.kind not in "biufU":
            raise DataError(f"{where}: expected numbers or text, got {dtype}; nothing else is loaded")
        # Checked before anything of this size is set aside: a few bytes must not be able to fill the memory.
        announced, present = math.prod(shape) * dtype.itemsize, info.file_size - file.tell()
        if announced > MAX_BYTES:
            raise DataError(f"{where}: it announces {announced} bytes of shape {shape}, at most {MAX_BYTES} are read")
        if announced != present:
            raise DataError(
                f"{where}: damaged: the header announces {announced} bytes of shape {shape}, there are {present}"
            )
    with archive.open(info) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _number_classes(
    path: str, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray] | None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray] | None, list[str]]:
    """Integers are the numbers of classes; text is numbered in the order of the alphabet."""
    parts = [part for part in (train, test) if part is not None]
    labels = [y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y for _, y in parts]
    names: list[str] = []
    if all(y.dtype.kind == "U" for y in labels):
        known = np.unique(labels[0])
        strangers = np.setdiff1d(labels[-1], known)
        if strangers.size:
            raise DataError(f"{path}: expected one of the classes of the training data, got {str(strangers[0])!r}")
        labels, names = [np.searchsorted(known, y) for y in labels], known.tolist()
    for y in labels:
        if y.ndim != 1 or y.dtype.kind not in "biu":
            raise DataError(f"{path}: expected one whole number or word per example as class, got {y.dtype} {y.shape}")
        if y.dtype.kind != "b" and y.size and int(y.min()) < 0:
            raise DataError(f"{path}: expected classes from 0, got {y.min()}")
    fresh = [(x, y.astype(np.int64)) for (x, _), y in zip(parts, labels, strict=True)]
    return fresh[0], fresh[1] if test is not None else None, names
