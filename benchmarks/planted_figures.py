"""Worked examples made at random, with one planted mistake or none: what the diagnosis is measured on.

The figures come from plain NumPy written here, mistakes included; nothing of ``verify`` takes part in making them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

KINDS = (
    "missing-factor: activation derivative",
    "missing-factor: input",
    "missing-factor: 1/2 of the loss",
    "missing-path",
    "product-for-sum",
    "sign: output error",
    "sign: hidden error",
    "wrong-variable: 1 - y for 1 - a",
    "wrong-variable: z for a",
    "transposed",
    "index-shift",
    "swapped: inputs",
    "swapped: targets",
    "wrong-given",
    "ascent",
    "sequential-update",
    "biases-fixed",
    "step-count",
    "rounded-intermediates",
    "derivative-at-output",
)


@dataclass(frozen=True)
class Network:
    """A dense network: numbers with few decimals, as a slide has them."""

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    x: Array
    y: Array
    rate: float

    @property
    def depth(self) -> int:
        return len(self.weights)

    @property
    def loss(self) -> str:
        last = self.depth
        if self.activations[-1] == "softmax":
            return f"-sum(y*log(a{last}))"
        return f"1/2*sum((y - a{last})**2)"


@dataclass(frozen=True)
class Planted:
    """A worked-example file with figures from a mistaken computation.

    Attributes:
        toml: the file's text.
        kind: the planted mistake, ``name: where``; None where there is none.
        changed: whether any printed figure differs from the right one.
    """

    toml: str
    kind: str | None
    changed: bool

    @property
    def mistake(self) -> str | None:
        """The name that the diagnosis has to find."""
        return None if self.kind is None else self.kind.partition(":")[0]


@dataclass
class _Run:
    """One computation, mistakes included; ``figures`` holds what gets printed."""

    network: Network
    kind: str | None
    layer: int = 1
    unit: int = 0
    digits: int | None = None
    figures: dict[str, float] = field(default_factory=dict)

    def keep(self, value: Any) -> Any:
        return value if self.digits is None else np.vectorize(lambda v: round_half_up(v, self.digits or 0))(value)

    def is_(self, kind: str) -> bool:
        return self.kind == kind


def draw(seed: int, kind: str | None, digits: int = 9) -> Planted | None:
    """One example; None where the mistake cannot be made in the network that was drawn, or changes no digit.

    Args:
        seed: everything else follows from it.
        kind: one of :data:`KINDS`, or None for a computation without a mistake.
        digits: significant digits printed.
    """
    rng = np.random.default_rng(seed)
    network = _network(rng)
    layer = int(rng.integers(1, network.depth + 1))
    unit = int(rng.integers(0, network.widths[layer]))
    right = _compute(_Run(network, None))
    run = _Run(network, kind, layer, unit)
    shown = network
    if kind == "rounded-intermediates":
        run.digits = int(rng.integers(3, 6))
    elif kind == "wrong-given":
        run.network = _misread(network, rng)
    elif kind in ("swapped: inputs", "swapped: targets"):
        swapped = _swap(network, kind)
        if swapped is None:
            return None
        run.network = swapped
    wrong = _compute(run)
    if wrong is None or right is None:
        return None
    names = _choose(rng, list(right))
    printed = {name: significant(wrong[name], digits) for name in names if np.isfinite(wrong[name])}
    changed = any(text != significant(right[name], digits) for name, text in printed.items())
    if kind is not None and not changed:
        return None
    return Planted(_toml(shown, printed), kind, changed)


def _network(rng: np.random.Generator) -> Network:
    depth = int(rng.integers(1, 4))
    widths = tuple(int(w) for w in rng.integers(2, 4, size=depth + 1))
    hidden = [str(rng.choice(["sigmoid", "tanh", "relu"])) for _ in range(depth - 1)]
    last = str(rng.choice(["sigmoid", "tanh", "softmax"]))
    weights = tuple(_decimals(rng, (widths[i + 1], widths[i])) for i in range(depth))
    biases = tuple(_decimals(rng, (widths[i + 1],)) for i in range(depth))
    x = _decimals(rng, (widths[0],))
    if last == "softmax":
        y = np.eye(widths[-1])[int(rng.integers(widths[-1]))]
    else:
        y = np.round(rng.uniform(0.05, 0.95, widths[-1]), 2)
    rate = float(rng.choice([0.1, 0.2, 0.5, 1.0]))
    return Network(widths, (*hidden, last), weights, biases, x, y, rate)


def _decimals(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Two decimals, none of them zero, none equal to another of the array."""
    count = int(np.prod(shape))
    pool = np.concatenate([np.arange(-95, -4), np.arange(5, 96)])
    return np.asarray(rng.choice(pool, size=count, replace=False).reshape(shape) / 100.0)


