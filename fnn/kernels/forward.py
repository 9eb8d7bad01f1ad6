"""A convolution, place by place.

    y[n, i, j, o] = sum over k, l, c of w[k, l, c, o] x[n, s i + k - p, s j + l - p, c]

Sums for several neighbouring places and a few vectors of channels out stay in registers while k, l and c pass: each
vector of w is used for all of the places, each number of x for all of the vectors. What a tap sees in the margin is not
multiplied.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp

from fnn.kernels.geometry import Geometry
from fnn.kernels.halves import in_float32
from fnn.kernels.machine import Vectors
from fnn.kernels.plan import Plan, parts_of

if TYPE_CHECKING:  # which needs llvmlite
    from fnn.kernels.writing import Writer

FEW_IN_HALVES = 4  # channels in of an image in bfloat16: with more, oneDNN is as quick
_SPARE = 6  # registers for what is multiplied
_PARTS = 32  # of the images: for as many threads
_COLUMNS = 11  # of a window or a margin, which are written out
_WINDOW = 2**17  # numbers of a window that stay in a core's own cache
_CHANNELS = 2**12  # in times out: with more, XLA takes 0.7 to 1.2 times as long, by Winograd's algorithm


class Tile(NamedTuple):
    """Neighbouring places in a row.

    Attributes:
        first: the column of the first.
        repeats: how many tiles like this one there are in a row.
        width: places in each.
    """

    first: int
    repeats: int
    width: int


def plan(geometry: Geometry, dtype: Any, on: Vectors) -> Plan | None:
    """``None`` where there is no code, or none that is faster than XLA's."""
    of = geometry
    is_single = dtype == jnp.float32
    if not is_worth_it(of, on) or not (is_single or (dtype == jnp.bfloat16 and of.n_in <= FEW_IN_HALVES)):
        return None
    # An image of few channels is small beside what comes out, and quickly brought to float32.
    dtypes = "float32", "float32", "float32" if is_single else "bfloat16"
    bounds = parts_of(of.images * _bands(of), _PARTS)
    return Plan(
        of, on.lanes_for(of.n_out), dtypes, of.y_shape, bounds, lambda x, w: (in_float32(x), in_float32(w)), lambda y: y
    )


def is_worth_it(of: Geometry, on: Vectors) -> bool:
    """Whether there is code that is quicker than XLA's.

    Channels out are to make up vectors; windows and margins not to be so large that too much would be written out,
    channels not so many that Winograd's algorithm is quicker.
    """
    is_small = of.taps[1] <= _COLUMNS and prod(of.w_shape) <= _WINDOW and of.n_in * of.n_out <= _CHANNELS
    is_some = min(*of.x_shape, *of.w_shape, *of.y_shape) > 0
    margins = zip(of.padding, of.taps, strict=True)
    has_margins = all(low < k and high <= _COLUMNS for (low, high), k in margins)
    return is_some and is_small and has_margins and on.lanes_for(of.n_out) > 0


