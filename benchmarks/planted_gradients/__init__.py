"""Wrong gradients on purpose: what a gradient checker should find, drawn from a seed.

Each is a ``jax.custom_vjp`` whose forward pass is right and whose backward pass has one mistake. Some mistakes are a
function's own (:mod:`benchmarks.planted_gradients.functions`), the others fit any: a constant 0.5 % off, a dropped
cotangent, a sign, a stale value, a zeroed entry. Used by this package's tests, and by
``benchmarks/gradient_checkers.py`` to put checkers side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.planted_gradients.functions import FUNCTIONS, Arrays, Function

__all__ = ["FUNCTIONS", "GENERAL", "Planted", "draw", "example", "right", "rule"]


@dataclass(frozen=True)
class Planted:
    """One wrong rule.

    Attributes:
        function: what it is a rule for.
        kind: the mistake.
        argument: which argument's cotangent has it (of general mistakes; 0 for a function's own).
        apply: the function with the wrong rule.
    """

    function: Function
    kind: str
    argument: int
    apply: Callable[..., Any]

    @property
    def name(self) -> str:
        """For tables: "layer_norm: sign (argument 1)"."""
        return f"{self.function.name}: {self.kind} (argument {self.argument})"


def rule(function: Function, backward: Callable[[Arrays, Any], Arrays]) -> Callable[..., Any]:
    """``function`` with ``backward`` as its custom rule."""
    wrapped: Any = jax.custom_vjp(function.forward)

    def forward(*args: Any) -> tuple[Any, Arrays]:
        return function.forward(*args), args

    def pullback(args: Arrays, ct: Any) -> Arrays:
        return backward(tuple(jnp.asarray(a) for a in args), jnp.asarray(ct))  # some checkers hand in NumPy arrays

    wrapped.defvjp(forward, pullback)
    wrapped.__name__ = function.name
    applied: Callable[..., Any] = wrapped
    return applied


def right(function: Function) -> Callable[..., Any]:
    """The correct twin: the hand-written rule as it stands in the textbook."""
    return rule(function, lambda args, ct: function.backward(args, ct))


def example(function: Function, seed: int = 0) -> list[Any]:
    """Arguments of the right shapes (float32, or float64 where JAX is set to it)."""
    generator = np.random.default_rng(seed)
    values = [generator.standard_normal(shape) for shape in function.shapes]
    return [jnp.asarray(np.abs(v) + 0.1 if function.positive else v, jnp.result_type(float)) for v in values]


def _spot(x: Any, generator: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(generator.integers(n)) for n in x.shape)


Change = Callable[[Function, Arrays, Any, int, np.random.Generator], Arrays]
"""The wrong backward pass: (function, args, ct, argument, generator) -> cotangents."""


def _changed(function: Function, args: Arrays, ct: Any, argument: int, change: Callable[[Any], Any]) -> Arrays:
    cotangents = list(function.backward(args, ct))
    cotangents[argument] = change(cotangents[argument])
    return tuple(cotangents)


def _on_gradient(change: Callable[[Any, Any, np.random.Generator], Any]) -> Change:
    def make(function: Function, args: Arrays, ct: Any, argument: int, generator: np.random.Generator) -> Arrays:
        return _changed(function, args, ct, argument, lambda g: change(g, args[argument], generator))

    return make


def _on_cotangent(change: Callable[[Any], Any]) -> Change:
    def make(function: Function, args: Arrays, ct: Any, argument: int, generator: np.random.Generator) -> Arrays:
        return function.backward(args, change(ct))

    return make


def _stale(function: Function, args: Arrays, ct: Any, argument: int, generator: np.random.Generator) -> Arrays:
    old = [0.9 * a if i == argument else a for i, a in enumerate(args)]
    return function.backward(tuple(old), ct)


GENERAL: Mapping[str, Change] = {
    "constant 0.5 % off": _on_gradient(lambda g, x, r: 1.005 * g),
    "constant 0.001 % off": _on_gradient(lambda g, x, r: 1.00001 * g),
    "sign": _on_gradient(lambda g, x, r: -g),
    "sign of one entry": _on_gradient(lambda g, x, r: g.at[_spot(g, r)].multiply(-1.0)),
    "zeroed entry": _on_gradient(lambda g, x, r: g.at[_spot(g, r)].set(0.0)),
    "all zero": _on_gradient(lambda g, x, r: jnp.zeros_like(g)),
    "additive constant": _on_gradient(lambda g, x, r: g + 1e-3),
    "reversed": _on_gradient(lambda g, x, r: jnp.flip(g)),
    "wrong in one branch": _on_gradient(lambda g, x, r: jnp.where(x > 1.5, 1.1 * g, g)),
    "clipped gradient": _on_gradient(lambda g, x, r: jnp.clip(g, -0.5, 0.5)),
    "dropped cotangent": _on_cotangent(jnp.ones_like),
    "squared cotangent": _on_cotangent(lambda ct: ct * jnp.abs(ct)),
    "cotangent of another entry": _on_cotangent(lambda ct: jnp.roll(ct, 1) if ct.size > 1 else 2 * ct),
    "stale value": _stale,
}
"""Mistakes that fit every function. The same draw makes the same mistake: the generator is seeded for each trace."""

_MAY_BE_NONE = frozenset(
    {
        "sign of one entry",
        "zeroed entry",
        "reversed",
        "cotangent of another entry",
        "stale value",
        "clipped gradient",
        "wrong in one branch",
    }
)
"""General mistakes that some functions do not notice: the gradient of an entry may be 0, or depend on nothing."""


def draw(seed: int, count: int) -> list[Planted]:
    """``count`` wrong rules: every function's own mistakes first, then general ones, at random.

    A mistake that would change nothing (a stale value that the gradient does not depend on) is not drawn: where that
    can be, JAX is asked whether the rule gives other numbers than the right one.

    Example:
        >>> [planted.name for planted in draw(0, 2)]
        ['gelu: wrong power (argument 0)', 'relu: shifted branch (argument 0)']
    """
    generator = np.random.default_rng(seed)
    drawn = [
        Planted(function, kind, 0, _with_knobs(function, dict(knobs)))
        for function in FUNCTIONS
        for kind, knobs in function.mistakes.items()
    ]
    seen: set[tuple[str, str, int]] = set()
    while len(drawn) < count:
        function = FUNCTIONS[int(generator.integers(len(FUNCTIONS)))]
        kind = list(GENERAL)[int(generator.integers(len(GENERAL)))]
        argument = int(generator.integers(len(function.shapes)))
        key = (function.name, kind, argument)
        if key in seen:
            continue
        seen.add(key)
        spot = int(generator.integers(1 << 30))
        planted = Planted(function, kind, argument, _with_change(function, GENERAL[kind], argument, spot))
        if kind not in _MAY_BE_NONE or _differs(planted):
            drawn.append(planted)
    return drawn[:count]


def _with_knobs(function: Function, knobs: dict[str, Any]) -> Callable[..., Any]:
    return rule(function, lambda args, ct: function.backward(args, ct, **knobs))


def _with_change(function: Function, change: Change, argument: int, spot: int) -> Callable[..., Any]:
    return rule(function, lambda args, ct: change(function, args, ct, argument, np.random.default_rng(spot)))


def _differs(planted: Planted) -> bool:
    """Does the wrong rule give other numbers than the right one, at a wide point?"""
    args = [2.0 * a for a in example(planted.function)]
    value = planted.function.forward(*args)
    ct = jnp.asarray(np.random.default_rng(1).standard_normal(value.shape), value.dtype)
    wrong = jax.vjp(planted.apply, *args)[1](ct)
    good = planted.function.backward(tuple(args), ct)
    pairs = zip(wrong, good, strict=True)
    return any(float(jnp.max(jnp.abs(a - b))) > 1e-6 * float(jnp.max(jnp.abs(b))) + 1e-12 for a, b in pairs)
