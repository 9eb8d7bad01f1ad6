"""Convolutions of an image spread out with zeros, as one convolution of the image itself.

The gradient of a convolution of stride d by its input, and a transposed convolution, are written as a convolution of
an image between whose numbers d - 1 zeros lie (``lhs_dilation``); XLA's CPU compiler multiplies by these. With a window
w of K taps and padding p before, along one axis,

    y[o] = sum over k of w[k] x[(o + k - p) / d],    k such that d divides o + k - p.

With o = d q + r, 0 <= r < d, s = ceil(-p / d) and k = p + d (t + s) - r this is

    y[d q + r] = sum over t of v[t, r] x[q + t + s],    v[t, r] = w[p + d (t + s) - r], 0 where w has no such tap:

a convolution with T = ceil((K + d - 1 - p - d s) / d) taps and d times the channels, which are then put in between each
other. In two dimensions, a window of 3 x 3 and d = 2 take 16 multiplications per number of x where there were 36. What
is not finite spreads to more places: T d of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from jax import lax


def compact(
    x: Any,
    w: Any,
    convolve: Callable[..., Any],
    *,
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    window_strides: Sequence[int],
    rhs_dilation: Sequence[int],
    **params: Any,
) -> Any:
    """A convolution with channels last, without dilation of what is convolved.

    Args:
        x: of shape (batch, spatial axes, channels).
        w: of shape (taps, channels, channels out).
        convolve: computes the convolution that is left, from the same arguments but this.
        padding: pairs, one per spatial axis; negative ones cut off.
        lhs_dilation: one number per spatial axis, as are the next two.
        window_strides: steps of the window.
        rhs_dilation: distances of its taps.
        **params: the other parameters of the ``conv_general_dilated``.

    Returns:
        The result; ``None`` if there is no dilation of ``x``, a stride or a dilation of ``w`` besides, or a
        window larger than ``x``, as weight gradients have, or nothing that is wanted or seen.
    """
    sizes, taps = x.shape[1:-1], w.shape[:-2]
    is_plain = {*window_strides, *rhs_dilation} == {1}
    if max(lhs_dilation) == 1 or not is_plain or any(n < 1 or k > n for n, k in zip(sizes, taps, strict=True)):
        return None
    as_before = {"window_strides": window_strides, "rhs_dilation": rhs_dilation, **params}
    ones = (1,) * len(sizes)
    if set(taps) == {1}:  # most of what follows would be zeros
        y = convolve(x, w, padding=((0, 0),) * len(sizes), lhs_dilation=ones, **as_before)
        config = [(*pair, d - 1) for pair, d in zip(padding, lhs_dilation, strict=True)]
        return lax.pad(y, y.dtype.type(0), [(0, 0, 0), *config, (0, 0, 0)])
    margins, spread, wanted, places = [], [], [], []
    for n, k, d, (low, high) in zip(sizes, taps, lhs_dilation, padding, strict=True):
        n_out = (n - 1) * d + 1 + low + high - k + 1
        shift = -(low // d)  # s
        before = d - 1 - low - d * shift  # taps that w does not have, ahead of its first
        n_taps, n_places = -(-(k + before) // d), -(-n_out // d)
        margins.append((before, n_taps * d - k - before, 0))
        spread.append((-shift, n_places + n_taps + shift - 1 - n))
        wanted.append(n_out)
        places.append(n_places)
    cut = [(min(low, 0), min(high, 0), 0) for low, high in spread]
    if min(wanted) < 1 or any(n + low + high < 1 for n, (low, high, _) in zip(sizes, cut, strict=True)):
        return None
    x = lax.pad(x, x.dtype.type(0), [(0, 0, 0), *cut, (0, 0, 0)])
    y = convolve(
        x,
        _of_phases(lax.pad(w, w.dtype.type(0), [*margins, (0, 0, 0), (0, 0, 0)]), lhs_dilation),
        padding=tuple((max(low, 0), max(high, 0)) for low, high in spread),
        lhs_dilation=ones,
        **as_before,
    )
    return lax.slice(_interleaved(y, places, lhs_dilation), (0,) * x.ndim, (len(x), *wanted, w.shape[-1]))


def _of_phases(w: Any, dilation: Sequence[int]) -> Any:
    """v, of shape (taps, channels, phases times channels out), of a window whose sizes the dilation divides."""
    n_axes = len(dilation)
    shape = [size for n, d in zip(w.shape, dilation, strict=False) for size in (n // d, d)]
    phases = tuple(range(1, 2 * n_axes, 2))
    v = lax.rev(lax.reshape(w, (*shape, *w.shape[-2:])), phases)
    v = lax.transpose(v, (*range(0, 2 * n_axes, 2), 2 * n_axes, *phases, 2 * n_axes + 1))
    return lax.reshape(v, (*shape[::2], w.shape[-2], prod(dilation) * w.shape[-1]))


def _interleaved(y: Any, places: Sequence[int], dilation: Sequence[int]) -> Any:
    """Phases from the channels to the places that they are of."""
    n_axes, n_out = len(places), y.shape[-1] // prod(dilation)
    y = lax.reshape(y, (len(y), *places, *dilation, n_out))
    pairs = [axis for i in range(n_axes) for axis in (1 + i, 1 + n_axes + i)]
    y = lax.transpose(y, (0, *pairs, 2 * n_axes + 1))
    return lax.reshape(y, (len(y), *(n * d for n, d in zip(places, dilation, strict=True)), n_out))
