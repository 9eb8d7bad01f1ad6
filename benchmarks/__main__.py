"""fnn beside what a user would pick instead.

    python -m benchmarks [--quick] [--json] [--only cnn,mlp] [--peers pytorch,flax-nnx] [--data-dir DIR]

The same networks, optimizer, batches, examples and dtype; each system in a process of its own; windows of some seconds
taken in turns, and the median of each. A ratio is fnn's rate over that of the best peer in that form. Of ``sweep``,
many small networks, fnn trains all by one call of ``fnn.sweep``; peers train them in turn, at the rate of one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.networks import NETWORKS
from benchmarks.peers import SYSTEMS
from benchmarks.timing import TIMEOUT, compare, end_in_order, first_steps, machine, ratios, with_roofline

_HALF = ("cnn", "mlp")  # also in bfloat16


def main() -> None:
    """Measure and print."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parse = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parse.add_argument("--quick", action="store_true", help="short windows, few rounds, float32 only, no first steps")
    parse.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parse.add_argument("--only", help=f"some of {','.join(NETWORKS)}")
    parse.add_argument(
        "--peers", help=f"some of {','.join(dict.fromkeys(s.name for s in SYSTEMS[1:]))}; none: fnn alone"
    )
    parse.add_argument("--data-dir", help="folder with the IDX files of MNIST; without it random examples of its shape")
    parse.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PACKAGE=PATH",
        help="the interpreter of an environment that has this package, such as torch=PATH; default: this one",
    )
    parse.add_argument(
        "--timeout",
        type=float,
        default=TIMEOUT,
        metavar="SECONDS",
        help=f"a system that takes longer for an answer is killed, and has failed; default {TIMEOUT:g}",
    )
    options = parse.parse_args()
    if not options.timeout > 0:
        parse.error(f"--timeout: expected more than 0 seconds, got {options.timeout:g}")
    if wrong := [entry for entry in options.python if "=" not in entry]:
        parse.error(f"--python: expected PACKAGE=PATH, got {wrong[0]!r}")
    if options.data_dir is not None and not list(Path(options.data_dir).glob("train-images-idx3*")):
        parse.error(f"--data-dir: expected a folder with train-images-idx3-ubyte, got {options.data_dir!r}")
    names = options.only.split(",") if options.only else list(NETWORKS)
    peers = options.peers.split(",") if options.peers else [system.name for system in SYSTEMS]
    for what, given, known in (("--only", names, NETWORKS), ("--peers", peers, {s.name for s in SYSTEMS} | {"none"})):
        if unknown := [name for name in given if name not in known]:
            parse.error(f"{what}: unknown {unknown[0]!r}, one of {','.join(sorted(known))}")
    end_in_order()
    systems = [system for system in SYSTEMS if system.name == "fnn" or system.name in peers]
    seconds, rounds = (0.5, 3) if options.quick else (2.0, 5)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    document: dict[str, Any] = {"machine": machine(), "results": [], "ratios": {}}
    for name in names:
        for dtype in ("float32", "bfloat16") if name in _HALF and not options.quick else ("float32",):
            # scikit-learn and others have one dtype; they say so.
            rows = compare(
                name,
                dtype,
                systems,
                seconds=seconds,
                rounds=rounds,
                data_dir=options.data_dir,
                interpreters=dict(entry.split("=", 1) for entry in options.python),
                say=say,
                timeout=options.timeout,
            )
            if dtype == "float32" and not options.quick and NETWORKS[name].runs == 1 and "failed" not in rows[0]:
                say(f"{name}: time to the first step")
                rows[0] |= first_steps(name, options.timeout)
            document["results"] += rows
    with_roofline(document["results"], document["machine"]["sgemm_flops_per_second"])
    document["ratios"] = ratios(document["results"])
    document["machine"]["load_afterwards"] = os.getloadavg()[0]
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        _print(document)
    if failed := [row for row in document["results"] if row["system"] == "fnn" and "failed" in row]:
        sys.exit(f"python -m benchmarks: fnn failed on {failed[0]['network']}: {failed[0]['failed']}")


def _print(document: dict[str, Any]) -> None:
    console, about = Console(width=110), document["machine"]
    console.print(f"{about['processor']}, {about['cores']} cores, {about['device']}; load {about['load']:.1f}")
    console.print(f"largest product: {about['sgemm_flops_per_second'] / 1e9:.0f} GFLOP/s")
    table = Table("network", "dtype", "system", "form", "images/s", "lowest", "highest", "of peak", "memory", box=None)
    for row in document["results"]:
        head = [row["network"], row["dtype"], row["system"], row["form"]]
        if "images_per_second" not in row:
            table.add_row(*head, "-", "", "", "", (row.get("absent") or row.get("failed", ""))[:30])
            continue
        rates = [f"{row[name]:,.0f}" for name in ("images_per_second", "lowest", "highest")]
        share = f"{row['share_of_peak']:.0%}" if "share_of_peak" in row else ""
        table.add_row(*head, *rates, share, f"{row['peak_bytes'] / 2**20:,.0f} MiB")
    console.print(table)
    for row in document["results"]:
        if "first_step_warm_seconds" in row:
            cold, warm = row["first_step_cold_seconds"], row["first_step_warm_seconds"]
            console.print(
                f"{row['network']}: first step {cold:.2f} s after the start of Python, compiled before {warm:.2f} s; "
                f"Python ends {row['exit_seconds']:.2f} s later"
            )
        if "first_step_failed" in row:
            console.print(f"{row['network']}: no first step: {row['first_step_failed']}")
    for row in document["results"]:
        if "seconds_for_all" in row:
            console.print(
                f"{row['network']}: {row['runs']} runs of {row['updates_each']} updates by {row['system']} "
                f"({row['form']}) {row['seconds_for_all']:.2f} s ({row['how']})"
            )
    for name, of in document["ratios"].items():
        told = ", ".join(f"{value:.2f} x {form.replace('_', ' ')}" for form, value in of.items() if value is not None)
        console.print(f"{name}: {told or 'no peer to compare with'}")


if __name__ == "__main__":
    main()
