"""Windows of training, taken in turns, and what is made of them."""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.networks import NETWORKS, Network
from benchmarks.peers import SYSTEMS, System

_FIRST_STEP = """
import dataclasses, time
import jax, numpy as np, optax, fnn
from benchmarks.networks import NETWORKS, examples
from benchmarks.peers.fnn_fit import build
network = NETWORKS[{network!r}]
x, y = examples(dataclasses.replace(network, n_examples=network.batch_size), None)
model = build(network)
params, state = model.init(jax.random.key(0), x[:1])
objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
optimizer = {{"adam": optax.adam, "sgd": optax.sgd}}[network.optimizer](network.rate)
fnn.fit(objective, optimizer, params, state, (x, y), key=jax.random.key(1), n_epochs=1, batch_size=network.batch_size)
print(time.time())
"""


TIMEOUT = 300.0
"""Seconds that a worker has for one answer."""


class Worker:
    """A process that trains one network by one system, when it is asked to.

    Args:
        system: which.
        order: what else it is told at its beginning, see :mod:`benchmarks.worker`.
        python: the interpreter.
        timeout: seconds for each answer. A worker that needs longer is killed, and has failed.
        environment: variables besides those of the system.

    Attributes:
        ready: its first answer; ``"absent"`` or ``"failed"`` in it if it cannot train.
    """

    def __init__(
        self,
        system: System,
        order: Mapping[str, Any],
        python: str = sys.executable,
        *,
        timeout: float = TIMEOUT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        whole = {"module": system.module, "form": system.form, **order}
        variables = {**os.environ, **system.environment, **(environment or {})}
        if system.name.endswith("compiled"):
            variables["BENCHMARK_COMPILED"] = "1"
        self._timeout = timeout
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the worker)
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", json.dumps(whole)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=variables,
            start_new_session=True,  # so that a compiler that it has started ends with it
        )
        try:
            self.ready = self._answer()
        except BaseException:  # such as an interrupt: nobody else has this process yet
            self.close()
            raise

    @property
    def trouble(self) -> dict[str, str]:
        """Why it cannot train; empty if it can."""
        return {name: self.ready[name] for name in ("absent", "failed") if name in self.ready}

    def ask(self, command: str) -> dict[str, Any]:
        """The answer to a line; ``{"failed": why}`` if there is none."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; the answer says how
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()
        return self._answer()

    def window(self, seconds: float) -> dict[str, Any]:
        """Trains for about so long."""
        return self.ask(str(seconds))

    def close(self) -> None:
        """Ends the process."""
        self._kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def _kill(self) -> None:
        # The group is there as long as the process has not been waited for.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._kill()

        # Reading ends with the process, on every platform; waiting for a pipe does not work on all.
        timer = threading.Timer(min(self._timeout, threading.TIMEOUT_MAX), give_up)
        timer.daemon = True
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if late.is_set():
            return {"failed": f"no answer within {self._timeout:g} s"}
        if not line:
            self._process.wait()
            self._said.seek(0)
            last = (self._said.read().strip().splitlines() or [""])[-1]
            return {"failed": f"exit code {self._process.returncode}: {last}"}
        document: dict[str, Any] = json.loads(line)
        return document


def end_in_order() -> None:
    """Lets a program that is told to end (SIGTERM) close its workers: they are in sessions of their own."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def compare(
    network: str,
    dtype: str,
    systems: Sequence[System],
    *,
    seconds: float,
    rounds: int,
    data_dir: str | None,
    interpreters: Mapping[str, str],
    say: Callable[[str], None],
    timeout: float = TIMEOUT,
) -> list[dict[str, Any]]:
    """Every system on one network: ``rounds`` windows each, taken in turns; ``timeout`` seconds for each answer."""
    workers: dict[int, Worker] = {}
    rows: list[dict[str, Any]] = []
    try:
        for place, system in enumerate(systems):
            row: dict[str, Any] = {"network": network, "system": system.name, "form": system.form, "dtype": dtype}
            rows.append(row)
            say(f"{network} {dtype}: {system.name} ({system.form}) gets ready")
            python = interpreters.get(system.package, sys.executable)
            order = {"network": network, "dtype": dtype, "data_dir": data_dir}
            worker = Worker(system, order, python, timeout=timeout)
            if worker.trouble:
                row |= worker.trouble
                worker.close()
            else:
                workers[place] = worker
        windows: dict[int, list[dict[str, Any]]] = {place: [] for place in workers}
        for turn in range(rounds):
            say(f"{network} {dtype}: round {turn + 1} of {rounds}")
            for place, worker in workers.items():
                if "failed" not in rows[place]:
                    answer = worker.window(seconds)
                    if "failed" in answer:
                        rows[place] |= answer
                        say(f"{network} {dtype}: {systems[place].name} failed: {answer['failed']}")
                    windows[place].append(answer)
        for place, answers in windows.items():
            if "failed" not in rows[place]:
                rows[place] |= summarize(answers)
                if NETWORKS[network].runs > 1:
                    trained = sum(answer["examples"] for answer in answers)
                    rate, at_once = rows[place]["images_per_second"], workers[place].ready["runs_at_once"]
                    rows[place] |= of_all_runs(NETWORKS[network], rate, trained, at_once)
    finally:
        for worker in workers.values():
            worker.close()
    return rows


