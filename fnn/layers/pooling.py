"""Pooling: each window of each channel becomes one number, its largest or its mean."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnn.errors import expect
from fnn.layers.convolution import Padding, check_window, per_axis
from fnn.layers.lift import stateless
from fnn.layers.linear import check_input
from fnn.precision import at_least_float32
from fnn.types import Model, Params


def max_pool(
    window: Sequence[int] = (2, 2), *, stride: int | Sequence[int] | None = None, padding: Padding = "valid"
) -> Model:
    """The largest number of each window.

    Where several are largest, the gradient is shared among them if windows do not overlap, and goes to the first
    of them if they do: both are subgradients, and each is what is fast in its case.

    Args:
        window: extent along each spatial axis; its length is the number of spatial axes.
        stride: step of the window; ``None`` for windows that touch and do not overlap.
        padding: ``"valid"``: only windows inside ``x``; ``"same"``: ceil(size / stride) windows, padding never wins.

    Returns:
        A model from ``(batch, *spatial, channels)`` to ``(batch, *spatial', channels)``, without parameters.

    Raises:
        InputError: an argument is out of range; in use, ``x`` has another rank or is smaller than a window.

    Example:
        >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> max_pool((2, 2)).apply({}, {}, x)[0].reshape(-1).tolist()
        [5.0, 7.0, 13.0, 15.0]
    """
    taps, strides = _geometry("max_pool", window, stride, padding)

    def forward(params: Params, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch *pooled channels"]:
        _check("max_pool", x, taps, padding)
        if taps == strides:
            return _paired(jnp.maximum, _places(x, taps, padding, -jnp.inf))
        y: Array = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, *taps, 1), (1, *strides, 1), padding.upper())
        return y

    return stateless("max_pool", lambda key, x: {}, forward)


def average_pool(
    window: Sequence[int] = (2, 2), *, stride: int | Sequence[int] | None = None, padding: Padding = "valid"
) -> Model:
    """The mean of each window; padding is not counted in.

    Args:
        window: extent along each spatial axis; its length is the number of spatial axes.
        stride: step of the window; ``None`` for windows that touch and do not overlap.
        padding: ``"valid"``: only windows inside ``x``; ``"same"``: ceil(size / stride) windows.

    Returns:
        A model from ``(batch, *spatial, channels)`` to ``(batch, *spatial', channels)``, without parameters.

    Raises:
        InputError: an argument is out of range; in use, ``x`` has another rank or is smaller than a window.

    Example:
        >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> average_pool((2, 2)).apply({}, {}, x)[0].reshape(-1).tolist()
        [2.5, 4.5, 10.5, 12.5]
    """
    taps, strides = _geometry("average_pool", window, stride, padding)

    def total(x: Array) -> Array:
        wide = x.astype(at_least_float32(x.dtype))
        sums: Array = jax.lax.reduce_window(wide, 0.0, jax.lax.add, (1, *taps, 1), (1, *strides, 1), padding.upper())
        return sums

    def forward(params: Params, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch *pooled channels"]:
        _check("average_pool", x, taps, padding)
        if padding == "valid":
            if taps == strides:
                return _mean_of_touching(taps, x)
            return (total(x) / math.prod(taps)).astype(x.dtype)
        y = total(x)
        return (y / jnp.broadcast_to(total(jnp.ones((1, *x.shape[1:-1], 1), x.dtype)), y.shape)).astype(x.dtype)

    return stateless("average_pool", lambda key, x: {}, forward)


def global_average_pool() -> Model:
    """The mean of each channel over all its places: from images of any size to one vector each.

    Returns:
        A model from ``(batch, *spatial, channels)`` to ``(batch, channels)``, without parameters.

    Raises:
        InputError: in use, ``x`` has no spatial axis, or no place to take the mean of.

    Source: M. Lin et al., "Network in network", ICLR 2014, section 3.2.

    Example:
        >>> x = jnp.arange(8.0).reshape(1, 2, 2, 2)
        >>> global_average_pool().apply({}, {}, x)[0].tolist()
        [[3.0, 4.0]]
    """
    return _global("global_average_pool", jnp.mean)


def global_max_pool() -> Model:
    """The largest number of each channel over all its places. At a tie the gradient is shared among the largest.

    Returns:
        A model from ``(batch, *spatial, channels)`` to ``(batch, channels)``, without parameters.

    Raises:
        InputError: in use, ``x`` has no spatial axis, or no place to take the maximum of.

    Source: deck "Introduction à l'apprentissage profond", on kinds of pooling.

    Example:
        >>> x = jnp.arange(8.0).reshape(1, 2, 2, 2)
        >>> global_max_pool().apply({}, {}, x)[0].tolist()
        [[6.0, 7.0]]
    """
    return _global("global_max_pool", jnp.max)


def _global(where: str, function: Callable[..., Array]) -> Model:
    def forward(params: Params, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch channels"]:
        check_input(where, x, at_least=0)
        fits = x.ndim >= 3 and 0 not in x.shape[1:-1]
        expect(fits, where, "x of shape (batch, at least one spatial axis, channels)", f"x.shape == {x.shape}")
        return function(x, axis=tuple(range(1, x.ndim - 1)))

    return stateless(where, lambda key, x: {}, forward)


def _geometry(
    where: str, window: Sequence[int], stride: int | Sequence[int] | None, padding: Padding
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    check_window(where, window)
    expect(padding in ("same", "valid"), where, 'padding "same" or "valid"', f"padding == {padding!r}")
    taps = per_axis(where, "window", window, len(window))
    return taps, taps if stride is None else per_axis(where, "stride", stride, len(window))


def _check(where: str, x: Any, taps: tuple[int, ...], padding: Padding) -> None:
    check_input(where, x, at_least=0)
    rank = len(taps) + 2
    expect(x.ndim == rank, where, f"x of shape (batch, {len(taps)} spatial axes, channels)", f"x.shape == {x.shape}")
    fits = all(size >= tap for size, tap in zip(x.shape[1:-1], taps, strict=True))
    expect(padding == "same" or fits, where, f"spatial axes of at least {taps} (the window)", f"x.shape == {x.shape}")


def _places(x: Array, taps: tuple[int, ...], padding: Padding, filling: float) -> list[Array]:
    """For each place in a window the numbers at this place of all windows, which touch and do not overlap.

    What does not fill a window is cut off, or filled up. On CPU, forward and backward, a network whose pooling is the
    maximum of such slices trains nearly twice as fast as one in which a window slides.
    """
    sizes = x.shape[1:-1]
    if padding == "same":
        missing = [-size % tap for size, tap in zip(sizes, taps, strict=True)]
        # As XLA's "SAME" does: of an odd number of missing places, the larger half comes after.
        width = [(0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)]
        x = jnp.pad(x, width, constant_values=filling) if any(missing) else x
    ends = [size // tap * tap for size, tap in zip(x.shape[1:-1], taps, strict=True)]
    return [
        x[(slice(None), *(slice(at, end, tap) for at, end, tap in zip(place, ends, taps, strict=True)))]
        for place in itertools.product(*map(range, taps))
    ]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _mean_of_touching(taps: tuple[int, ...], x: Array) -> Array:
    return _paired(jnp.add, _places(x, taps, "valid", 0.0)) / math.prod(taps)


@_mean_of_touching.defjvp
def _tangent_of_mean(taps: tuple[int, ...], primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """With windows as axes of their own: slower, but the gradient is then each mean's, spread over its window at once.

    That of slices is a sum of arrays that are mostly zeros, in bfloat16 some ten times slower.
    """
    (t,) = tangents
    ends = [size // tap * tap for size, tap in zip(t.shape[1:-1], taps, strict=True)]
    t = t[(slice(None), *map(slice, ends))]
    windows = itertools.chain.from_iterable((end // tap, tap) for end, tap in zip(ends, taps, strict=True))
    t = t.reshape(t.shape[0], *windows, t.shape[-1])
    return _mean_of_touching(taps, *primals), t.sum(tuple(range(2, t.ndim - 1, 2))) / math.prod(taps)


def _paired(function: Callable[[Array, Array], Array], parts: list[Array]) -> Array:
    """Two by two, and the results two by two: where four are equally large, each gets a quarter of the gradient."""
    while len(parts) > 1:
        odd = parts[len(parts) - 1 :] if len(parts) % 2 else []
        parts = [function(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)] + odd
    return parts[0]
