"""What a reader of a proof should know beside the verdict: kinks, stopped gradients, rounded literals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from verify.gradients.branches import Coverage
from verify.gradients.trace import Program, Step

CONVENTIONS: Mapping[str, str] = {
    "max": "where both are equal there is no derivative; JAX gives half to each (jax.nn.relu: 0)",
    "min": "where both are equal there is no derivative; JAX gives half to each",
    "abs": "at 0 there is no derivative; JAX takes 0",
    "sign": "at 0 there is no derivative; JAX takes 0",
    "clamp": "at the bounds there is no derivative; JAX takes 0",
    "reduce_max": "where the largest entries are equal there is no derivative; JAX shares the gradient equally",
    "reduce_min": "where the smallest entries are equal there is no derivative; JAX shares the gradient equally",
    "reduce_window_max": "where the largest entries are equal there is no derivative; JAX gives all to the first",
    "reduce_window_min": "where the smallest entries are equal there is no derivative; JAX gives all to the first",
    "cummax": "where entries are equal there is no derivative; JAX follows the order of its tree",
    "cummin": "where entries are equal there is no derivative; JAX follows the order of its tree",
    "sort": "where entries are equal there is no derivative; JAX keeps their order",
    "top_k": "where entries are equal there is no derivative; JAX takes the first",
}
"""JAX's convention where a primitive has a kink."""

_BRANCH = (
    "a branch: at the boundary itself the derivative need not exist, and JAX takes the side that the comparison takes"
)


def steps_of(program: Program) -> Iterator[Step]:
    """All steps, those of loops and branches too."""
    for step in program.steps:
        yield step
        for body in step.bodies:
            yield from steps_of(body)


def stopped(program: Program) -> list[str]:
    """Where ``stop_gradient`` stands in a program, by source line."""
    lines = [step.source or "?" for step in steps_of(program) if step.primitive == "stop_gradient"]
    return list(dict.fromkeys(lines))


_QUANTISERS = frozenset({"round", "floor", "ceil", "sign", "lt", "le", "gt", "ge", "argmax"})


def quantises(program: Program) -> bool:
    """Does the program round or take signs, so that what it stops looks like a straight-through trick?"""
    return any(step.primitive in _QUANTISERS for step in steps_of(program))


def kinks(program: Program, coverage: Coverage) -> list[str]:
    """One remark for every source line at which the function may have a kink."""
    own = {id(step) for step in steps_of(program)}
    found: dict[str, None] = {}
    for site in coverage.sites.values():
        if id(site.step) in own and site.moves.any() and site.above.any() and site.below.any():
            what = site.step.call if site.step.call in _NAMED else site.step.primitive
            convention = _NAMED.get(what) or CONVENTIONS.get(site.step.primitive, _BRANCH)
            where = f" at {site.step.source}" if site.step.source else ""
            found[f"kink: {what}{where}: {convention}"] = None
    return list(found)


def sampled(coverage: Coverage) -> list[str]:
    """One remark for every source line to which whole numbers (argmax, floor, a bin) go that the inputs decide."""
    lines = dict.fromkeys(step.source or step.primitive for step in coverage.varied.values())
    return [
        f"whole numbers computed from the inputs decide at {line}: those that occurred at the points examined were "
        "looked at, no others"
        for line in lines
    ]


def undriven(coverage: Coverage) -> list[str]:
    """One remark for every source line at which conditions are joined in a way that is not driven."""
    return [
        f"masks are multiplied at {line}: the conditions behind them are not driven jointly"
        for line in coverage.study.products
    ]


_NAMED: Mapping[str, str] = {
    "relu": "at 0 there is no derivative; JAX takes 0",
    "relu6": "at 0 and 6 there is no derivative; JAX takes 0",
}
