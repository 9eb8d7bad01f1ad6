"""The public names: found without importing JAX, each where the type checker looks for it."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import fnn


def test_every_name_is_there_and_typed():
    tree = ast.parse(Path(fnn.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {alias.asname: node.module for node in block.body for alias in node.names}
    assert typed == fnn._HOME
    for name in fnn.__all__:
        assert getattr(fnn, name) is not None


def test_no_name_is_also_a_module():
    # Importing the module would put it in the place of the name.
    assert not set(fnn.__all__) & {module.name for module in pkgutil.iter_modules(fnn.__path__)}


def test_unknown_name():
    with pytest.raises(AttributeError, match=r"^module 'fnn' has no attribute 'densse'$"):
        _ = fnn.densse


def test_help_answers_without_jax():
    program = (
        "import sys; from fnn.cli import main; code = main(['train', '--help']);"
        "assert code == 0 and not {'jax', 'numpy', 'optax', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "--learning-rate" in done.stdout
