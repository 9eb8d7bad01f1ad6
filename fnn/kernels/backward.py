"""The gradient of a window.

    dw[k, l, c, o] = sum over n, i, j of x[n, s i + k - p, s j + l - p, c] g[n, i, j, o]

Sums for one row of the window, a few channels in and a few vectors of channels out stay in registers while the places
of an image pass, band by band, so that a band is still in the cache when it comes to the next row or channels. Images
are added up in parts, each by itself: how often numbers are rounded does not depend on how many threads there are.

In bfloat16, two neighbouring places are taken at a time, by the instruction that adds up the products of two pairs. An
odd place has a zero beside it, which makes what is not finite there a NaN.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
from jax import lax

from fnn.kernels import forward
from fnn.kernels.forward import vectors_at_once
from fnn.kernels.geometry import Geometry
from fnn.kernels.halves import in_float32, pairs_of
from fnn.kernels.machine import Vectors
from fnn.kernels.plan import Plan, parts_of

if TYPE_CHECKING:  # which needs llvmlite
    from fnn.kernels.writing import Writer

_SPARE = 8  # registers for what is multiplied
_PARTS = 32  # of the images: for as many threads
_NUMBERS = 2**20  # that all parts together have at most
_BAND = 2**15  # numbers of an image and of its gradient that stay in a core's own cache


def plan(geometry: Geometry, dtype: Any, on: Vectors) -> Plan | None:
    """``None`` where there is no code, or none that is faster than XLA's."""
    of = geometry
    if not forward.is_worth_it(of, on) or of.taps[1] > on.registers - _SPARE:
        return None
    lanes = on.lanes_for(of.n_out)
    bounds = parts_of(of.images, min(_PARTS, _NUMBERS // prod(of.w_shape)))
    shape = len(bounds) - 1, *of.w_shape

    def finished(parts: Any) -> Any:
        return jnp.sum(parts, 0).astype(dtype)

    if dtype == jnp.float32:
        return Plan(of, lanes, ("float32",) * 3, shape, bounds, lambda x, g: (x, g), finished)
    if dtype != jnp.bfloat16:
        return None
    if of.n_in <= forward.FEW_IN_HALVES:
        dtypes = "float32", "bfloat16", "float32"
        return Plan(of, lanes, dtypes, shape, bounds, lambda x, g: (in_float32(x), g), finished)
    if not on.has_pairs:
        return None
    return Plan(_of_pairs(of), lanes, ("uint32", "uint32", "float32"), shape, bounds, partial(_paired, of), finished)


def _of_pairs(of: Geometry) -> Geometry:
    """By two places at a time, of an image whose margins along the columns are numbers like others."""
    n_places, step = -(-of.places[1] // 2), of.strides[1]
    n_columns = step * (2 * n_places - 2) + of.taps[1]
    return of._replace(
        size=(of.size[0], n_columns),
        places=(of.places[0], n_places),
        strides=(of.strides[0], 2 * step),
        margin=(of.margin[0], 0),
    )


def _paired(of: Geometry, x: Any, g: Any) -> tuple[Any, Any]:
    """Of ``x`` each number and the one that the next place sees in its stead, of ``g`` each two places."""
    pairs, step, none = _of_pairs(of), of.strides[1], (0, 0, 0)
    behind = pairs.size[1] + step - of.size[1] - of.margin[1]
    x = lax.pad(x, x.dtype.type(0), (none, none, (of.margin[1], behind, 0), none))
    g = lax.pad(g, g.dtype.type(0), (none, none, (0, of.places[1] % 2, 0), none))
    return pairs_of(x[:, :, :-step], x[:, :, step:]), pairs_of(g[:, :, ::2], g[:, :, 1::2])


def write(writer: Writer, geometry: Geometry, on: Vectors) -> None:
    """Computes ``dw`` of each part from ``x`` and ``g``."""
    x, g, result = writer.arrays
    first, last = writer.part
    of, lanes = geometry, writer.lanes
    dw = writer.moved(result, writer.times(writer.part_number, prod(of.w_shape)))
    most = (on.registers - _SPARE) // of.taps[1]
    at_once = vectors_at_once(of.n_out // lanes, most)
    most //= at_once
    channels = max(count for count in range(1, most + 1) if of.n_in % count == 0)
    per_row = of.size[1] * of.n_in * of.strides[0] + of.places[1] * of.n_out
    band = min(of.places[0], max(1, _BAND // per_row))
    sums = writer.registers(of.taps[1] * channels * at_once)
    places = [(tap, c, v) for tap in range(of.taps[1]) for c in range(channels) for v in range(at_once)]

    def offset(tap: int, c: int, v: int) -> int:
        return (tap * of.n_in + c) * of.n_out + v * lanes

    with writer.loop(0, prod(of.w_shape), lanes) as at:
        writer.clear(sums[0])
        writer.store(writer.read(sums[0]), dw, at)
    with (
        writer.loop(first, last) as image,
        writer.loop(0, of.places[0], band) as start,
        writer.loop(0, of.taps[0]) as k,
        writer.loop(0, of.n_in, channels) as c,
        writer.loop(0, of.n_out, lanes * at_once) as out,
    ):
        for register in sums:
            writer.clear(register)
        above = writer.sum(of.margin[0], writer.times(k, -1))  # rows of the image from the tap to the image's first
        low = writer.greatest(start, writer.divided_up(above, of.strides[0]))
        high = writer.divided_up(writer.sum(above, of.size[0]), of.strides[0])
        high = writer.least(writer.least(high, of.places[0]), writer.sum(start, band))
        with writer.loop(low, high) as i:
            row = writer.sum(writer.times(image, of.size[0]), writer.times(i, of.strides[0]), writer.times(above, -1))
            x_at = writer.sum(writer.times(row, of.size[1] * of.n_in), c)
            g_row = writer.sum(writer.times(image, of.places[0]), i)
            g_at = writer.sum(writer.times(g_row, of.places[1] * of.n_out), out)
            _add_row(writer, of, (x, x_at), (g, g_at), sums, channels, at_once)
        row = writer.sum(writer.times(k, of.taps[1] * of.n_in), c)
        dw_at = writer.sum(writer.times(row, of.n_out), out)
        for register, place in zip(sums, places, strict=True):
            at = writer.sum(dw_at, offset(*place))
            writer.store(writer.add(writer.load(dw, at), writer.read(register)), dw, at)


def _add_row(
    writer: Writer,
    of: Geometry,
    x: tuple[Any, Any],
    g: tuple[Any, Any],
    sums: list[Any],
    channels: int,
    at_once: int,
) -> None:
    """What one row of places contributes: those that see a margin, and in between all alike in a loop."""
    inside = [place for place in range(of.places[1]) if _taps_inside(of, place) == list(range(of.taps[1]))]
    alike = range(inside[0], inside[-1] + 1) if inside else range(of.places[1], of.places[1])

    def add(place: Any, taps: list[int]) -> None:
        x_at = writer.sum(x[1], writer.times(place, of.strides[1] * of.n_in))
        g_at = writer.sum(g[1], writer.times(place, of.n_out))
        factors = [writer.load(g[0], writer.sum(g_at, v * writer.lanes)) for v in range(at_once)]
        for tap in taps:
            for c in range(channels):
                number = writer.spread(x[0], writer.sum(x_at, (tap - of.margin[1]) * of.n_in + c))
                for v, factor in enumerate(factors):
                    writer.add_product(sums[(tap * channels + c) * at_once + v], factor, number)

    for place in range(alike.start):
        add(place, _taps_inside(of, place))
    with writer.loop(alike.start, alike.stop) as place:
        add(place, list(range(of.taps[1])))
    for place in range(alike.stop, of.places[1]):
        add(place, _taps_inside(of, place))


def _taps_inside(of: Geometry, place: int) -> list[int]:
    return [tap for tap in range(of.taps[1]) if of.seen(1, place, tap) is not None]