def _misread(network: Network, rng: np.random.Generator) -> Network:
    layer = int(rng.integers(network.depth))
    weights = [w.copy() for w in network.weights]
    index = tuple(int(rng.integers(n)) for n in weights[layer].shape)
    old = weights[layer][index]
    weights[layer][index] = round(float(old + rng.choice([-0.3, -0.1, 0.05, 0.1, 0.2])), 2)
    return Network(
        network.widths, network.activations, tuple(weights), network.biases, network.x, network.y, network.rate
    )


def _swap(network: Network, kind: str) -> Network | None:
    x, y = network.x.copy(), network.y.copy()
    target = x if kind == "swapped: inputs" else y
    if target[0] == target[1]:
        return None
    target[[0, 1]] = target[[1, 0]]
    return Network(network.widths, network.activations, network.weights, network.biases, x, y, network.rate)


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z, a: a * (1 - a)),
    "tanh": (np.tanh, lambda z, a: 1 - a * a),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z, a: (z > 0) * 1.0),
}


def _compute(run: _Run) -> dict[str, float] | None:
    """All figures of one update and the loss after it, or None where the mistake has no place in this network."""
    network = run.network
    weights, biases = list(network.weights), list(network.biases)
    updates = 1
    if run.is_("step-count"):
        updates = 2 + run.unit
    for step in range(updates):
        done = _iteration(run, weights, biases, record=step == 0)
        if done is None:
            return None
        weights, biases = done
    for i in range(network.depth):
        _store(run.figures, f"W{i + 1}", weights[i], " after 1")
        _store(run.figures, f"b{i + 1}", biases[i], " after 1")
    _, activations = _forward(run, weights, biases)
    run.figures["E after 1"] = _loss(run, activations[-1])
    return run.figures


def _forward(run: _Run, weights: list[Array], biases: list[Array]) -> tuple[list[Array], list[Array]]:
    sums, values = [], [run.network.x]
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        z = run.keep(w @ values[-1] + b)
        name = run.network.activations[i]
        a = np.exp(z) / np.exp(z).sum() if name == "softmax" else ACTIVATIONS[name][0](z)
        sums.append(z)
        values.append(run.keep(a))
    return sums, values


def _loss(run: _Run, a: Array) -> float:
    y = run.network.y
    if run.network.activations[-1] == "softmax":
        value = -float(np.sum(y * np.log(a)))
    else:
        value = float(np.sum((y - a) ** 2)) * (1.0 if run.is_("missing-factor: 1/2 of the loss") else 0.5)
    return float(run.keep(value))


def _iteration(
    run: _Run, weights: list[Array], biases: list[Array], record: bool
) -> tuple[list[Array], list[Array]] | None:
    network, depth = run.network, run.network.depth
    sums, values = _forward(run, weights, biases)
    figures: dict[str, float] = {}
    for i in range(depth):
        _store(figures, f"z{i + 1}", sums[i])
        _store(figures, f"a{i + 1}", values[i + 1])
    figures["E"] = _loss(run, values[-1])
    deltas: list[Array] = [np.zeros(0)] * depth
    new_weights, new_biases = list(weights), list(biases)
    for i in reversed(range(depth)):
        upstream = None if i == depth - 1 else deltas[i + 1]
        carrier = new_weights if run.is_("sequential-update") else weights
        delta = _delta(run, i, sums[i], values[i + 1], upstream, carrier)
        if delta is None:
            return None
        deltas[i] = run.keep(delta)
        gradient = np.outer(deltas[i], values[i])
        if i + 1 == run.layer:
            if run.is_("missing-factor: input"):
                gradient = np.outer(deltas[i], np.ones_like(values[i]))
            if run.is_("index-shift"):
                gradient = np.outer(deltas[i], np.append(values[i][1:], values[i][-1]))  # the last has no next
        gradient = run.keep(gradient)
        _store(figures, f"z{i + 1}", deltas[i], slope=True)
        _store(figures, f"W{i + 1}", gradient, slope=True)
        direction = 1.0 if run.is_("ascent") else -1.0
        new_weights[i] = run.keep(weights[i] + direction * network.rate * gradient)
        if not run.is_("biases-fixed"):
            new_biases[i] = run.keep(biases[i] + direction * network.rate * deltas[i])
    if run.is_("sequential-update") and depth == 1:
        return None
    if record:
        run.figures.update(figures)
    return new_weights, new_biases


