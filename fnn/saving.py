"""A training's states on disk, while it runs: the last few and the best, whole whenever the process is killed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnn import checkpoint
from fnn.data.sources import Source
from fnn.errors import CheckpointError, expect
from fnn.execution import Carry
from fnn.types import TrainState, is_key

_STEP, _BEST = "step_", "best"
_SAMPLED = 64  # examples whose digest tells one data set from another


class Checkpoints(NamedTuple):
    """Where, how often and how many states of a training are kept.

    Attributes:
        folder: belongs to one training; made if it is not there.
        every: updates between two states; ``None`` for one after each epoch. The last state of all is always kept.
        keep_last: how many of the newest stay, at least 1.
        keep_best: ``(metric, "min")`` or ``(metric, "max")``: the state after the best epoch so far stays as well, as
            ``best`` in the folder.
        asynchronous: whether training goes on while a state is being written.
    """

    folder: str | Path
    every: int | None = None
    keep_last: int = 2
    keep_best: tuple[str, str] | None = None
    asynchronous: bool = True


class Kept(NamedTuple):
    """All that a training needs to go on as if nothing had happened.

    Attributes:
        carry: what the compiled loop hands on: the train state, and what the epoch under way has added up.
        callbacks: the callbacks' states.
        done: updates done so far; with it the place in the shuffled epoch is known.
        history: the metrics of the epochs that are over.
        stopped: whether a callback has ended the training.
    """

    carry: Carry
    callbacks: tuple[Any, ...]
    done: int
    history: list[dict[str, float]]
    stopped: bool


def identify(source: Source, batch_size: int, shuffle: bool, key: Any, callbacks: Sequence[Any]) -> dict[str, Any]:
    """What has to be the same for a training to be gone on with, as plain data."""
    rows = np.unique(np.linspace(0, len(source) - 1, _SAMPLED).astype(np.int64))
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(source.take(rows)):
        sha.update(f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}\n".encode())
        sha.update(np.ascontiguousarray(leaf).tobytes())
    return {
        "number of examples": len(source),
        "examples": sha.hexdigest(),
        "batch_size": batch_size,
        "shuffle": shuffle,
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "callbacks": [callback.name for callback in callbacks],
    }


class Saver:
    """Writes the states of one training, in the background if that is asked for. A context: leaving it waits."""

    def __init__(self, checkpoints: Checkpoints | None, identity: dict[str, Any]) -> None:
        self._where, self._identity = checkpoints, identity
        self._writer = ThreadPoolExecutor(1, "checkpoints") if checkpoints else None
        self._pending: Future[None] | None = None
        if checkpoints is None:
            return
        every, metric = checkpoints.every, checkpoints.keep_best
        expect(every is None or every >= 1, "Checkpoints", "every >= 1, or None", f"every == {every}")
        expect(checkpoints.keep_last >= 1, "Checkpoints", "keep_last >= 1", f"keep_last == {checkpoints.keep_last}")
        known = metric is None or (len(metric) == 2 and metric[1] in ("min", "max"))
        expect(known, "Checkpoints", 'keep_best as (metric, "min") or (metric, "max")', f"{metric!r}")

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            if self._writer is not None:
                self._writer.shutdown()

    @property
    def every(self) -> int | None:
        """Updates between two states, if they are counted in updates."""
        return self._where.every if self._where else None

    def open(self, fresh: Kept, resume: bool | int) -> Kept:
        """The state to go on from: ``fresh``, or one that was kept.

        Raises:
            CheckpointError: the one to go on from is missing, damaged or of another training; or there are states of an
                earlier training and ``resume`` is ``False``.
        """
        if self._where is None:
            expect(resume is False, "fit", "checkpoints to resume from", "None")
            return fresh
        folder = Path(self._where.folder)
        steps = _steps(folder)
        if resume is False:
            if steps:
                raise CheckpointError(
                    f"{folder}: holds states of an earlier training, up to step {steps[-1]}; "
                    "resume=True goes on from there, another folder begins anew"
                )
            checkpoint.check_replaceable(folder / _name(0))
            return fresh
        for scratch in folder.glob(".*.part"):  # left by a process that was killed
            shutil.rmtree(scratch, ignore_errors=True)
        if not steps and resume is True:
            return fresh
        step = steps[-1] if resume is True else int(resume)
        if step not in steps:
            there = ", ".join(map(str, steps)) or "none"
            raise CheckpointError(f"{folder}: no state after step {step} there; kept are: {there}")
        try:
            kept = self._read(folder / _name(step), fresh)
            for later in [later for later in steps if later > step]:  # they will be reached again
                shutil.rmtree(folder / _name(later), ignore_errors=True)
            return kept
        except CheckpointError as error:
            for other in reversed([other for other in steps if other < step]):
                try:
                    self._read(folder / _name(other), fresh)
                except CheckpointError:
                    continue
                good = f"the last good state is that after step {other}: resume={other} goes on from it"
                raise CheckpointError(f"{error}; {good}") from None
            raise

    def save(self, kept: Kept, *, epoch_over: bool, last: bool = False) -> None:
        """Keeps a state if it is one to be kept; waits for the one before to be written."""
        if self._where is None:
            return
        every = self._where.every
        due = last or (epoch_over if every is None else kept.done % every == 0)
        best = epoch_over and self._is_best(kept.history)
        if not due and not best:
            return
        self._wait()
        assert self._writer is not None
        # Copied off the device now: the next step will overwrite it there.
        leaves, about = _flat(_tree(kept)), _about(kept) | {"training": self._identity}
        self._pending = self._writer.submit(self._write, kept.done, leaves, about, due, best)
        if last or not self._where.asynchronous:
            self._wait()

    def _is_best(self, history: list[dict[str, float]]) -> bool:
        assert self._where is not None
        if self._where.keep_best is None:
            return False
        metric, mode = self._where.keep_best
        expect(metric in history[-1], "Checkpoints", f"keep_best among {sorted(history[-1])}", metric)
        sign = 1 if mode == "min" else -1
        values = [sign * epoch[metric] for epoch in history]
        earlier = [value for value in values[:-1] if value == value]
        return values[-1] == values[-1] and (not earlier or values[-1] < min(earlier))

    def _write(self, step: int, leaves: dict[str, np.ndarray], about: dict[str, Any], due: bool, best: bool) -> None:
        assert self._where is not None
        folder = Path(self._where.folder)
        try:
            if best:
                checkpoint.save(folder / _BEST, leaves, about)
            if due:
                checkpoint.save(folder / _name(step), leaves, about)
        except CheckpointError as error:
            steps = _steps(folder)
            good = f"the last good state is that after step {steps[-1]}" if steps else "no state is kept"
            raise CheckpointError(f"{error}; {good}") from None
        for old in _steps(folder)[: -self._where.keep_last]:
            shutil.rmtree(folder / _name(old), ignore_errors=True)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _read(self, path: Path, like: Kept) -> Kept:
        about = checkpoint.describe(path)
        try:
            training, done, history, stopped = (about[name] for name in ("training", "done", "history", "stopped"))
        except KeyError as error:
            raise CheckpointError(f"{path}: is not the state of a training: its description lacks {error}") from None
        for name, value in self._identity.items():
            if training.get(name) != value:
                was, now = training.get(name), value
                raise CheckpointError(f"{path}: belongs to another training: expected {name} {now}, got {was}")
        tree = _unflat(checkpoint.load(path, _flat_spec(_tree(like))), _tree(like))
        return Kept(tree["carry"], tree["callbacks"], done, history, stopped)


def load_state(path: str | Path, like: TrainState) -> TrainState:
    """The train state that a training with :class:`Checkpoints` has kept.

    Args:
        path: one of the states, such as ``folder / "best"`` or ``folder / "step_000000001000"``.
        like: a train state of the same structure, shapes and dtypes, such as :func:`fnn.start` gives.

    Raises:
        CheckpointError: it is missing, damaged, or of another model or optimizer.

    Example:
        >>> import optax, tempfile
        >>> from fnn import dense, fit, mean_squared_error, start, supervised
        >>> x = np.ones((4, 1), np.float32)
        >>> model, optimizer = dense(1), optax.sgd(0.1)
        >>> params, state = model.init(jax.random.key(0), x)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fitted = fit(
        ...         supervised(model, mean_squared_error), optimizer, params, state, (x, x), key=jax.random.key(1),
        ...         n_epochs=3, checkpoints=Checkpoints(folder, keep_best=("loss", "min")),
        ...     )
        ...     best = load_state(f"{folder}/best", start(optimizer, params, state, jax.random.key(0)))
        >>> int(best.step), bool((best.params["w"] == fitted.params["w"]).all())
        (3, True)
    """
    leaves = checkpoint.load_part(path, "carry/train_state/", _flat_spec(like))
    restored: TrainState = _unflat(leaves, like)
    return restored


def _name(step: int) -> str:
    return f"{_STEP}{step:012d}"


def _steps(folder: Path) -> list[int]:
    names = [path.name.removeprefix(_STEP) for path in folder.glob(f"{_STEP}*") if path.is_dir()]
    return sorted(int(name) for name in names if name.isdecimal())


def _about(kept: Kept) -> dict[str, Any]:
    return {"done": kept.done, "history": kept.history, "stopped": kept.stopped}


def _tree(kept: Kept) -> Any:
    return {"carry": kept.carry, "callbacks": kept.callbacks}


def _path(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _plain(tree: Any) -> dict[str, Any]:
    """Leaves by path; keys as the numbers they are made of."""
    leaves = {_path(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
    return {name: jax.random.key_data(leaf) if is_key(leaf) else leaf for name, leaf in leaves.items()}


def _flat(tree: Any) -> dict[str, np.ndarray]:
    return {name: np.array(leaf) for name, leaf in jax.device_get(_plain(tree)).items()}


def _flat_spec(tree: Any) -> dict[str, Any]:
    specs: dict[str, Any] = jax.eval_shape(lambda: {name: jnp.asarray(leaf) for name, leaf in _plain(tree).items()})
    return specs


def _unflat(leaves: dict[str, Any], like: Any) -> Any:
    def put(path: Any, old: Any) -> Any:
        leaf = leaves[_path(path)]
        if is_key(old):
            return jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(old))
        return np.asarray(leaf) if isinstance(old, np.ndarray | np.generic) else leaf

    return jax.tree_util.tree_map_with_path(put, like)
