"""Wrong gradients on purpose, and who finds them: verify, jax.test_util.check_grads, torch.autograd.gradcheck.

The rules are those of ``benchmarks.planted_gradients``: the same seed, the same rules, for every checker at its
defaults. JAX's checker runs in float32 and in float64; torch's, where torch is installed, sees the same rules through a
torch.autograd.Function that calls them, in float64 as it asks for, in its default and in its fast mode. A second row of
numbers counts alarms over the correct twins: there, every alarm is false.

    python -m benchmarks.gradient_checkers --count 220            a table (markdown) on stdout
    python -m benchmarks.gradient_checkers --count 220 --json     one JSON document
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import jax
import numpy as np
from jax.test_util import check_grads

from benchmarks.planted_gradients import FUNCTIONS, Planted, draw, example, right
from verify.gradients.prove import prove_gradient

Checker = Callable[[Callable[..., Any], list[Any]], bool]
"""True if the gradient passes."""


def by_verify(f: Callable[..., Any], args: list[Any]) -> bool:
    """PROVED or CERTIFIED passes; anything else does not."""
    return prove_gradient(f, *args, argnums=tuple(range(len(args)))).ok


def by_check_grads(f: Callable[..., Any], args: list[Any]) -> bool:
    """jax.test_util.check_grads, reverse mode, first order, default tolerances."""
    try:
        check_grads(f, tuple(args), order=1, modes=["rev"])
    except AssertionError:
        return False
    return True


def by_gradcheck(fast: bool) -> Checker:
    """torch.autograd.gradcheck on the JAX rule, wrapped."""
    import torch

    def check(f: Callable[..., Any], args: list[Any]) -> bool:
        class Wrapped(torch.autograd.Function):
            @staticmethod
            def forward(context: Any, *tensors: Any) -> Any:
                values = [t.detach().numpy() for t in tensors]
                context.values = values
                return torch.from_numpy(np.array(f(*values)))

            @staticmethod
            def backward(context: Any, cotangent: Any) -> Any:
                pullback = jax.vjp(f, *context.values)[1]
                return tuple(torch.from_numpy(np.array(g)) for g in pullback(cotangent.numpy()))

        tensors = [torch.from_numpy(np.array(a, np.float64)).requires_grad_() for a in args]
        return bool(torch.autograd.gradcheck(Wrapped.apply, tensors, fast_mode=fast, raise_exception=False))

    return check


def checkers() -> dict[str, tuple[Checker, bool]]:
    """Each checker, and whether it runs in float64."""
    found: dict[str, tuple[Checker, bool]] = {
        "verify.prove_gradient": (by_verify, False),
        "check_grads float32": (by_check_grads, False),
        "check_grads float64": (by_check_grads, True),
    }
    if find_spec("torch") is not None:
        found["torch gradcheck"] = (by_gradcheck(fast=False), True)
        found["torch gradcheck, fast"] = (by_gradcheck(fast=True), True)
    return found


def run(name: str, count: int, seed: int) -> dict[str, Any]:
    """One checker over the wrong rules and over their correct twins, in this process."""
    check, _ = checkers()[name]
    planted = draw(seed, count)
    start = time.perf_counter()
    passed = [rule for rule in planted if _passes(check, rule)]
    seconds = time.perf_counter() - start
    return {
        "checker": name,
        "found": count - len(passed),
        "missed": len(passed),
        "missed_kinds": dict(Counter(rule.kind for rule in passed).most_common()),
        "false_alarms": [f.name for f in FUNCTIONS if not check(right(f), example(f))],
        "seconds": round(seconds, 1),
        "kinds": len({rule.kind for rule in planted}),
    }


def measure(count: int, seed: int) -> dict[str, Any]:
    """All checkers, each in a process of its own: JAX does not like to change its precision on the way."""
    rows: list[dict[str, Any]] = []
    for name, (_, wide) in checkers().items():
        module = [sys.executable, "-m", "benchmarks.gradient_checkers"]
        command = [*module, "--only", name, "--count", str(count), "--seed", str(seed)]
        environment = {**os.environ, "JAX_ENABLE_X64": "1" if wide else "0"}
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
        rows.append(json.loads(done.stdout))
        print(f"{name}: missed {rows[-1]['missed']}, false alarms {rows[-1]['false_alarms']}", file=sys.stderr)
    versions = {"jax": jax.__version__, "python": platform.python_version()}
    return {"versions": versions, "seed": seed, "rules": count, "functions": len(FUNCTIONS), "rows": rows}


def _passes(check: Checker, rule: Planted) -> bool:
    return check(rule.apply, example(rule.function))


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    kinds = result["rows"][0]["kinds"]
    lines = [
        f"{result['rules']} wrong rules: {kinds} kinds of mistakes in {result['functions']} functions.",
        "",
        "| checker | found | missed | false alarms on correct rules | seconds | most often missed |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        often = ", ".join(f"{kind} ({n})" for kind, n in list(row["missed_kinds"].items())[:4])
        alarms = len(row["false_alarms"])
        lines.append(f"| {row['checker']} | {row['found']} | {row['missed']} | {alarms} | {row['seconds']} | {often} |")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(description="Wrong gradients on purpose, and who finds them.")
    parser.add_argument("--count", type=int, default=220, help="how many wrong rules")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--only", choices=list(checkers()), help="one checker in this process; prints its row as JSON")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(run(options.only, options.count, options.seed)))
        return
    result = measure(options.count, options.seed)
    print(json.dumps(result, indent=1) if options.json else table(result))


if __name__ == "__main__":
    main()
