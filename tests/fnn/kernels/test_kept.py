"""Machine code on disk: found again, made anew where it is damaged, and done without where there is no folder."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from fnn.compilation import tend
from fnn.kernels import kept, vectors

SCRIPT = """
import jax, jax.numpy as jnp, numpy as np
import fnn
from fnn.kernels import machine

made = []
compiled = machine.compiled
machine.compiled = lambda *given: made.append(1) or compiled(*given)
x = np.linspace(-1, 1, 8 * 81, dtype=np.float32).reshape(8, 9, 9, 1)
model = fnn.serial(fnn.conv(8), fnn.flatten(), fnn.dense(2))
params, state = model.init(jax.random.key(0), x[:1])
objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
(loss, _), grads = fnn.loss_and_grad(objective)(params, state, (x, np.arange(8) % 2), jax.random.key(1))
print(len(made), float(loss), float(sum(leaf.sum() for leaf in jax.tree.leaves(grads))))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    config = jax.config
    before = config.jax_compilation_cache_dir
    config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path
    config.update("jax_compilation_cache_dir", before)


def test_what_is_written_is_read(folder):
    name = kept.name_of("kernel", 3)
    assert kept.read(name) is None
    kept.write(name, b"code")
    assert kept.read(name) == b"code"
    assert [path.name for path in folder.iterdir()] == [f"{name}-cache"]
    assert name != kept.name_of("kernel", 4)


@pytest.mark.parametrize("damaged", [b"", b"x", b"\0" * 32, b"\0" * 40])
def test_what_is_damaged_is_not_read(folder, damaged):
    name = kept.name_of("kernel")
    (folder / f"{name}-cache").write_bytes(damaged)
    assert kept.read(name) is None
    kept.write(name, b"code")
    content = (folder / f"{name}-cache").read_bytes()
    for cut in (content[:-1], content + b"x", content[:10]):
        (folder / f"{name}-cache").write_bytes(cut)
        assert kept.read(name) is None


def test_a_look_through_the_folder_leaves_it(folder):
    """The digest of what is kept may be any bytes, those of a packed program among them."""
    names = [kept.name_of("kernel", number) for number in range(300)]
    for name in names:
        kept.write(name, name.encode())
    tend(folder)
    assert all(kept.read(name) == name.encode() for name in names)


def test_a_folder_that_cannot_be_written_to(folder):
    (folder / "name-cache").mkdir()
    kept.write("name", b"code")
    assert kept.read("name") is None
    assert [path.name for path in folder.iterdir()] == ["name-cache"]


def test_without_a_folder(folder):
    for where in (None, str(folder / "nowhere")):
        jax.config.update("jax_compilation_cache_dir", where)
        kept.write("name", b"code")
        assert kept.read("name") is None


@pytest.mark.skipif(vectors() is None, reason="no machine code for this processor")
def test_the_second_process_makes_none(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    environment.pop("FNN_CACHE", None)
    results = []
    for turn in range(3):
        if turn == 2:
            for path in tmp_path.rglob("fnn_*-cache"):
                path.write_bytes(path.read_bytes()[:-7])
        command = [sys.executable, "-c", SCRIPT]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == 0, run.stderr[-2000:]
        results.append(run.stdout.split())
    (first, second, third) = results
    assert int(first[0]) == int(third[0]) > int(second[0]) == 0
    assert first[1:] == second[1:] == third[1:]
