"""Machine code kept on disk, in the folder in which JAX keeps compiled programs, if it does.

To write and to compile a kernel takes some 60 ms, to read it 1 ms. A file is a mark, the digest of the code, the code.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax

_MARK = b"fnn\n"  # not the beginning of a packed program, which fnn.compilation would examine


def name_of(*facts: Any) -> str:
    """A name for code that is made of these facts by this version of the package.

    Example:
        >>> name_of("a", 1) == name_of("a", 1) != name_of("a", 2)
        True
    """
    return f"fnn_{sha256(repr((_VERSION, *facts)).encode()).hexdigest()[:32]}"


def _version() -> str:
    """That of what writes the code: its own text."""
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_VERSION = _version()  # now, as the text may be another when code is written


def read(name: str) -> bytes | None:
    """The code; ``None`` if it is not there, or not as it was written."""
    path = _path(name)
    try:
        content = b"" if path is None else path.read_bytes()
    except OSError:
        return None
    start = len(_MARK) + sha256().digest_size
    return content[start:] if content == _packed(content[start:]) else None


def write(name: str, code: bytes) -> None:
    """Keeps it, if it can be kept: a folder that is full or may not be written to is no error."""
    path = _path(name)
    if path is None:
        return
    file = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{name}-", suffix="-cache", delete=False) as file:
            file.write(_packed(code))
        os.replace(file.name, path)
    except OSError:
        if file is not None:
            Path(file.name).unlink(missing_ok=True)


def _packed(code: bytes) -> bytes:
    return _MARK + sha256(code).digest() + code


def _path(name: str) -> Path | None:
    config: Any = jax.config  # JAX leaves it without types
    folder = config.jax_compilation_cache_dir if config.jax_enable_compilation_cache else None
    # What ends like this, fnn.compilation clears away when there is too much of it.
    return Path(folder) / f"{name}-cache" if folder and Path(folder).is_dir() else None
