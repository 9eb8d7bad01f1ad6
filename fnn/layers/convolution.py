"""Convolution over one, two or more spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float

from fnn.convolutions import Geometry, convolve
from fnn.convolutions.geometry import Padding as Padding
from fnn.errors import expect, is_whole
from fnn.layers.lift import stateless
from fnn.layers.linear import check_input, parameter
from fnn.precision import spread
from fnn.types import KeyArray, Model, Params


def conv(
    n_out: int,
    window: Sequence[int] = (3, 3),
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    bias: bool = True,
    w_init: Initializer | None = None,
    b_init: Initializer = jax.nn.initializers.zeros,
) -> Model:
    """Slides ``n_out`` learned windows over the spatial axes of ``x``, channels last.

    y[n, i, j, o] = b[o] + sum over u, v, c of w[u, v, c, o] x[n, i*stride + u*dilation, j*stride + v*dilation, c],
    the cross-correlation that the field calls convolution. ``len(window)`` is the number of spatial axes: ``(3,)`` for
    sequences, ``(3, 3)`` for images. Parameters are ``{"w": (*window, n_in // groups, n_out), "b": (n_out,)}``.

    Args:
        n_out: how many channels come out.
        window: extent of the window along each spatial axis.
        stride: step of the window, one for all axes or one each.
        padding: ``"same"``: zeros around ``x``, so that each axis has ceil(size / stride) positions;
            ``"valid"``: only positions where the window lies inside ``x``.
        dilation: distance between neighbouring taps of the window.
        groups: splits channels into groups that do not see each other; divides ``n_in`` and ``n_out``.
        bias: whether ``b`` is added.
        w_init: draws ``w``; ``None`` for He's normal initialisation over the taps one output sees.
        b_init: draws ``b``.

    Returns:
        A model from ``(batch, *spatial, n_in)`` to ``(batch, *spatial', n_out)``.

    Raises:
        InputError: an argument is out of range; in use, ``x`` has another rank, other channels, or is too small.

    Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 86 (1998).

    Example:
        >>> import jax.numpy as jnp
        >>> layer = conv(8, (3, 3), stride=2)
        >>> x = jnp.ones((1, 28, 28, 1))
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> layer.apply(params, state, x)[0].shape
        (1, 14, 14, 8)
    """
    check_window("conv", window)
    n_axes = len(window)
    strides, dilations = per_axis("conv", "stride", stride, n_axes), per_axis("conv", "dilation", dilation, n_axes)
    taps = per_axis("conv", "window", window, n_axes)
    expect(padding in ("same", "valid"), "conv", 'padding "same" or "valid"', f"padding == {padding!r}")
    expect(is_whole(n_out) and n_out >= 1, "conv", "a whole number n_out >= 1", f"n_out == {n_out!r}")
    divides = is_whole(groups) and groups >= 1 and n_out % groups == 0
    expect(divides, "conv", "groups that divide n_out", f"{groups!r} groups, n_out == {n_out}")
    draw_w = w_init or jax.nn.initializers.he_normal()

    def check(x: Any) -> None:
        check_input("conv", x, at_least=0)
        expect(
            x.ndim == n_axes + 2,
            "conv",
            f"x of shape (batch, {n_axes} spatial axes, channels)",
            f"x.shape == {x.shape}",
        )
        extent = [(tap - 1) * step + 1 for tap, step in zip(taps, dilations, strict=True)]
        fits = all(size >= reach for size, reach in zip(x.shape[1:-1], extent, strict=True))
        expect(
            padding == "same" or fits,
            "conv",
            f"spatial axes of at least {tuple(extent)} (the dilated window)",
            f"x.shape == {x.shape}",
        )

    def init(key: KeyArray, x: Any) -> Params:
        check(x)
        n_in = x.shape[-1]
        expect(n_in % groups == 0, "conv", f"channels that divide into {groups} groups", f"x.shape == {x.shape}")
        key_w, key_b = jax.random.split(key)
        params = {"w": draw_w(key_w, (*taps, n_in // groups, n_out), x.dtype)}
        return params | {"b": b_init(key_b, (n_out,), x.dtype)} if bias else params

    def forward(params: Params, x: Float[Array, "batch *spatial n_in"]) -> Float[Array, "batch *spatial_out n_out"]:
        check(x)
        w = parameter("conv", params, "w")
        expect(
            x.shape[-1] == w.shape[-2] * groups,
            "conv",
            f'x.shape[-1] == {w.shape[-2] * groups} (channels of params["w"])',
            f"x.shape == {x.shape}",
        )
        y = convolve(x, w, Geometry(strides, dilations, padding, groups))
        return y + spread(parameter("conv", params, "b"), y.shape) if bias else y

    return stateless("conv", init, forward)


def check_window(where: str, window: Any) -> None:
    """A window has one entry per spatial axis: one number for all would not say how many there are."""
    sound = _is_sequence(window) and len(window) >= 1
    expect(sound, where, "window to have one entry per spatial axis, such as (3, 3)", f"window == {window!r}")


def per_axis(where: str, what: str, value: Any, n_axes: int) -> tuple[int, ...]:
    """One positive integer per spatial axis, from one for all or from one each."""
    values = tuple(value) if _is_sequence(value) else (value,) * n_axes
    whole = all(is_whole(v) for v in values)
    expect(whole, where, f"{what} to be whole numbers", f"{what} == {value!r}")
    expect(len(values) == n_axes, where, f"{what} with {n_axes} entries, one per axis of window", f"{what} == {value}")
    expect(all(v >= 1 for v in values), where, f"{what} >= 1", f"{what} == {value}")
    return tuple(int(v) for v in values)


def _is_sequence(value: Any) -> bool:
    return (isinstance(value, Sequence) and not isinstance(value, str)) or (
        isinstance(value, np.ndarray) and value.ndim == 1
    )
