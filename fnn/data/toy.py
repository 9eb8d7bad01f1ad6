"""Small data sets for the eye: points of the plane in two classes, logic gates, four-pixel patterns.

The classes of points are 0 and 1, drawn in equal numbers. Everything is drawn from the key alone, so that the same key
gives the same points.
"""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Float

from fnn.errors import InputError, expect
from fnn.types import Batch, KeyArray

PATTERNS = ("solid", "vertical", "diagonal", "horizontal")
"""The classes of :func:`patterns`, in the order of their numbers."""

_GATES = {
    "and": (0, 0, 0, 1),
    "nand": (1, 1, 1, 0),
    "or": (0, 1, 1, 1),
    "nor": (1, 0, 0, 0),
    "xor": (0, 1, 1, 0),
    "xnor": (1, 0, 0, 1),
}


def logic_gate(name: str) -> Batch:
    """The truth table of a gate with two inputs.

    Args:
        name: ``"and"``, ``"nand"``, ``"or"``, ``"nor"``, ``"xor"`` or ``"xnor"``.

    Returns:
        ``Batch(x, y)``: ``x`` float32 (4, 2), the inputs 00, 01, 10, 11; ``y`` float32 (4, 1), the outputs, 0 or 1.

    Raises:
        InputError: there is no such gate.

    Source: deck "Réseaux de neurones, ENS'IA", on logic gates made of one neuron.

    Example:
        >>> logic_gate("and").y[:, 0].tolist()
        [0.0, 0.0, 0.0, 1.0]
    """
    if name not in _GATES:
        raise InputError(f"logic_gate: expected one of {', '.join(_GATES)}, got {name!r}")
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    return Batch(x, np.array(_GATES[name], np.float32)[:, None])


def patterns() -> Batch:
    """The eight images of four pixels that are solid, vertical, diagonal or horizontal; white is 1, black is -1.

    Returns:
        ``Batch(x, y)``: ``x`` float32 (8, 2, 2, 1), ``y`` int32 (8,), numbered as in :data:`PATTERNS`.

    Source: deck "Réseaux de neurones", slides 71 to 78.

    Example:
        >>> batch = patterns()
        >>> batch.x[2, :, :, 0].tolist(), PATTERNS[batch.y[2]]
        ([[1.0, -1.0], [1.0, -1.0]], 'vertical')
    """
    white = np.array([[[1, 1], [1, 1]], [[1, -1], [1, -1]], [[1, -1], [-1, 1]], [[1, 1], [-1, -1]]], np.float32)
    x = np.stack([white, -white], axis=1).reshape(8, 2, 2, 1)
    return Batch(x, np.repeat(np.arange(4, dtype=np.int32), 2))


def xor(key: KeyArray, n: int, *, noise: float = 0.0) -> Batch:
    """Points of the square [-1, 1]^2; class 1 where the coordinates have the same sign. No line separates them.

    Args:
        key: what is drawn.
        n: how many points, even.
        noise: standard deviation of what is added to each coordinate after the class was given.

    Returns:
        ``Batch(x, y)``: ``x`` float32 (n, 2), ``y`` int32 (n,).

    Raises:
        InputError: ``n`` is not even and positive, or ``noise`` negative. So for the other sets.

    Source: deck "Réseaux de neurones", slides 2 and 5; TensorFlow Playground names the same sets.

    Example:
        >>> x, y, _ = xor(jax.random.key(0), 100)
        >>> bool(((x[:, 0] * x[:, 1] > 0) == (y == 1)).all()), int(y.sum())
        (True, 50)
    """
    rng, y = _start("xor", key, n, noise)
    magnitude = rng.uniform(0.05, 1, size=(n, 2))  # a gap at the axes, where a class would be a matter of rounding
    first = rng.choice([-1.0, 1.0], size=n)
    x = magnitude * np.stack([first, first * np.where(y == 1, 1, -1)], axis=1)
    return _finish(rng, x, y, noise)


