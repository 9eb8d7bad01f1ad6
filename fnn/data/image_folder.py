"""Image files, one folder per class: read when they are needed, or all at once.

Needs Pillow: ``pip install 'fnn[images]'``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from fnn.data.dataset import Dataset
from fnn.data.splitting import split
from fnn.errors import DataError, expect
from fnn.types import Batch

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Files with other names are passed over."""

_FORMATS = ("PNG", "JPEG")
_GREY, _COLOUR = ("1", "L"), ("LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """Image files as a :class:`fnn.Source`: an image is decoded when it is asked for. See :func:`image_folder`.

    Attributes:
        files: the images, in the order of their classes and then of their names.
        labels: the class of each, int32.
        class_names: the names of the folders, in the order of the alphabet.
        image_shape: height, width and channels of every image that is given.
        resized: whether files of other sizes are brought to this one.
        dtype: ``float32``: pixels from 0 to 1; ``uint8``: pixels from 0 to 255.
    """

    files: tuple[Path, ...]
    labels: Int[np.ndarray, " n"]
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    resized: bool
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.files)

    def take(self, rows: Int[np.ndarray, " n"], /) -> Batch:
        """The images with these numbers, (n, height, width, channels), and their classes, int32 (n,).

        Raises:
            DataError: a file is damaged, or no longer there, or no longer of its size.
        """
        pillow = _pillow()
        images = np.empty((len(rows), *self.image_shape), np.uint8)

        def decode(place: int) -> None:
            images[place] = self._decode(pillow, self.files[rows[place]])

        with ThreadPoolExecutor(_THREADS) as pool:  # Pillow lets other threads run while it decodes
            for _ in pool.map(decode, range(len(rows))):
                pass
        x = images if self.dtype == np.uint8 else images.astype(np.float32) / np.float32(255)
        return Batch(x, self.labels[rows])

    def _decode(self, pillow: ModuleType, file: Path) -> np.ndarray:
        height, width, channels = self.image_shape
        with _complaints(pillow, file), pillow.open(file, formats=_FORMATS) as image:
            # Pillow warns of a palette with transparency unless transparency is kept at first.
            whole = image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image
            pixels = whole.convert("L" if channels == 1 else "RGB")
        if self.resized:
            pixels = pixels.resize((width, height), pillow.Resampling.BILINEAR)
        if pixels.size != (width, height):
            got = f"{pixels.height} x {pixels.width}"
            raise DataError(f"{file}: expected {height} x {width} pixels as when the folder was listed, got {got}")
        return np.asarray(pixels, np.uint8).reshape(self.image_shape)


def image_folder(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    dtype: Any = np.float32,
) -> ImageFolder:
    """Lists the PNG and JPEG files of a folder that has one sub-folder per class. Nothing is decoded yet.

    Args:
        path: the folder. Hidden folders and files of other kinds are passed over, as are folders within the classes.
        size: height and width that images are brought to; ``None``: they have one size.
        channels: 1 for grey, 3 for colour; ``None``: 1 if all files are grey. Transparency is dropped.
        dtype: ``float32`` for pixels from 0 to 1, or ``uint8`` for bytes, a quarter of the size.

    Raises:
        DataError: Pillow is missing; the folder is, or has no classes; a class has no images; a file is no image, or
            has more than 8 bits per channel, or more pixels than Pillow takes for safe; sizes differ.
        InputError: ``size``, ``channels`` or ``dtype`` is out of range.

    Example:
        >>> image_folder("no-such-folder")
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: no-such-folder: cannot be read: No such file or directory
    """
    expect(size is None or (len(size) == 2 and min(size) >= 1), "image_folder", "a positive size", f"size == {size}")
    expect(channels in (None, 1, 3), "image_folder", "channels 1, 3 or None", f"channels == {channels}")
    expect(np.dtype(dtype) in (np.float32, np.uint8), "image_folder", "dtype float32 or uint8", f"{np.dtype(dtype)}")
    classes = _classes(Path(path))
    files = tuple(file for images in classes.values() for file in images)
    sizes, modes = _headers(files)
    if size is None:
        size = sizes[0]
        for file, other in zip(files, sizes, strict=True):
            if other != size:
                raise DataError(
                    f"{file}: expected {size[0]} x {size[1]} pixels like {files[0]}, got {other[0]} x {other[1]}; "
                    "a size brings all to one"
                )
    if channels is None:
        channels = 1 if all(mode in _GREY for mode in modes) else 3
    return ImageFolder(
        files,
        np.repeat(np.arange(len(classes), dtype=np.int32), [len(images) for images in classes.values()]),
        tuple(classes),
        (*size, channels),
        any(other != size for other in sizes),
        np.dtype(dtype),
    )


def load_image_folder(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    held_out: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """All images of a folder as a data set in memory; :func:`image_folder` is for what does not fit there.

    Args:
        path: a folder with a sub-folder for each class; or with two, ``train`` and ``test``, that have them.
        size: as for :func:`image_folder`.
        channels: as there.
        held_out: the share held out to test with, of each class alike, if there is no ``test``.
        seed: decides which.

    Raises:
        DataError: as for :func:`image_folder`; a file is damaged; ``train`` and ``test`` have other classes or sizes.
        InputError: an argument is out of range.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for kind, grey in (("dark", 10), ("light", 200)):
        ...         (Path(folder) / kind).mkdir()
        ...         for i in range(5):
        ...             Image.new("L", (8, 6), grey + i).save(Path(folder) / kind / f"{i}.png")
        ...     data = load_image_folder(folder)
        >>> data.train.x.shape, data.test.y.tolist(), data.class_names
        ((8, 6, 8, 1), [0, 1], ('dark', 'light'))
    """
    folder = Path(path)
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        train = image_folder(folder / "train", size=size, channels=channels)
        test = image_folder(folder / "test", size=size or train.image_shape[:2], channels=train.image_shape[2])
        if train.class_names != test.class_names:
            differing = sorted(set(train.class_names) ^ set(test.class_names))
            raise DataError(f"{folder}: expected the same classes in train and test, got {differing[0]!r} in one only")
        if size is None and test.resized:
            height, width = train.image_shape[:2]
            raise DataError(f"{folder}: expected test images of {height} x {width} pixels as in training, got others")
        parts = train.take(np.arange(len(train))), test.take(np.arange(len(test)))
        names = train.class_names
    else:
        whole = image_folder(folder, size=size, channels=channels)
        names = whole.class_names
        kept, held = split(whole, held_out, jax.random.key(seed), stratify=True)
        parts = kept.take(np.arange(len(kept))), held.take(np.arange(len(held)))
    return Dataset(folder.resolve().name, *parts, n_classes=len(names), scale=255.0, class_names=names)


def _classes(folder: Path) -> dict[str, list[Path]]:
    try:
        folders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        classes = {
            entry.name: sorted(f for f in entry.iterdir() if f.suffix.lower() in SUFFIXES and f.name[0] != ".")
            for entry in folders
        }
    except OSError as error:
        raise DataError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from None
    if len(classes) < 2:
        got = f"only {next(iter(classes))!r}" if classes else "none"
        raise DataError(f"{folder}: expected at least two sub-folders, one per class, got {got}")
    for name, files in classes.items():
        if not files:
            raise DataError(f"{folder / name}: expected at least one image ({', '.join(SUFFIXES)}), got none")
    return classes


def _headers(files: tuple[Path, ...]) -> tuple[list[tuple[int, int]], list[str]]:
    """Height and width, and the colours, of each file."""
    pillow = _pillow()
    sizes, modes = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("error", pillow.DecompressionBombWarning)
        for file in files:
            with _complaints(pillow, file), pillow.open(file, formats=_FORMATS) as image:
                sizes.append((image.height, image.width))
                modes.append(image.mode)
            if modes[-1] not in (*_GREY, *_COLOUR):
                raise DataError(f"{file}: expected 8 bits per channel, got an image of mode {modes[-1]!r}")
    return sizes, modes


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError:
        raise DataError("image folders need Pillow: pip install 'fnn[images]'") from None
    module: ModuleType = Image
    return module


@contextmanager
def _complaints(pillow: ModuleType, file: Path) -> Iterator[None]:
    """What Pillow has against a file, as an error that names it."""
    try:
        yield
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning):
        raise DataError(f"{file}: more pixels than the limit of Pillow, {pillow.MAX_IMAGE_PIXELS}") from None
    except pillow.UnidentifiedImageError:
        raise DataError(f"{file}: expected a PNG or JPEG image, got something else") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{file}: damaged or unreadable: {reason}") from None
