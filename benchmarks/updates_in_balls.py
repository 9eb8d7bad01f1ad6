"""How long do many updates in balls take, and how many digits are left?

    python -m benchmarks.updates_in_balls [--updates 10000] [--json]

The 2-2-2 network of deck 000: ten parameters, all updated; processor seconds at several precisions.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Any

import verify
from verify.reading.example import load
from verify.worked.derivation import build
from verify.worked.scalars import BALL, precision
from verify.worked.tape import Tape


def measure(updates: int, bits: int) -> dict[str, Any]:
    """One trajectory at one precision: seconds, and the widest ball at its end."""
    derivation = build(load(Path(verify.__file__).parent / "decks" / "000_two_two_two.toml"))
    tape = Tape(derivation, list(derivation.carried.values()))
    with precision(bits):
        began = time.process_time()
        (last,) = deque(islice(tape.iterate(BALL, list(derivation.carried)), updates), maxlen=1)
        seconds = time.process_time() - began
        widest = max(float(value.rad()) for value in last)
    return {"updates": updates, "bits": bits, "seconds": seconds, "widest_radius": widest}


def main() -> None:
    """Measure and print."""
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parse.add_argument("--updates", type=int, default=10_000)
    parse.add_argument("--json", action="store_true")
    options = parse.parse_args()
    rows = [measure(options.updates, bits) for bits in (64, 128, 256, 512)]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            took, radius = f"{row['seconds']:.2f} s", f"{row['widest_radius']:.1e}"
            print(f"{row['updates']} updates at {row['bits']} bits: {took}, radius {radius}")


if __name__ == "__main__":
    main()
