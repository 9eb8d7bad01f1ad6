"""Compiled programs, kept on disk from one run of Python to the next.

Compiling a training step takes a second or more; reading it back takes milliseconds. JAX can do this, but does not
unless it is told where; fnn tells it when the first model is made, so that the programs that make keys are kept too.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

SWITCH = "FNN_CACHE"
"""The environment variable that turns the cache off, by ``0``."""

MAX_BYTES = 512 * 2**20
"""What the folder may hold; beyond it the programs that were written longest ago go."""

_MARK = ".examined"  # its time of change is that of the last look through the folder


def cache_folder() -> Path:
    """Where compiled programs are kept: in ``$XDG_CACHE_HOME``, else where the platform keeps what can be made anew.

    Example:
        >>> cache_folder().parts[-2:]
        ('fnn', 'jax')
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        return given / "fnn" / "jax"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fnn" / "jax"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "fnn" / "jax"
    return Path.home() / ".cache" / "fnn" / "jax"


def use_cache() -> Path | None:
    """Lets JAX keep what it compiles from now on, however small; the second call in a process does nothing.

    What the user has decided stays: a folder set by ``JAX_COMPILATION_CACHE_DIR`` or ``jax.config``, or a cache turned
    off there. A folder that is set later takes the place of fnn's, with fnn's thresholds, by which every program is
    kept. ``FNN_CACHE=0`` in the environment turns this one off. A folder that cannot be written to is no error;
    there is no cache then.

    Returns:
        The folder, if this function has chosen it.

    Example:
        >>> import fnn.compilation
        >>> folder = fnn.compilation.use_cache()
        >>> folder in (None, cache_folder())
        True
    """
    config: Any = jax.config  # JAX leaves it without types
    is_off = os.environ.get(SWITCH) == "0" or not config.jax_enable_compilation_cache
    folder = None if is_off else _found_folder()
    chosen: str | None = config.jax_compilation_cache_dir
    if folder is None or chosen == str(folder):
        return folder
    if chosen is not None or not _is_usable(folder):
        return None
    tend(folder)
    config.update("jax_compilation_cache_dir", str(folder))
    # Initialisation consists of many small programs: together they cost as much as the training step.
    config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return folder


class _Unkept:
    """The threads that are within :func:`unkept`, and what the first of them found."""

    lock = threading.Lock()
    count = 0
    before = 0.0


@contextmanager
def unkept() -> Iterator[None]:
    """What is compiled within is not kept, in whatever folder: for programs that XLA cannot write down.

    The switch is JAX's, for all threads: what another thread compiles meanwhile is not kept either.

    Example:
        >>> with unkept():
        ...     print(jax.jit(lambda x: x + 1)(1))
        2
    """
    config: Any = jax.config
    switch = "jax_persistent_cache_min_compile_time_secs"
    with _Unkept.lock:
        if _Unkept.count == 0:
            _Unkept.before = getattr(config, switch)
            config.update(switch, math.inf)
        _Unkept.count += 1
    try:
        yield
    finally:
        with _Unkept.lock:
            _Unkept.count -= 1
            if _Unkept.count == 0:
                config.update(switch, _Unkept.before)


def tend(folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Removes what a killed process has left incomplete, and the oldest programs where there are too many.

    JAX would keep a damaged program, and warn of it in each run. Only what was written since the last look is examined.
    """
    mark = folder / _MARK
    try:
        since = mark.stat().st_mtime if mark.exists() else 0.0
        mark.touch()
        entries = sorted((path.stat().st_mtime, path) for path in folder.glob("*-cache"))
    except OSError:
        return  # another process is at it, or the folder has gone
    kept = 0
    for written, path in reversed(entries):
        try:
            kept += path.stat().st_size
            if kept > max_bytes or (written >= since - 1 and not _is_whole(path.read_bytes())):
                path.unlink()
        except OSError:
            continue


def _is_whole(content: bytes) -> bool:
    """Whether a program can be unpacked; one that is not packed in the way of zlib is taken for granted."""
    if content[:1] != b"\x78":
        return bool(content)
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(content)
    except zlib.error:
        return False
    return unpacking.eof


def _found_folder() -> Path | None:
    try:
        return cache_folder()
    except RuntimeError:  # there is no home
        return None


def _is_usable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)
