"""The examples of a file, for a trained network: images, rows of a table, arrays."""

from __future__ import annotations

import csv
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fnn.commands.kept import Trained, inputs_text
from fnn.data.batching import check_finite
from fnn.data.dataset import to_inputs
from fnn.data.idx import read_idx
from fnn.data.image_folder import SUFFIXES, ImageFolder
from fnn.errors import DataError, InputError
from fnn.types import Batch


def read_inputs(path: str, trained: Trained) -> Any:
    """What is in a file, or a folder of images, as the network has to see it.

    Args:
        path: by its name: .csv, with the columns the network was trained on; .npz, with an array ``x``; .png, .jpg or a
            folder of them; anything else is an IDX file.
        trained: the network.

    Raises:
        InputError: it is missing, damaged, or does not fit the network.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        x = _rows(path, trained.data["feature_names"])
    elif suffix == ".npz":
        x = to_inputs(_array(path), trained.data["scale"])
    elif suffix in SUFFIXES or Path(path).is_dir():
        x = _images(Path(path), trained.shape)
    else:
        raw = read_idx(path)
        if raw.ndim < 2 or not raw.size:
            raise DataError(f"{path}: expected at least one image, an array of shape (n, ...), got shape {raw.shape}")
        x = to_inputs(raw, trained.data["scale"])
    if x.shape[1:] != trained.shape:
        raise InputError(f"{trained.run}: expected {inputs_text(trained.shape)}, {path} has {x.shape[1:]}")
    check_finite(Batch(x), path)
    return x if trained.inputs is None else trained.inputs.apply(x)


def _rows(path: str, names: list[str]) -> np.ndarray:
    if not names:
        raise InputError(f"{path}: the network was not trained on a table with named columns")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=lambda d: len(next(csv.reader([first], delimiter=d), [])))
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            if missing := [name for name in names if name not in header]:
                raise DataError(f"{path}: no column {missing[0]!r}; the first line names {', '.join(header) or 'none'}")
            places = [header.index(name) for name in names]
            rows = [
                [_number(path, reader.line_num, name, row, place) for name, place in zip(names, places, strict=True)]
                for row in reader
                if row
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: damaged: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not rows:
        raise DataError(f"{path}: expected at least one line under the names of the columns, got none")
    with np.errstate(over="ignore"):  # what does not fit float32 becomes infinite, and is refused as such
        return np.array(rows).astype(np.float32)


def _number(path: str, line: int, column: str, row: list[str], place: int) -> float:
    cell = row[place] if place < len(row) else ""
    try:
        if "_" in cell:
            raise ValueError
        return float(cell)
    except ValueError:
        raise DataError(f"{path}, line {line}, column {column!r}: expected a number, got {cell[:60]!r}") from None


def _array(path: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if "x" not in archive:
                raise DataError(f"{path}: no array 'x'; there are: {', '.join(archive.files) or 'none'}")
            array: np.ndarray = archive["x"]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: no sound NumPy archive: {error}") from None
    if array.ndim < 2 or not array.size or array.dtype.kind not in "biuf":
        raise DataError(f"{path}: expected numbers of shape (n, ...) as 'x', got {array.dtype} of {array.shape}")
    return array


def _images(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise InputError(f"{path}: the network takes {inputs_text(shape)}, no images")
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
    if not files:
        raise DataError(f"{path}: no images there ({', '.join(SUFFIXES)})")
    size = (shape[0], shape[1], shape[2])
    folder = ImageFolder(tuple(files), np.zeros(len(files), np.int32), (), size, True, np.dtype(np.float32))
    x: np.ndarray = folder.take(np.arange(len(files))).x
    return x
