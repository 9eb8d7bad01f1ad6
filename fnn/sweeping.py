"""Many trainings as one compiled program: over seeds and hyperparameters, in chunks that fit memory, on all devices."""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fnn.compilation import use_cache
from fnn.errors import InputError, expect
from fnn.kernels import OPERATIONS, PRODUCTS, undivided
from fnn.lowering.walking import multiplications
from fnn.lowering.ynnpack import for_convolutions
from fnn.types import is_key

_AXIS = "runs"
_LARGE = 2**17  # operations of one product; calling for it costs as long as some 2**16 of them take
_DIVIDED = 2**18  # bytes of an array, from which on XLA divides the work on it among threads
_SPEC: Any = jax.ShapeDtypeStruct  # has no annotations of its own
_ALONG: Any = PartitionSpec
_TRACED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


class Swept(NamedTuple):
    """What :func:`sweep` gives, one entry per run along axis 0 of every array.

    Attributes:
        settings: the hyperparameters by name, and ``"seed"``, each of shape ``(n_runs,)``.
        results: what ``run`` gave, NumPy arrays with the runs along axis 0.
        chunk_size: how many runs were computed at a time.
    """

    settings: dict[str, np.ndarray]
    results: Any
    chunk_size: int

    def rows(self) -> list[dict[str, Any]]:
        """A dict per run: its settings, and of the results those that are one number, by their path.

        Example:
            >>> swept = Swept({"seed": np.array([0, 1])}, {"loss": np.array([0.5, 0.25]), "w": np.ones((2, 3))}, 2)
            >>> swept.rows()
            [{'seed': 0, 'loss': 0.5}, {'seed': 1, 'loss': 0.25}]
        """
        # A result that is called like a setting does not take its place.
        results = {f"result/{name}" if name in self.settings else name: c for name, c in self._scalars().items()}
        columns = {**self.settings, **results}
        return [{name: column[i].item() for name, column in columns.items()} for i in range(len(self.settings["seed"]))]

    def table(self) -> list[dict[str, Any]]:
        """:meth:`rows` for people and files: with whether a run diverged, and None for what is not finite.

        So it is JSON as it stands; :func:`fnn.text_table` and :func:`fnn.csv_table` write it.
        A run diverged if anything that it gave is not finite, or its ``first_bad`` (:func:`fnn.fit_scan`) is a step.

        Example:
            >>> Swept({"seed": np.array([0, 1])}, {"loss": np.array([0.5, np.nan])}, 2).table()
            [{'seed': 0, 'loss': 0.5, 'diverged': False}, {'seed': 1, 'loss': None, 'diverged': True}]
        """
        diverged = np.zeros(len(self.settings["seed"]), bool)
        for leaf in jax.tree.leaves(self.results):
            if jnp.issubdtype(leaf.dtype, jnp.inexact):
                diverged |= ~np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1)
        for name, column in self._scalars().items():
            if name.split("/")[-1] == "first_bad":
                diverged |= column >= 0
        rows = self.rows()
        for row, lost in zip(rows, diverged.tolist(), strict=True):
            row.update({name: None for name, value in row.items() if not np.isfinite(value)}, diverged=lost)
        return rows

    def over_seeds(self) -> list[dict[str, Any]]:
        """A dict per setting: how many seeds, then mean and standard deviation over them of each single number.

        The deviation is that of a sample (divisor n - 1), NaN for one seed.

        Example:
            >>> settings = {"learning_rate": np.array([0.1, 0.1]), "seed": np.array([0, 1])}
            >>> Swept(settings, {"loss": np.array([1.0, 3.0])}, 2).over_seeds()
            [{'learning_rate': 0.1, 'seeds': 2, 'loss_mean': 2.0, 'loss_std': 1.4142135623730951}]
        """
        names = [name for name in self.settings if name != "seed"]
        groups: dict[tuple[Any, ...], list[int]] = {}
        for i, values in enumerate(zip(*(self.settings[name].tolist() for name in names), strict=True)):
            groups.setdefault(values, []).append(i)
        if not names:
            groups = {(): list(range(len(self.settings["seed"])))}
        table = []
        for values, members in groups.items():
            row: dict[str, Any] = {**dict(zip(names, values, strict=True)), "seeds": len(members)}
            for name, column in self._scalars().items():
                sample = column[members].astype(np.float64)
                row[f"{name}_mean"] = float(sample.mean())
                row[f"{name}_std"] = float(sample.std(ddof=1)) if len(members) > 1 else float("nan")
            table.append(row)
        return table

    def _scalars(self) -> dict[str, np.ndarray]:
        named = jax.tree_util.tree_leaves_with_path(self.results)
        return {_name(path): leaf for path, leaf in named if leaf.ndim == 1}


