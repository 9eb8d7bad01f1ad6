"""Loops and branches whose course is decided by the values at hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.algebra.plain import Unsupported
from verify.gradients.interpret.call import Call, Handler

MOST_ITERATIONS = 10_000


def _decided(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == object:
        raise Unsupported("a condition that is not decided")
    return value


def _cond(call: Call, index: Any, *operands: Any) -> list[Any]:
    branches = call.step.bodies
    return call.run_body(branches[min(max(int(_decided(index)), 0), len(branches) - 1)], operands)


def _while(call: Call, *values: Any) -> list[Any]:
    condition, body = call.step.bodies
    split = call.params["cond_nconsts"], call.params["cond_nconsts"] + call.params["body_nconsts"]
    for_condition, for_body, carry = values[: split[0]], values[split[0] : split[1]], list(values[split[1] :])
    for _ in range(MOST_ITERATIONS):
        if not bool(_decided(call.run_body(condition, [*for_condition, *carry])[0])):
            return carry
        carry = call.run_body(body, [*for_body, *carry])
    raise Unsupported(f"a loop that runs for more than {MOST_ITERATIONS} iterations")


def _scan(call: Call, *values: Any) -> list[Any]:
    (body,) = call.step.bodies
    split = call.params["num_consts"], call.params["num_consts"] + call.params["num_carry"]
    constants, carry, sequences = values[: split[0]], list(values[split[0] : split[1]]), values[split[1] :]
    kinds = call.in_types[split[1] :]
    length = call.params["length"]
    places = range(length - 1, -1, -1) if call.params["reverse"] else range(length)
    collected: dict[int, list[Any]] = {}
    for i in places:
        entries = [
            call.algebra.rearrange(lambda v, i=i: v[i], x) if kind.floating else x[i]
            for x, kind in zip(sequences, kinds, strict=True)
        ]
        results = call.run_body(body, [*constants, *carry, *entries])
        carry, collected[i] = results[: len(carry)], results[len(carry) :]
    stacked = []
    for position, kind in enumerate(call.out_types[len(carry) :]):
        column = [collected[i][position] for i in range(length)]
        if not length:
            empty = np.zeros(kind.shape, np.int64)
            stacked.append(call.algebra.constant(empty) if kind.floating else empty.astype(kind.dtype))
        elif kind.floating:
            stacked.append(call.algebra.rearrange(lambda *vs: np.stack(vs), *column))
        else:
            stacked.append(np.stack([np.asarray(entry) for entry in column]))
    return [*carry, *stacked]


HANDLERS: dict[str, Handler] = {"cond": _cond, "while": _while, "scan": _scan}
