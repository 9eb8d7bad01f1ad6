"""How often is a planted mistake named, and how often is a right example left alone?

    python -m benchmarks.diagnosis [--count 500] [--digits 9] [--json]

Random networks (depth 1 to 3; sigmoid, tanh, relu, softmax), their figures printed at so many digits, with one planted
mistake, or none. An example counts as named if the planted mistake is among the best explanations that nothing tells
apart, and as unique if all of those carry its name.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.planted_figures import KINDS, Planted, draw
from verify.checking import check
from verify.diagnosis.hypothesis import simplest, ties
from verify.reading.example import loads
from verify.reading.figures import Verdict


def examples(count: int, digits: int, planted: bool, seed: int = 0) -> Iterator[Planted]:
    """So many examples, the kinds of mistake in turn; seeds that give none are passed over."""
    made = 0
    while made < count:
        example = draw(seed, KINDS[seed % len(KINDS)] if planted else None, digits)
        seed += 1
        if example is not None:
            made += 1
            yield example


def names(planted: Planted) -> tuple[set[str], int, float]:
    """The mistakes named for an example, how many of its figures are not right, and the processor time in seconds."""
    began = time.process_time()
    checked = check(loads(planted.toml), routes=False)
    seconds = time.process_time() - began
    wrong = [j for j in checked.figures if j.verdict != Verdict.RIGHT]
    found = simplest([d for j in wrong for d in checked.diagnoses.get(j.claim.id, ())])
    return {d.mistake for d in ties(found)} if found else set(), len(wrong), seconds


def measure(count: int, digits: int) -> dict[str, Any]:
    """Named, unique and timed over ``count`` planted examples; false alarms over as many right ones."""
    named = unique = 0
    missed: Counter[str] = Counter()
    tied: Counter[str] = Counter()
    seconds: list[float] = []
    per_figure: list[float] = []
    for example in examples(count, digits, planted=True):
        found, wrong, spent = names(example)
        seconds.append(spent)
        per_figure.append(spent / max(wrong, 1))
        named += example.mistake in found
        unique += found == {example.mistake}
        if example.mistake not in found:
            missed[str(example.kind)] += 1
        elif found != {example.mistake}:
            tied[str(example.kind)] += 1
    alarms = sum(bool(names(example)[1]) for example in examples(count, digits, planted=False, seed=10**6))
    return {
        "count": count,
        "digits": digits,
        "named": named / count,
        "unique": unique / count,
        "false_alarms": alarms,
        "seconds_per_example": {"median": median(seconds), "max": max(seconds)},
        "seconds_per_wrong_figure": {"median": median(per_figure), "max": max(per_figure)},
        "missed": dict(missed),
        "tied": dict(tied),
    }


def main() -> None:
    """Run and print."""
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parse.add_argument("--count", type=int, default=500)
    parse.add_argument("--digits", type=int, default=9)
    parse.add_argument("--json", action="store_true")
    options = parse.parse_args()
    result = measure(options.count, options.digits)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{result['count']} examples with one planted mistake, printed at {result['digits']} digits:")
    print(f"  named {result['named']:.1%}, uniquely {result['unique']:.1%}")
    print(f"  missed {result['missed']}, tied with others {result['tied']}")
    print(f"{result['count']} examples without a mistake: {result['false_alarms']} false alarms")
    spent, each = result["seconds_per_example"], result["seconds_per_wrong_figure"]
    print(f"processor seconds per example: median {spent['median']:.2f}, at most {spent['max']:.2f}")
    print(f"processor seconds per wrong figure: median {each['median']:.3f}, at most {each['max']:.2f}")


if __name__ == "__main__":
    main()