def sweep(
    run: Callable[..., Any],
    *,
    seeds: int | Sequence[int],
    chunk_size: int | None = None,
    max_bytes: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    **hyperparameters: Sequence[float],
) -> Swept:
    """Calls ``run`` for every combination of hyperparameters and every seed, all as one compiled program.

    On an accelerator, and for the smallest networks, runs are computed side by side in each operation. On a CPU, runs
    with matrix products of some size are computed one after the other, several at once on several cores: that is
    quicker there.

    Each run gives the numbers of ``jax.jit(run)(jax.random.key(seed), **values)`` up to the rounding of float32: the
    order in which a product is added up depends on how many are computed together. In the tests, which train a network
    with dropout for 60 steps, each result is within 1e-6 + 1e-5 of its size; 64 networks 784-30-10 were within 2.3e-6
    after 1000 steps on digits (benchmarks/many_at_once.py). Where training is unstable, rounding grows without bound,
    as it does between two kinds of processors.

    Args:
        run: ``(key, **values) -> results``, a pure function of numbers that JAX can trace, such as one that ends in
            :func:`fnn.fit_scan`. ``results`` is any pytree of arrays; return what is needed only, as all runs' results
            are kept. PRNG keys come back as their data.
        seeds: the seeds, or how many: ``3`` means 0, 1, 2.
        chunk_size: how many runs are computed at a time; ``None`` for as many as fit ``max_bytes``.
        max_bytes: what a device may need for a chunk, as the compiler counts it: arguments, results and all between.
            ``None`` for what is free on the device; on CPU, half of the machine's memory.
        devices: where; ``None`` for all of this process. Runs are divided evenly among them.
        **hyperparameters: for each name that ``run`` takes the values to try. Whole numbers arrive as integers, others
            as floating-point numbers, of JAX's default precision.

    Returns:
        Settings and results, the last named hyperparameter and then the seed varying quickest.

    Raises:
        InputError: there is nothing to run, values are no numbers, ``run`` uses a hyperparameter where JAX needs a
            plain number (a width, a number of epochs), or a single run does not fit ``max_bytes``.

    A run that diverges stops none of the others: its numbers are NaN, and ``fit_scan``'s ``first_bad`` says since when.

    Example:
        >>> import optax
        >>> from fnn import dense, fit_scan, mean_squared_error, supervised
        >>> x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
        >>> model = dense(1)
        >>> objective = supervised(model, mean_squared_error)
        >>> def run(key, learning_rate):
        ...     params, state = model.init(key, x)
        ...     trained = fit_scan(objective, optax.sgd(learning_rate), params, state, (x, 2 * x), key=key, n_epochs=20)
        ...     return {"loss": trained.history["loss"][-1]}
        >>> swept = sweep(run, seeds=3, learning_rate=[0.01, 0.5])
        >>> swept.results["loss"].shape
        (6,)
        >>> [row["loss_mean"] < 0.1 for row in swept.over_seeds()]
        [False, True]
    """
    use_cache()
    expect("seed" not in hyperparameters, "sweep", "seeds=..., which makes the key of a run", "a hyperparameter seed")
    columns = {name: _numbers(name, values) for name, values in hyperparameters.items()}
    columns["seed"] = _numbers("seeds", range(int(seeds)) if isinstance(seeds, int | np.integer) else seeds)
    expect(columns["seed"].dtype.kind in "iu", "sweep", "seeds to be integers", f"{seeds!r}")
    grid = np.array(list(itertools.product(*(range(len(column)) for column in columns.values()))))
    settings = {name: column[grid[:, place]] for place, (name, column) in enumerate(columns.items())}
    keys = jnp.stack([jax.random.key(seed) for seed in columns["seed"].tolist()])
    values = {name: _narrow(name, settings[name]) for name in hyperparameters}
    n_runs, places = len(grid), list(jax.local_devices() if devices is None else devices)
    expect(len(places) >= 1, "sweep", "at least one device", "none")
    expect(chunk_size is None or chunk_size >= 1, "sweep", "chunk_size >= 1, or None", f"chunk_size == {chunk_size}")

    @partial(jax.jit, inline=True)  # so that run is traced once, for one, for all side by side and for all in turn
    def one(key: Any, values: dict[str, Any]) -> Any:
        return jax.tree.map(_key_data, run(key, **values))

    sharding = NamedSharding(Mesh(np.array(places), (_AXIS,)), _ALONG(_AXIS))

    def specs(size: int) -> Any:
        return jax.tree.map(lambda leaf: _SPEC((size, *leaf.shape[1:]), leaf.dtype), (keys, values))

    @cache
    def traced(mapped: Callable[..., Any], size: int) -> Any:
        try:
            with undivided():  # as far as can be said before
                return jax.jit(mapped, in_shardings=sharding, out_shardings=sharding).trace(*specs(size))
        except _TRACED as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"sweep: expected run to use what it is given as numbers only, got: {reason}") from error

    together = _together(one, sharding)
    size = _even(n_runs, chunk_size or n_runs, len(places))
    mapped, n_workers, is_divided = together, 1, True
    if len(places) == 1 and places[0].platform == "cpu" and _most_flops(traced(together, size)) >= size * _LARGE:
        mapped = _in_turn(one)
        is_divided = any(map(_is_divided, multiplications(traced(mapped, 1).jaxpr)))
        n_workers = _n_workers(n_runs, is_divided)
    limit = (_free(places) if max_bytes is None else max_bytes) // n_workers
    wanted = -(-n_runs // n_workers) if chunk_size is None else chunk_size
    size, execute = _fitting(
        lambda size: _compiled(traced(mapped, size), places[0].platform, is_divided),
        n_runs,
        len(places),
        wanted,
        chunk_size is not None,
        limit,
    )

    def results_of(rows: np.ndarray) -> Any:
        chunk = keys[grid[rows, -1]], {name: column[rows] for name, column in values.items()}
        # Waited for, so that one chunk of each worker is in memory at a time.
        return jax.device_get(execute(*jax.device_put(chunk, sharding)))

    with ThreadPoolExecutor(n_workers) as workers:
        parts = list(workers.map(results_of, _chunks(n_runs, size)))
    results = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n_runs], *parts)
    return Swept(settings, results, size)


