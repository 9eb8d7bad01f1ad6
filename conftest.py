"""For all tests and doctests: nothing is written to the home of who runs them.

What their environment says of fnn's cache (``FNN_CACHE``) or JAX's is heeded.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

_BEFORE = pytest.StashKey[str | None]()
_FOLDER = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """What is compiled is kept as long as the run lasts, and so is all else that a program keeps in such a place.

    Each of the processes that pytest-xdist starts has a folder of its own: JAX writes programs down without a lock, and
    a test would be warned of one that another process has not finished.
    """
    config.stash[_BEFORE] = os.environ.get("XDG_CACHE_HOME")
    if hasattr(config, "workerinput"):  # the environment is that of the process that started this one
        folder = Path(os.environ["XDG_CACHE_HOME"], os.environ["PYTEST_XDIST_WORKER"])
        folder.mkdir(exist_ok=True)
        os.environ["XDG_CACHE_HOME"] = str(folder)
    else:
        config.stash[_FOLDER] = os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="fnn-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The folder goes."""
    if _FOLDER not in config.stash:
        return
    shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)
    before = config.stash[_BEFORE]
    os.environ.pop("XDG_CACHE_HOME", None)
    if before is not None:
        os.environ["XDG_CACHE_HOME"] = before
