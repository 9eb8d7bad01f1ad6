"""The cache of compiled programs, each time in a process of its own."""

import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from fnn.compilation import cache_folder, tend, unkept

_TRAINING = """
import sys, warnings
warnings.simplefilter("error", DeprecationWarning)
import jax, fnn
from fnn.compilation import use_cache
print("jax_compilation_cache_dir", jax.config.jax_compilation_cache_dir)
assert use_cache() == use_cache()
print(use_cache(), jax.config.jax_compilation_cache_dir)
print(float(jax.jit(lambda x: (x @ x).sum())(jax.numpy.ones((3, 3)))))
"""


_MODEL_FIRST = """
import jax, fnn
model = fnn.dense(1)
key = jax.random.key(0)
jax.block_until_ready(key)
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[list[str], str]]:
    def run(program: str = _TRAINING, **environment: str) -> tuple[list[str], str]:
        clean = {name: value for name, value in os.environ.items() if name not in ("FNN_CACHE", "XDG_CACHE_HOME")}
        clean |= {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)} | environment
        done = subprocess.run(
            [sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.splitlines(), done.stderr

    return run


def programs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*-cache")}


def test_programs_are_kept_read_back_and_mended(run, tmp_path):
    folder = tmp_path / "fnn" / "jax"
    lines, errors = run()
    assert lines == ["jax_compilation_cache_dir None", f"{folder} {folder}", "27.0"]
    assert errors == ""
    first = programs(folder)
    assert any("lambda" in name for name in first)
    lines, errors = run()
    assert (lines[-1], errors, programs(folder)) == ("27.0", "", first)
    for name, content in first.items():
        (folder / name).write_bytes(content[: len(content) // 2])
    lines, errors = run()
    assert (lines[-1], errors) == ("27.0", "")
    assert all(len(content) > len(first[name]) // 2 for name, content in programs(folder).items())


@pytest.mark.parametrize(
    "environment", [{"FNN_CACHE": "0"}, {"JAX_ENABLE_COMPILATION_CACHE": "false"}], ids=["by fnn", "by JAX"]
)
def test_cache_is_turned_off(run, tmp_path, environment):
    lines, _ = run(**environment)
    assert lines[1:] == ["None None", "27.0"]
    assert not list(tmp_path.iterdir())


def test_a_key_made_after_the_model_is_kept(run, tmp_path):
    run(_MODEL_FIRST)
    assert any("threefry" in name for name in programs(tmp_path / "fnn" / "jax"))


def test_threads_that_keep_nothing():
    """The last one out restores what the first one in has found, in whatever order they come and go."""
    name = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, name)
    inside, leave = [threading.Event() for _ in range(2)], [threading.Event() for _ in range(2)]

    def stay(number):
        with unkept():
            inside[number].set()
            assert leave[number].wait(10)

    threads = [threading.Thread(target=stay, args=(number,)) for number in range(2)]
    for number, thread in enumerate(threads):
        thread.start()
        assert inside[number].wait(10)
    assert getattr(jax.config, name) == math.inf
    leave[0].set()
    threads[0].join()
    assert getattr(jax.config, name) == math.inf
    leave[1].set()
    threads[1].join()
    assert getattr(jax.config, name) == before


def test_folder_of_the_user_stays(run, tmp_path):
    lines, _ = run(JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own"))
    assert lines[1] == f"None {tmp_path / 'own'}"
    assert not (tmp_path / "fnn").exists()


def test_unusable_folder_is_done_without(run, tmp_path):
    (tmp_path / "fnn").write_text("a file where a folder would be")
    lines, errors = run()
    assert lines[1:] == ["None None", "27.0"]
    assert errors == ""


def test_old_programs_go(tmp_path):
    for age, name in enumerate("abc"):
        path = tmp_path / f"{name}-cache"
        path.write_bytes(bytes([1]) * 100)
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "else").write_bytes(bytes(1000))
    tend(tmp_path, max_bytes=250)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".examined", "a-cache", "b-cache", "else"]
    tend(tmp_path / "gone")


def test_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "fnn" / "jax"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the standard says to ignore
    assert cache_folder().is_absolute()