def _together(one: Callable[..., Any], sharding: NamedSharding) -> Callable[..., Any]:
    """Over the runs of a chunk, side by side. Devices have nothing to say to each other, and are kept from trying."""
    mapped = jax.vmap(one)
    if sharding.mesh.size == 1:
        return mapped
    mesh, along = sharding.mesh, sharding.spec
    shared: Callable[..., Any] = jax.shard_map(mapped, mesh=mesh, in_specs=along, out_specs=along, check_vma=False)
    return shared


def _in_turn(one: Callable[..., Any]) -> Callable[..., Any]:
    def mapped(*arguments: Any) -> Any:
        return jax.lax.map(lambda of_one: one(*of_one), arguments)

    return mapped


def _compiled(program: Any, platform: str, is_divided: bool) -> Any:
    with nullcontext() if is_divided else undivided():
        return program.lower().compile(compiler_options=for_convolutions(program.jaxpr, platform))


def _most_flops(program: Any) -> int:
    """The floating-point operations of the largest of its products."""
    return max(map(_flops, multiplications(program.jaxpr)), default=0)


def _flops(eqn: Any) -> int:
    if eqn.primitive in OPERATIONS:
        return int(eqn.params["sizes"].flops)
    left, right = (atom.aval for atom in eqn.invars)
    if eqn.primitive.name == "dot_general":
        ((contracted, _), _) = eqn.params["dimension_numbers"]
        return int(2 * math.prod(left.shape[axis] for axis in contracted) * eqn.outvars[0].aval.size)
    n_out = right.shape[eqn.params["dimension_numbers"].rhs_spec[0]]
    return int(2 * right.size // max(1, n_out) * eqn.outvars[0].aval.size)


def _is_divided(eqn: Any) -> bool:
    """Whether it is divided among XLA's threads, as far as measured, or the sums and updates that go with it are."""
    avals: list[Any] = [atom.aval for atom in (*eqn.invars, *eqn.outvars)]
    most = max(int(aval.size) * aval.dtype.itemsize for aval in avals)
    is_product = eqn.primitive.name == "dot_general" or eqn.primitive in PRODUCTS
    return not is_product or most >= _DIVIDED


def _n_workers(n_runs: int, is_divided: bool) -> int:
    """How many runs are computed at once in this process's cores.

    XLA has a thread per core; a running program holds one of them, and asks the others to help with what it divides. A
    request that no thread comes to take up stays in memory until the program ends: some 10 kB a step. So one is left.
    """
    return min(max(1, _n_cores() - 1) if is_divided else _n_cores(), n_runs)


def _n_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fitting(
    compiled: Callable[[int], Any], n_runs: int, n_devices: int, wanted: int, is_fixed: bool, max_bytes: int
) -> tuple[int, Any]:
    """A size of chunk that fits, and the program for it."""
    while True:
        size = _even(n_runs, wanted, n_devices)
        program = compiled(size)
        needed = _bytes(program)
        if needed <= max_bytes or is_fixed:
            return size, program
        if size == n_devices:
            raise InputError(f"sweep: expected a run to need at most max_bytes == {max_bytes}, got {needed} bytes")
        wanted = max(1, min(size - n_devices, size * max_bytes // needed))


def _chunks(n_runs: int, size: int) -> Iterator[np.ndarray]:
    """The numbers of the runs, ``size`` at a time; the last run stands in for those that are not there."""
    for begin in range(0, n_runs, size):
        yield np.minimum(np.arange(begin, begin + size), n_runs - 1)


def _even(n_runs: int, wanted: int, n_devices: int) -> int:
    """A size of chunk of at most about ``wanted``: nearly equal ones, so that little is computed for nothing."""
    return _up(-(-n_runs // -(-n_runs // min(wanted, n_runs))), n_devices)


def _up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _bytes(program: Any) -> int:
    """What one device needs, as the compiler counts it; 0 where it does not."""
    analysis = program.memory_analysis()
    if analysis is None:
        return 0
    needed: int = analysis.temp_size_in_bytes + analysis.argument_size_in_bytes + analysis.output_size_in_bytes
    return needed


def _free(devices: Sequence[jax.Device]) -> int:
    stats: list[Any] = [device.memory_stats() for device in devices]
    if all(stats):
        return int(min(s["bytes_limit"] - s["bytes_in_use"] for s in stats))
    if not hasattr(os, "sysconf"):
        return sys.maxsize  # a system that does not say
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 // len(devices)


def _numbers(name: str, values: Any) -> np.ndarray:
    listed = isinstance(values, Sequence | np.ndarray | jax.Array) and not isinstance(values, str | bytes)
    array = np.asarray(values if listed else [])
    sound = array.ndim == 1 and array.size > 0 and array.dtype.kind in "iufb"
    expect(sound, "sweep", f"{name} to be a sequence of numbers, at least one", f"{values!r}")
    return array


def _narrow(name: str, array: np.ndarray) -> np.ndarray:
    """In JAX's default precision, which no whole number may leave."""
    narrow = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
    kept = array.dtype.kind == "f" or bool((narrow == array).all())
    expect(kept, "sweep", f"{name} to be whole numbers of at most 32 bits", f"{array.max()}")
    return narrow


def _key_data(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/") or "result"
