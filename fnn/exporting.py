"""A trained network as one file that runs without this library, and without the code of the network."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from jax.errors import InconclusiveDimensionOperation

from fnn.errors import CheckpointError, InputError, expect
from fnn.types import Model, Params, State, spec

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_SPEC: Any = jax.ShapeDtypeStruct  # has no annotations of its own


def export(
    path: str | Path,
    model: Model,
    params: Params,
    state: State,
    x: Any,
    *,
    platforms: Sequence[str] = ("cpu", "cuda"),
) -> None:
    """Writes ``x -> y`` of a trained model, the parameters included, as a StableHLO artefact, replacing what was there.

    The model is not in training; the number of examples stays open. To run it:
    ``jax.export.deserialize(bytearray(file.read())).call(x)``, as examples/run_exported.py does. JAX promises to
    read such files for six months of newer releases, and hardly in older ones: one written by 0.10.2 runs in 0.12, the
    reverse fails. Writing and reading need the package flatbuffers; neither unpickles.

    Args:
        path: the file; its folder is made.
        model: the model.
        params: its parameters.
        state: its state.
        x: an input like those to come, or a ``jax.ShapeDtypeStruct``; every axis but the first is fixed by it.
        platforms: where it will run, out of ``"cpu"``, ``"cuda"``, ``"rocm"``, ``"tpu"``; none of them need be here.

    Raises:
        InputError: a platform is unknown, flatbuffers is not installed, an input has no axis of examples, or the
            model does not fit ``x`` or cannot leave the number of examples open.
        CheckpointError: the file cannot be written.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import dense
        >>> model, x = dense(1, bias=False), jnp.ones((1, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export(f"{folder}/model.stablehlo", model, {"w": jnp.ones((2, 1))}, {}, x)
        ...     kept = bytearray(Path(f"{folder}/model.stablehlo").read_bytes())
        >>> import jax.export
        >>> jax.export.deserialize(kept).call(jnp.ones((3, 2))).tolist()
        [[2.0], [2.0], [2.0]]
    """
    from jax import export as jax_export

    path = Path(path).absolute()
    unknown = [platform for platform in platforms if platform not in _PLATFORMS]
    some = bool(platforms) and not unknown and not isinstance(platforms, str)
    expect(some, "export", f"platforms out of {', '.join(_PLATFORMS)}, at least one", f"platforms == {platforms!r}")
    try:
        present = importlib.util.find_spec("flatbuffers") is not None
    except ValueError:  # it was taken out of sys.modules
        present = False
    expect(present, "export", "the package flatbuffers (pip install flatbuffers)", "none")
    (n_examples,) = jax_export.symbolic_shape("n_examples")

    def open_axis(leaf: Any) -> Any:
        expect(len(leaf.shape) >= 1, "export", "x with the examples along axis 0", f"x.shape == {leaf.shape}")
        return _SPEC((n_examples, *leaf.shape[1:]), leaf.dtype)

    # Parameters are constants of the program: the file holds them.
    forward = jax.jit(lambda x: model.apply(params, state, x)[0])
    try:
        exported = jax_export.export(forward, platforms=list(platforms))(jax.tree.map(open_axis, spec(x)))
    except InconclusiveDimensionOperation as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"export: expected a model for any number of examples, got one that asks: {reason}") from None
    content = exported.serialize()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
            fresh = Path(scratch) / "new"
            fresh.write_bytes(content)
            fresh.replace(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from None
