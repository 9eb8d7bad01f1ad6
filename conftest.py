"""For all tests and doctests: nothing is written to the home of who runs them, and compiled programs are shared."""

import os
import shutil
import tempfile

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Compiled programs are kept in a folder that lasts as long as the run, for all of its processes."""
    if not hasattr(config, "workerinput"):  # the processes that pytest-xdist starts take over the environment
        config.stash[_FOLDER] = os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="fnn-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The folder goes."""
    if _FOLDER in config.stash:
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


_FOLDER = pytest.StashKey[str]()