def _delta(run: _Run, i: int, z: Array, a: Array, upstream: Array | None, weights: list[Array]) -> Array | None:
    """dE/dz of layer i + 1, with the mistake in it if it belongs here; None where it cannot be made here."""
    network, here = run.network, i + 1 == run.layer
    name, y = network.activations[i], network.y
    if name == "softmax":
        impossible = (
            "missing-factor: activation derivative",
            "missing-factor: 1/2 of the loss",
            "wrong-variable: 1 - y for 1 - a",
            "wrong-variable: z for a",
            "derivative-at-output",
            "sign: output error",
        )
        if run.kind in impossible and (here or "output" in str(run.kind) or "loss" in str(run.kind)):
            return None
        return a * y.sum() - y
    slope = ACTIVATIONS[name][1](z, a)
    if upstream is None:
        error = a - y
        if run.is_("sign: output error"):
            error = y - a
        if run.is_("missing-factor: 1/2 of the loss"):
            error = 2 * error
    else:
        error = _propagate(run, weights[i + 1], upstream, here)
        if error is None:
            return None
    if here:
        if run.is_("missing-factor: activation derivative"):
            if name == "relu":
                return None
            slope = np.ones_like(slope)
        elif run.is_("wrong-variable: 1 - y for 1 - a"):
            if name != "sigmoid" or upstream is not None:
                return None
            slope = a * (1 - y)
        elif run.is_("wrong-variable: z for a"):
            if name == "relu":
                return None
            slope = ACTIVATIONS[name][1](z, z)
        elif run.is_("derivative-at-output"):
            if name == "relu":
                return None
            slope = ACTIVATIONS[name][1](a, ACTIVATIONS[name][0](a))
    if (
        upstream is None
        and run.kind in ("missing-path", "product-for-sum", "transposed", "sign: hidden error")
        and here
    ):
        return None
    return run.keep(error) * slope


def _propagate(run: _Run, w: Array, upstream: Array, here: bool) -> Array | None:
    terms = w * upstream[:, None]  # one row a path
    if here:
        if run.is_("missing-path"):
            return np.asarray(terms.sum(0) - terms[run.unit % len(terms)])
        if run.is_("product-for-sum"):
            return np.asarray(terms.prod(0))
        if run.is_("transposed"):
            return None if w.shape[0] != w.shape[1] else np.asarray(w @ upstream)
        if run.is_("sign: hidden error"):
            return np.asarray(-terms.sum(0))
    return np.asarray(terms.sum(0))


def _store(figures: dict[str, float], name: str, values: Array, after: str = "", slope: bool = False) -> None:
    for index, value in np.ndenumerate(values):
        entry = f"{name}[{','.join(str(i + 1) for i in index)}]"
        figures[f"dE/d{entry}" if slope else entry + after] = float(value)


def _choose(rng: np.random.Generator, names: list[str]) -> list[str]:
    """What a slide prints: the loss twice, the errors, and some of the rest."""
    kept = [n for n in names if n.startswith(("E", "dE/dz"))]
    others = [n for n in names if n not in kept]
    some = set(rng.choice(others, size=max(1, int(0.6 * len(others))), replace=False))
    return [n for n in names if n in kept or n in some]


def round_half_up(value: float, places: int) -> float:
    """As by hand."""
    return float(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP))


def significant(value: float, digits: int) -> str:
    """So many significant digits, in plain or exponent form, as Python prints them."""
    if value == 0:
        return "0"
    magnitude = Decimal(repr(float(value))).adjusted()
    places = digits - 1 - magnitude
    if places > 30 or places < 0:
        return f"{value:.{digits - 1}e}"
    return f"{Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP):f}"


def _toml(network: Network, printed: dict[str, str]) -> str:
    def array(values: Array) -> str:
        if values.ndim == 2:
            return "[" + ", ".join(array(row) for row in values) + "]"
        return "[" + ", ".join(f'"{v:g}"' for v in values) + "]"

    lines = ['id = "planted"', 'title = "A random network"', 'source = "a seeded generator"', "[given]"]
    lines += [f"x = {array(network.x)}", f"y = {array(network.y)}"]
    for i in range(network.depth):
        lines += [f"W{i + 1} = {array(network.weights[i])}", f"b{i + 1} = {array(network.biases[i])}"]
    lines.append("[compute]")
    for i, activation in enumerate(network.activations):
        lines.append(f'z{i + 1} = "W{i + 1} @ {"x" if i == 0 else f"a{i}"} + b{i + 1}"')
        lines.append(f'a{i + 1} = "{activation}(z{i + 1})"')
    lines.append(f'E = "{network.loss}"')
    parameters = ", ".join(f'"W{i + 1}", "b{i + 1}"' for i in range(network.depth))
    lines += ["[learn]", 'loss = "E"', f'rate = "{network.rate:g}"', f"parameters = [{parameters}]"]
    for what, text in printed.items():
        lines += ["[[claims]]", "slide = 1", f'what = "{what}"', f'printed = "{text}"']
    return "\n".join(lines)
