"""Data sets in four IDX files that everybody uses in the same bytes: fetched once, and compared with the originals."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Num

from fnn.data.dataset import Dataset, make_dataset
from fnn.data.idx import parse_idx, read_bytes
from fnn.data.idx_folder import FILES, find
from fnn.errors import DataError

_TIMEOUT_S = 30
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Original:
    """What is known of a published data set.

    Attributes:
        name: what a person calls it; also its folder in the cache.
        mirrors: where its four gzipped files are fetched from, tried in this order.
        sha256: digests of the uncompressed files, for the parts of :data:`FILES` where they are known.
        sha256_gz: digests of the files as published, gzipped, for the others.
        shapes: the shapes of the arrays whose uncompressed digests are not known.
        class_names: what the classes are called.
    """

    name: str
    mirrors: tuple[str, ...]
    sha256: Mapping[str, str]
    sha256_gz: Mapping[str, str] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()


def load_original(original: Original, data_dir: str | Path | None, max_download: int = 64 * 2**20) -> Dataset:
    """The data set from a folder, or downloaded once to the user's cache; ten classes.

    Args:
        original: which.
        data_dir: a folder with the four files, gzipped or not; ``None``: the cache.
        max_download: bytes; longer files are refused.

    Raises:
        DataError: a file is missing or is not the original, or no mirror answers.

    Example:
        >>> load_original(Original("none", (), {}), "no-such-folder")
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: no-such-folder: no file train-images-idx3-ubyte, with or without .gz
    """
    if data_dir is not None:
        files = {part: find(data_dir, part) for part in FILES}
    else:
        files = {part: _cached(original, part, max_download) for part in FILES}
    arrays = {part: _checked(original, path, part) for part, path in files.items()}
    train = arrays["train_images"], arrays["train_labels"]
    data = make_dataset(original.name, train, (arrays["test_images"], arrays["test_labels"]), n_classes=10)
    return data._replace(class_names=original.class_names)


def cache_dir(name: str) -> Path:
    """Where downloaded files of a data set are kept: in ``$XDG_CACHE_HOME``, else ``~/.cache``.

    Example:
        >>> cache_dir("mnist").parts[-2:]
        ('fnn', 'mnist')
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fnn" / name


def download(name: str, mirrors: tuple[str, ...], file_name: str, max_bytes: int) -> bytes:
    """A file from the first mirror that answers.

    Raises:
        DataError: none does, or what it sends is longer than ``max_bytes``.

    Example:
        >>> download("mnist", (), "train-images-idx3-ubyte.gz", 1)
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: mnist: train-images-idx3-ubyte.gz could not be downloaded, name a folder that has it
    """
    problems = []
    for mirror in mirrors:
        try:
            with urllib.request.urlopen(mirror + file_name, timeout=_TIMEOUT_S) as response:
                data: bytes = response.read(max_bytes + 1)
        except (urllib.error.URLError, OSError) as error:
            problems.append(f"{mirror}: {getattr(error, 'reason', error)}")
            continue
        if len(data) <= max_bytes:
            return data
        problems.append(f"{mirror}: more than {max_bytes} bytes")
    raise DataError("; ".join([f"{name}: {file_name} could not be downloaded, name a folder that has it", *problems]))


def check_digest(path: Path, data: bytes, expected: str, what: str) -> None:
    """Refuses bytes that are not the published ones.

    Raises:
        DataError: the SHA-256 differs.

    Example:
        >>> check_digest(Path("file"), b"", hashlib.sha256(b"").hexdigest(), "uncompressed")
    """
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        raise DataError(f"{path}: not the original: expected SHA-256 {expected} {what}, got {digest}")


def _checked(original: Original, path: Path, part: str) -> Num[np.ndarray, "*shape"]:
    data = read_bytes(path)
    # First what the format says: "truncated" tells more than a digest that differs.
    array = parse_idx(data, str(path))
    if part in original.sha256:
        check_digest(path, data, original.sha256[part], "uncompressed")
        return array
    packed = path.read_bytes()
    if packed.startswith(_GZIP_MAGIC):
        check_digest(path, packed, original.sha256_gz[part], "gzipped, as published")
    elif array.shape != original.shapes[part] or array.dtype != np.uint8:
        expected = f"bytes of shape {original.shapes[part]}"
        raise DataError(f"{path}: not the original: expected {expected}, got {array.dtype} of shape {array.shape}")
    return array


def _cached(original: Original, part: str, max_download: int) -> Path:
    target = cache_dir(original.name) / (FILES[part] + ".gz")
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        # Checked before it gets its name, so that an interrupted or wrong download never stays in the cache.
        fresh = Path(folder) / target.name
        fresh.write_bytes(download(original.name, original.mirrors, target.name, max_download))
        _checked(original, fresh, part)
        fresh.replace(target)
    return target
