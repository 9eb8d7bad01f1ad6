"""Windows of training, taken in turns, and what is made of them."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.networks import NETWORKS
from benchmarks.peers import SYSTEMS, System

_FIRST_STEP = """
import jax, numpy as np, optax, fnn
from benchmarks.networks import NETWORKS, examples
from benchmarks.peers.fnn_fit import build
network = NETWORKS[{network!r}]
x, y = (part[: network.batch_size] for part in examples(network, None))
model = build(network)
params, state = jax.jit(lambda key: model.init(key, x[:1]))(jax.random.key(0))
objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
optimizer = {{"adam": optax.adam, "sgd": optax.sgd}}[network.optimizer](network.rate)
fnn.fit(objective, optimizer, params, state, (x, y), key=jax.random.key(1), n_epochs=1, batch_size=network.batch_size)
"""


class Worker:
    """A process that trains one network by one system, when it is asked to."""

    def __init__(self, system: System, network: str, dtype: str, data_dir: str | None, python: str) -> None:
        order = {"module": system.module, "network": network, "form": system.form, "dtype": dtype, "data_dir": data_dir}
        environment = {**os.environ, **system.environment}
        if system.name.endswith("compiled"):
            environment["BENCHMARK_COMPILED"] = "1"
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the worker)
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=environment,
        )
        self.trouble = {name: text for name, text in self._answer().items() if name in ("absent", "failed")}

    def window(self, seconds: float) -> dict[str, Any]:
        """Trains for about so long."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                stream.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            last = (self._said.read().strip().splitlines() or [""])[-1]
            return {"failed": f"exit code {self._process.returncode}: {last}"}
        document: dict[str, Any] = json.loads(line)
        return document


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
) -> list[dict[str, Any]]:
    """Every system on one network: ``rounds`` windows each, taken in turns."""
    workers: dict[int, Worker] = {}
    rows: list[dict[str, Any]] = []
    try:
        for place, system in enumerate(systems):
            row: dict[str, Any] = {"network": network, "system": system.name, "form": system.form, "dtype": dtype}
            rows.append(row)
            say(f"{network} {dtype}: {system.name} ({system.form}) gets ready")
            python = interpreters.get(system.package, sys.executable)
            worker = Worker(system, network, dtype, data_dir, python)
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
                    windows[place].append(answer)
        for place, answers in windows.items():
            if "failed" not in rows[place]:
                rows[place] |= summarize(answers)
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


def first_steps(network: str) -> dict[str, float]:
    """Seconds from the start of Python to the end of fnn's first step: nothing compiled yet, and everything."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        environment.pop("FNN_CACHE", None)
        for state in ("cold", "warm", "warm"):
            begin = time.perf_counter()
            program = [sys.executable, "-c", _FIRST_STEP.format(network=network)]
            subprocess.run(program, check=True, env=environment, stderr=subprocess.DEVNULL)
            seconds[state] = time.perf_counter() - begin
    return {f"first_step_{state}_seconds": value for state, value in seconds.items()}


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
