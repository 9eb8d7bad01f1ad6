"""CIFAR-10: small colour photographs in ten classes, in its binary format.

A file holds records of 3,073 bytes: the class, then the red, green and blue values, each 32 rows of 32.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from fnn.data.dataset import Dataset, make_dataset
from fnn.data.originals import cache_dir, download
from fnn.errors import DataError

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""In the order of their numbers."""

TRAIN_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
"""The files to learn from, in their order."""

TEST_FILE = "test_batch.bin"
"""The file to test with."""

IMAGES_PER_FILE = 10_000
"""In each of the files."""

ARCHIVE = "cifar-10-binary.tar.gz"
"""The file that has them all."""

SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
"""Digest of the archive as published."""

MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
"""Where the archive is fetched from, tried in this order."""

_FOLDER = "cifar-10-batches-bin"
_RECORD = 1 + 3 * 32 * 32
_MAX_DOWNLOAD = 256 * 2**20  # the archive takes 170 MB


def load_cifar10(path: str | Path | None = None) -> Dataset:
    """CIFAR-10: 50,000 images to learn from and 10,000 to test with, 32 x 32 pixels in colour, ten classes.

    As float32 the images take 740 MB.

    Args:
        path: a folder with the six ``.bin`` files, or with the folder ``cifar-10-batches-bin`` or the archive in it;
            or the archive ``cifar-10-binary.tar.gz`` itself, which is read where it is. ``None``: the archive in the
            folder ``fnn/cifar10`` of the user's cache, downloaded once. An archive is checked by SHA-256, files by
            their size and classes.

    Raises:
        DataError: a file is missing, is too short or too long, or has a class above 9; the archive is not the original,
            or cannot be downloaded.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009).

    Example:
        >>> load_cifar10("no-such-folder")
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: no-such-folder: expected data_batch_1.bin there or cifar-10-binary.tar.gz, got neither
    """
    place = _cached() if path is None else Path(path)
    if place.is_dir():
        place = next((p for p in (place, place / _FOLDER, place / ARCHIVE) if p.is_file() or _is_unpacked(p)), place)
    if place.is_file():
        contents = _read_archive(place)
    elif _is_unpacked(place):
        contents = {name: _read_file(place / name) for name in (*TRAIN_FILES, TEST_FILE)}
    else:
        raise DataError(f"{place}: expected {TRAIN_FILES[0]} there or {ARCHIVE}, got neither")
    parts = {name: _parse(data, f"{place}: {name}") for name, data in contents.items()}
    images, labels = zip(*(parts[name] for name in TRAIN_FILES), strict=True)
    data = make_dataset("cifar10", (np.concatenate(images), np.concatenate(labels)), parts[TEST_FILE], n_classes=10)
    return data._replace(class_names=CLASS_NAMES)


def _is_unpacked(folder: Path) -> bool:
    return (folder / TRAIN_FILES[0]).is_file()


def _parse(data: bytes, where: str) -> tuple[UInt8[np.ndarray, "n 32 32 3"], UInt8[np.ndarray, " n"]]:
    expected = IMAGES_PER_FILE * _RECORD
    if len(data) != expected:
        got = f"{len(data)}" if len(data) < expected else "more"
        raise DataError(f"{where}: expected {expected} bytes, {IMAGES_PER_FILE} images of {_RECORD}, got {got}")
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    labels = records[:, 0]
    outside = np.flatnonzero(labels > 9)
    if outside.size:
        number = outside[0]
        raise DataError(f"{where}: expected classes from 0 to 9, got {labels[number]} (image {number})")
    return np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _read_file(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(IMAGES_PER_FILE * _RECORD + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _read_archive(path: Path) -> dict[str, bytes]:
    """The six files; nothing is unpacked to disk, and the names of other members do not matter."""
    names = {f"{_FOLDER}/{name}": name for name in (*TRAIN_FILES, TEST_FILE)}
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != SHA256:
                raise DataError(f"{path}: not the original: expected SHA-256 {SHA256}, got {digest}")
            file.seek(0)
            contents = {}
            with tarfile.open(fileobj=file, mode="r:gz") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.name in names and member.isreg() else None
                    if content is not None:
                        contents[names[member.name]] = content.read(IMAGES_PER_FILE * _RECORD + 1)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged archive: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    for member_name, name in names.items():
        if name not in contents:
            raise DataError(f"{path}: no {member_name} in it")
    return contents


def _cached() -> Path:
    target = cache_dir("cifar10") / ARCHIVE
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        # Read before it gets its name, so that an interrupted or wrong download never stays in the cache.
        fresh = Path(folder) / target.name
        fresh.write_bytes(download("cifar10", MIRRORS, ARCHIVE, _MAX_DOWNLOAD))
        _read_archive(fresh)
        fresh.replace(target)
    return target