def summarize(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median rate of some windows, the lowest and the highest, and the largest amount of memory."""
    rates = [answer["examples"] / answer["seconds"] for answer in answers]
    return {
        "images_per_second": statistics.median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        "windows": len(rates),
        "peak_bytes": max(answer["peak_bytes"] for answer in answers),
    }


def of_all_runs(network: Network, rate: float, trained: int, at_once: int) -> dict[str, Any]:
    """Seconds for all the runs of a network, and how they came about.

    Args:
        network: with its ``runs``.
        rate: examples per second of one run, or of those that are trained at once.
        trained: examples in all windows.
        at_once: how many runs.

    Example:
        >>> told = of_all_runs(NETWORKS["sweep"], 64_000.0, 60_000, 1)
        >>> told["seconds_for_all"], told["runs_timed"], told["how"]
        (20.0, 3.0, 'one run after another, warm: some timed, multiplied by 64')
    """
    of_one = network.n_examples * network.epochs
    multiplied = f"one run after another, warm: some timed, multiplied by {network.runs}"
    return {
        "runs": network.runs,
        "updates_each": of_one // network.batch_size,
        "seconds_for_all": network.runs * of_one / rate,
        "runs_timed": trained / of_one,
        "how": multiplied if at_once == 1 else f"{at_once} runs by one call, tracing and compiling included",
    }


def ratios(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """For each network and dtype fnn's rate over that of the best peer, of those in stock and in tuned form."""
    table: dict[str, dict[str, float | None]] = {}
    for own in rows:
        if own["system"] != "fnn" or "images_per_second" not in own:
            continue
        name = own["network"] if own["dtype"] == "float32" else f"{own['network']} {own['dtype']}"
        table[name] = {}
        for form in ("stock", "tuned"):
            peers = [
                row["images_per_second"]
                for row in rows
                if row["system"] != "fnn"
                and (row["network"], row["dtype"], row["form"]) == (own["network"], own["dtype"], form)
                and "images_per_second" in row
            ]
            table[name][f"best_{form}"] = own["images_per_second"] / max(peers) if peers else None
    return table


def first_steps(network: str, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Seconds from the start of Python to the end of fnn's first step: nothing compiled yet, and everything.

    Everything is compiled from the second process on; the third is the one that counts. What Python takes to end
    afterwards is no part of it, and is in the answer too. If a process fails, its last line is the answer.
    """
    seconds: dict[str, Any] = {}
    program = [sys.executable, "-c", _FIRST_STEP.format(network=network)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        # Programs are kept in that folder, and Python keeps what it makes of fnn's sources, as for a user.
        for switch in ("FNN_CACHE", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(switch, None)
        for state in ("cold", "warm", "warm"):
            begin = time.time()
            try:
                done = subprocess.run(program, capture_output=True, env=environment, text=True, timeout=timeout)
            except subprocess.TimeoutExpired:
                return {"first_step_failed": f"no step within {timeout:g} s"}
            if done.returncode != 0:
                said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
                return {"first_step_failed": said[-1]}
            end = float(done.stdout.split()[-1])
            seconds[f"first_step_{state}_seconds"] = end - begin
            seconds["exit_seconds"] = time.time() - end
    return seconds


def sgemm_peak() -> float:
    """Floating-point operations per second of the best of some products of 2048 x 2048 matrices, float32."""
    import jax
    import jax.numpy as jnp

    size, best = 2048, float("inf")
    product = jax.jit(jnp.matmul)
    a = jnp.ones((size, size))
    for _ in range(8):
        begin = time.perf_counter()
        product(a, a).block_until_ready()
        best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best


def machine() -> dict[str, Any]:
    """Where this is run, and what else runs there."""
    import jax

    names = {"sklearn": "scikit-learn"}
    packages = sorted({names.get(s.package, s.package) for s in SYSTEMS} | {"jax", "optax", "numpy"})
    versions = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "versions": versions,
        "load": os.getloadavg()[0],
        "sgemm_flops_per_second": sgemm_peak(),
    }


def with_roofline(rows: Sequence[dict[str, Any]], peak: float) -> None:
    """Adds to each row which share of the machine's products its rate amounts to."""
    for row in rows:
        if "images_per_second" in row and row["dtype"] == "float32":
            row["share_of_peak"] = row["images_per_second"] * NETWORKS[row["network"]].flops() / peak


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
