"""The IDX file format: a short header, then the numbers of one array, big-endian, the last axis fastest.

Byte 0 and 1 are zero, byte 2 names the dtype, byte 3 is the number of axes; then the length of each axis in four bytes.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", section on file formats.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Num

from fnn.errors import DataError

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The NumPy dtype for each dtype byte of the format."""

MAX_BYTES = 16 * 2**30
"""Larger arrays are refused: a header of a few bytes must not be able to fill the memory."""

_PIECE = 2**24
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str | Path) -> Num[np.ndarray, "*shape"]:
    """The array in an IDX file, gzipped or not.

    Args:
        path: the file. Whether it is gzipped is seen from its first bytes; one named ``.gz`` has to be.

    Returns:
        An array of the file's shape, in this machine's byte order.

    Raises:
        DataError: the file is missing, is not IDX, ends too early or goes on too long, or is damaged gzip.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "three"
        ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
        ...     read_idx(path).tolist()
        [7, 8, 9]
    """
    return parse_idx(read_bytes(path), str(path))


def read_bytes(path: str | Path) -> bytes:
    """The bytes of an IDX file, uncompressed if it is gzipped; of one that is too long, one byte too many and no more.

    Raises:
        DataError: the file is missing or unreadable, or damaged gzip, or announces more than :data:`MAX_BYTES`.

    Example:
        >>> read_bytes("no-such-file")
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: no-such-file: cannot be read: No such file or directory
    """
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            if not compressed and str(path).endswith(".gz"):
                raise DataError(f"{path}: expected gzip, as the name says, got a file that is not gzipped")
            if not compressed:
                return _read_announced(file, str(path))
            with gzip.open(file) as unpacked:
                return _read_announced(unpacked, str(path))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip: {str(error).rstrip('.')}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def parse_idx(data: bytes, where: str) -> Num[np.ndarray, "*shape"]:
    """The array that IDX bytes hold.

    Args:
        data: the whole file, uncompressed.
        where: what errors begin with, such as the file's name.

    Raises:
        DataError: the bytes are not IDX, or too few, or too many.

    Example:
        >>> parse_idx(bytes([0, 0, 9, 1, 0, 0, 0, 2, 255]), "labels")
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: labels: truncated: the header announces 2 bytes of shape (2,), the file has 1
    """
    dtype, shape, header = _parse_header(data, where)
    expected, present = math.prod(shape) * dtype.itemsize, len(data) - header
    announced = f"the header announces {expected} bytes of shape {shape}"
    if present < expected:
        raise DataError(f"{where}: truncated: {announced}, the file has {present}")
    if present > expected:
        raise DataError(f"{where}: over-long: {announced}, the file has more")
    return np.frombuffer(data, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="))


def _parse_header(data: bytes, where: str) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Dtype, shape, and how many bytes the header takes."""
    if len(data) < 4 or data[:2] != b"\x00\x00" or data[2] not in DTYPES or data[3] == 0:
        begin = data[:4].hex(" ") or "an empty file"
        raise DataError(f"{where}: not an IDX file: expected 00 00, a dtype and a number of axes, got {begin}")
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise DataError(
            f"{where}: truncated: the header of {data[3]} axes takes {header} bytes, the file has {len(data)}"
        )
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, header, 4))
    return np.dtype(DTYPES[data[2]]), shape, header


def _read_announced(file: BinaryIO | gzip.GzipFile, where: str) -> bytes:
    """Header, announced bytes, and at most one more: a small file that unpacks without end must not fill the memory."""
    data = bytearray(file.read(4))
    if len(data) == 4:
        data += file.read(4 * data[3])
    dtype, shape, header = _parse_header(bytes(data), where)
    expected = header + math.prod(shape) * dtype.itemsize
    if expected > MAX_BYTES:
        raise DataError(
            f"{where}: the header announces {expected} bytes of shape {shape}, at most {MAX_BYTES} are read"
        )
    # In pieces: read(n) would set n bytes aside before a single one is there.
    while len(data) <= expected and (piece := file.read(min(_PIECE, expected + 1 - len(data)))):
        data += piece
    return bytes(data)
