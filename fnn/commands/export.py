"""``fnn export``: a trained network as one file that runs without this library."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from fnn import recipes
from fnn.commands.kept import Trained, load_trained
from fnn.errors import InputError
from fnn.exporting import export as export_program
from fnn.progress import print_json
from fnn.types import Model, Params, State, spec
from fnn.weights import save_weights

_STABLEHLO, _SAFETENSORS = ".stablehlo", ".safetensors"


def export(options: Namespace) -> None:
    """Writes the network of a run: by the file's suffix the program as StableHLO, or the parameters as safetensors.

    The program takes inputs as their source has them, such as pixels from 0 to 255, and gives one score per class, or
    numbers in the units of the source. The folder of the file is made, and told of if it is new.

    Raises:
        InputError: the run is missing or damaged, the suffix is another, or the file cannot be written.
    """
    if options.file is not None:
        _check_file(options.file)  # before the work, not after it
    trained = load_trained(options)
    file = f"{trained.run.absolute().name}{_STABLEHLO}" if options.file is None else options.file
    path = _check_file(file)
    folder = "" if path.parent.exists() else f" in the new folder {path.parent}"
    if path.suffix == _SAFETENSORS:
        save_weights(path, {"params": trained.params, "state": trained.state})
    else:
        x = spec(np.broadcast_to(np.float32(0), (1, *trained.shape)))
        export_program(path, _from_source(trained), trained.params, trained.state, x)
    n_bytes = path.stat().st_size
    if options.json:
        print_json({"command": "export", "run": str(trained.run), "file": str(path), "bytes": n_bytes})
        return
    shape = " x ".join(str(size) for size in ("n", *trained.shape))
    takes = f"; it takes float32 {shape}, as their source has them" if path.suffix == _STABLEHLO else ""
    print(f"{trained.run} as {path} ({n_bytes:,} bytes){folder}{takes}")


def _check_file(name: str) -> Path:
    if not name:
        raise InputError("--file: expected the name of a file, got ''")
    path = Path(name)
    if path.is_dir() or name.endswith(("/", os.sep)):
        raise InputError(f"{name}: expected a file, got a folder")
    if path.suffix not in (_STABLEHLO, _SAFETENSORS):
        raise InputError(f"{path}: expected a file named .stablehlo or .safetensors, got {path.suffix or 'no suffix'}")
    return path


def _from_source(trained: Trained) -> Model:
    """The network, taking what :mod:`fnn.loading` takes and giving what the source gives."""
    inner = recipes.in_units(trained.model, trained.targets)
    scale = jnp.float32(trained.data["scale"])

    def apply(params: Params, state: State, x: Any, **keywords: Any) -> tuple[Any, State]:
        x = x / scale
        if trained.inputs is not None:
            mean, spread = (jnp.asarray(numbers, x.dtype)[None] for numbers in trained.inputs)
            x = (x - mean) / spread
        return inner.apply(params, state, x, **keywords)

    return Model(inner.init, apply, inner.name)