def circle(key: KeyArray, n: int, *, noise: float = 0.0) -> Batch:
    """Class 1 inside of radius 0.5, class 0 in the ring from 0.7 to 1 around it. Arguments as for :func:`xor`.

    Example:
        >>> x, y, _ = circle(jax.random.key(0), 100)
        >>> bool(((np.hypot(x[:, 0], x[:, 1]) < 0.6) == (y == 1)).all())
        True
    """
    rng, y = _start("circle", key, n, noise)
    radius = np.where(y == 1, rng.uniform(0, 0.5, n), rng.uniform(0.7, 1, n))
    return _finish(rng, _polar(radius, rng.uniform(0, 2 * np.pi, n)), y, noise)


def spiral(key: KeyArray, n: int, *, noise: float = 0.0, turns: float = 1.75) -> Batch:
    """Two spirals in one another, of radius up to 1, half a turn apart. Arguments as for :func:`xor`.

    Args:
        key: what is drawn.
        n: how many points, even.
        noise: as for :func:`xor`.
        turns: how often each winds around the middle; more is harder.

    Example:
        >>> x, y, _ = spiral(jax.random.key(0), 100)
        >>> radius, angle = np.hypot(x[:, 0], x[:, 1]), np.arctan2(x[:, 1], x[:, 0])
        >>> arm = np.cos(angle - radius * 1.75 * 2 * np.pi)  # 1 on the one arm, -1 on the other
        >>> bool(np.allclose(arm, np.where(y == 1, 1, -1), atol=1e-4))
        True
    """
    expect(turns > 0, "spiral", "turns > 0", f"turns == {turns}")
    rng, y = _start("spiral", key, n, noise)
    radius = rng.uniform(0.05, 1, n)
    return _finish(rng, _polar(radius, 2 * np.pi * turns * radius + np.pi * (1 - y)), y, noise)


def gauss(key: KeyArray, n: int, *, noise: float = 0.3) -> Batch:
    """Two clouds around (0.5, 0.5), class 1, and (-0.5, -0.5), class 0. Arguments as for :func:`xor`.

    Example:
        >>> x, y, _ = gauss(jax.random.key(0), 100, noise=0.01)
        >>> bool(((x.sum(axis=1) > 0) == (y == 1)).all())
        True
    """
    rng, y = _start("gauss", key, n, noise)
    return _finish(rng, np.stack([y - 0.5, y - 0.5], axis=1), y, noise)


def moons(key: KeyArray, n: int, *, noise: float = 0.0) -> Batch:
    """Two half circles that reach into one another. Arguments as for :func:`xor`.

    Class 0 is the upper half of the unit circle, class 1 the lower half of the unit circle around (1, 0.5).

    Example:
        >>> x, y, _ = moons(jax.random.key(0), 100)
        >>> lower = x[y == 1] - np.array([1, 0.5], np.float32)
        >>> bool(np.allclose(np.hypot(lower[:, 0], lower[:, 1]), 1, atol=1e-5)), bool((lower[:, 1] <= 0).all())
        (True, True)
    """
    rng, y = _start("moons", key, n, noise)
    upper = _polar(np.ones(n), rng.uniform(0, np.pi, n))
    x = np.where((y == 1)[:, None], np.array([1.0, 0.5])[None] - upper, upper)
    return _finish(rng, x, y, noise)


def _start(where: str, key: KeyArray, n: int, noise: float) -> tuple[np.random.Generator, np.ndarray]:
    expect(n >= 2 and n % 2 == 0, where, "n even and at least 2", f"n == {n}")
    expect(noise >= 0, where, "noise >= 0", f"noise == {noise}")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32).tolist())
    return rng, rng.permutation(np.arange(n) % 2)


def _polar(radius: Float[np.ndarray, " n"], angle: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _finish(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, noise: float) -> Batch:
    x = x + noise * rng.normal(size=x.shape)
    return Batch(x.astype(np.float32), y.astype(np.int32))