def _bands(geometry: Geometry) -> int:
    """How many bands of rows an image is divided into: one, if there are images for all threads."""
    return min(geometry.places[0], -(-_PARTS // geometry.images))


def write(writer: Writer, geometry: Geometry, on: Vectors) -> None:
    """Computes ``y`` from ``x`` and ``w``."""
    first, last = writer.part
    of, bands = geometry, _bands(geometry)
    room = on.registers - _SPARE
    at_once = vectors_at_once(of.n_out // writer.lanes, room)
    tiles = list(_tiles(of, room // at_once))
    sums = writer.registers(max(tile.width for tile in tiles) * at_once)
    height = -(-of.places[0] // bands)
    with writer.loop(first, last) as band, writer.loop(0, of.n_out, writer.lanes * at_once) as out:
        image, start = writer.divided(band, bands), writer.times(writer.rest(band, bands), height)
        with writer.loop(start, writer.least(writer.sum(start, height), of.places[0])) as i:
            for tile in tiles:
                with writer.loop(tile.first, tile.first + tile.repeats * tile.width, tile.width) as j:
                    place = tile.first if tile.repeats == 1 else j
                    _write_tile(writer, of, tile, (image, i, place), out, sums[: tile.width * at_once])


def _write_tile(writer: Writer, of: Geometry, tile: Tile, at: tuple[Any, Any, Any], out: Any, sums: list[Any]) -> None:
    x, w, y = writer.arrays
    (image, i, place), at_once = at, len(sums) // tile.width
    above = writer.sum(of.margin[0], writer.times(i, -of.strides[0]))  # rows of the window before those of the image
    for register in sums:
        writer.clear(register)
    with writer.loop(writer.greatest(0, above), writer.least(of.taps[0], writer.sum(above, of.size[0]))) as k:
        row = writer.sum(writer.times(image, of.size[0]), k, writer.times(above, -1))
        x_row = writer.sum(writer.times(row, of.size[1] * of.n_in), writer.times(place, of.strides[1] * of.n_in))
        w_row = writer.sum(writer.times(k, of.taps[1] * of.n_in * of.n_out), out)
        with writer.loop(0, of.n_in) as channel:
            x_at, w_at = writer.sum(x_row, channel), writer.sum(w_row, writer.times(channel, of.n_out))
            _add_taps(writer, of, tile, (x, x_at), (w, w_at), sums)
    row = writer.sum(writer.times(image, of.places[0]), i)
    y_at = writer.sum(writer.times(row, of.places[1] * of.n_out), writer.times(place, of.n_out), out)
    for number, register in enumerate(sums):
        p, v = divmod(number, at_once)
        writer.store(writer.read(register), y, writer.sum(y_at, p * of.n_out + v * writer.lanes))


def _add_taps(
    writer: Writer, of: Geometry, tile: Tile, x: tuple[Any, Any], w: tuple[Any, Any], sums: list[Any]
) -> None:
    """What one row of the window and one channel contribute."""
    at_once = len(sums) // tile.width
    for tap in range(of.taps[1]):
        seen = [p for p in range(tile.width) if of.seen(1, tile.first + p, tap) is not None]
        if not seen:
            continue
        offset = tap * of.n_in * of.n_out
        factors = [writer.load(w[0], writer.sum(w[1], offset + v * writer.lanes)) for v in range(at_once)]
        for p in seen:
            number = writer.spread(x[0], writer.sum(x[1], (p * of.strides[1] + tap - of.margin[1]) * of.n_in))
            for v, factor in enumerate(factors):
                writer.add_product(sums[p * at_once + v], factor, number)


def vectors_at_once(count: int, most: int) -> int:
    """Of so many vectors of channels out, at most so many: each number of x is to be used more than once, if it can."""
    return next(few for few in (2, 3, 1) if count % few == 0 and few <= max(1, most))


def _tiles(of: Geometry, most: int) -> Iterator[Tile]:
    """All places of a row: those that see a margin one by one, in between as many as there are alike."""
    n_places = of.places[1]
    width = -(-n_places // -(-n_places // most))
    full, rest = divmod(n_places, width)

    def is_inside(tile: int) -> bool:
        places = tile * width, (tile + 1) * width - 1
        return all(of.seen(1, place, tap) is not None for place in places for tap in (0, of.taps[1] - 1))

    inside = [tile for tile in range(full) if is_inside(tile)]
    if len(inside) > 1:
        start, stop = inside[0], inside[-1] + 1
        yield from (Tile(tile * width, 1, width) for tile in range(start))
        yield Tile(start * width, stop - start, width)
        yield from (Tile(tile * width, 1, width) for tile in range(stop, full))
    else:
        yield from (Tile(tile * width, 1, width) for tile in range(full))
    if rest:
        yield Tile(full * width, 1, rest)
