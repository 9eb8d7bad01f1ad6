"""The gradient of a window of 3 x 3 by Winograd's algorithm: of each tile a patch of the image and of the gradient."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp

from fnn.kernels.block_product import Matrix, write_product
from fnn.kernels.geometry import Geometry
from fnn.kernels.machine import Vectors
from fnn.kernels.plan import Plan
from fnn.kernels.winograd import (
    N_VALUES,
    Tiling,
    Values,
    row_of,
    tile_rows,
    tiling,
    values_of,
    write_patches,
    write_zeros,
    zeros_of,
)

if TYPE_CHECKING:  # which needs llvmlite
    from fnn.kernels.writing import Writer

_PARTS = 16  # of the blocks, for as many threads: each has a window of its own to be added up, 32 take 4 % longer
_TILES = 32  # in a part, at least: with fewer, more is added up than multiplied
_NUMBERS = 2**20  # that all parts together have at most
_AT_ONCE = 2**12  # channels in times channels out, of which the sums stay in a core's own cache


class Sums(NamedTuple):
    """What adds up to the 16 values of a window.

    Attributes:
        by: the tiles.
        dtype: of the image and the gradient. In bfloat16 one instruction adds up the products of two tiles.
        n_parts: of the tiles, each with sums of its own.
        n_panels: of the channels out, which are computed one after the other.
    """

    by: Tiling
    dtype: str
    n_parts: int
    n_panels: int


def plan(geometry: Geometry, dtype: Any, on: Vectors) -> Plan | None:
    """``None`` where there is no code, or none that is faster than another."""
    of, by = geometry, tiling(geometry, dtype, on)
    if by is None:
        return None
    name = jnp.dtype(dtype).name
    n_parts = min(_PARTS, by.n_blocks, by.n_blocks * by.n_tiles // _TILES, _NUMBERS // prod(of.w_shape))
    n_vectors = of.n_out // by.lanes
    counts = (count for count in range(1, n_vectors + 1) if n_vectors % count == 0)
    n_panels = next((count for count in counts if of.n_in * of.n_out <= _AT_ONCE * count), 0)
    if not n_parts or not n_panels:
        return None
    shape, bounds = (n_parts, *of.w_shape), tuple(range(n_parts * n_panels + 1))
    sums = Sums(by, name, n_parts, n_panels)
    return Plan(
        sums,
        by.lanes,
        (name, name, "float32"),
        shape,
        bounds,
        lambda x, g: (x, g),
        lambda parts: jnp.sum(parts, 0).astype(dtype),
    )


def write(writer: Writer, sums: Sums, on: Vectors) -> None:
    """Computes ``dw`` of each part from ``x`` and ``g``, a panel at a time."""
    by, dtype, n_parts, n_panels = sums
    of = by.of
    width = of.n_out // n_panels
    part = writer.divided(writer.part_number, n_panels)
    panel = writer.times(writer.rest(writer.part_number, n_panels), width)
    totals = values_of(writer, of.n_in, width)
    write_zeros(writer, totals.numbers, N_VALUES * totals.apart)
    zeros = zeros_of(writer, max(of.size[1] * of.n_in, of.places[1] * of.n_out), dtype)
    kind, n_terms = ("uint32", by.n_tiles // 2) if dtype == "bfloat16" else ("float32", by.n_tiles)
    patches, slopes = (values_of(writer, by.n_tiles, count, kind) for count in (of.n_in, width))
    first, last = (writer.divided(writer.times(at, by.n_blocks), n_parts) for at in (part, writer.sum(part, 1)))
    with writer.loop(first, last) as block:
        write_patches(writer, by, block, zeros, patches)
        _write_slopes(writer, by, (block, panel), zeros, slopes)
        with writer.loop(0, N_VALUES) as value:
            left = Matrix(patches.numbers, writer.times(value, patches.apart), (1, of.n_in))
            right = Matrix(slopes.numbers, writer.times(value, slopes.apart), (width, 1))
            result = Matrix(totals.numbers, writer.times(value, totals.apart), (width, 1))
            write_product(writer, on, (of.n_in, n_terms, width), (left, right), result, is_added=True)
    dw = writer.moved(writer.arrays[2], writer.sum(writer.times(part, prod(of.w_shape)), panel))
    _write_window(writer, of, totals, dw)


def _write_window(writer: Writer, of: Geometry, totals: Values, dw: Any) -> None:
    """G^T V G of all sums V."""
    with writer.loop(0, of.n_in) as channel, writer.loop(0, totals.channels, writer.lanes) as out:
        found = [writer.load(totals.numbers, totals.at(writer, value, channel, out)) for value in range(N_VALUES)]
        columns = [_sum_transform(writer, found[column::4]) for column in range(4)]
        for k in range(3):
            for l, number in enumerate(_sum_transform(writer, [column[k] for column in columns])):
                at = writer.sum(writer.times(channel, of.n_out), out, (3 * k + l) * of.n_in * of.n_out)
                writer.store(number, dw, at)


def _sum_transform(writer: Writer, v: list[Any]) -> list[Any]:
    """G^T v."""
    halves = [writer.scaled(0.5, vector) for vector in v[1:3]]
    both = writer.add(*halves)
    return [writer.add(v[0], both), writer.subtract(*halves), writer.add(both, v[3])]


def _write_slopes(writer: Writer, by: Tiling, at: tuple[Any, Any], zeros: Any, slopes: Values) -> None:
    """A dY A^T of each tile of a block and channels of a panel, with zeros beyond the last row and column."""
    for half in range(slopes.n_halves):
        _write_half(writer, by, (*at, half), zeros, slopes)


def _write_half(writer: Writer, by: Tiling, at: tuple[Any, Any, int], zeros: Any, slopes: Values) -> None:
    of, (block, panel, half) = by.of, at
    g, n_whole = writer.arrays[1], of.places[1] // 2
    with tile_rows(writer, by, block, half, slopes.n_halves) as (first, image, row):
        top = writer.times(row, 2)
        rows = [row_of(writer, g, of.y_shape, (image, writer.sum(top, r)), zeros) for r in range(2)]

        def write_tile(tile: Any, width: int, first: Any = first, rows: list[Any] = rows) -> None:
            with writer.loop(0, slopes.channels, by.lanes) as out:
                at = writer.sum(writer.times(tile, 2 * of.n_out), panel, out)
                columns = [
                    _slope_transform(writer, [writer.load(pointer, writer.sum(at, s * of.n_out)) for pointer in rows])
                    if s < width
                    else [writer.zero()] * 4
                    for s in range(2)
                ]
                for r in range(4):
                    for s, found in enumerate(_slope_transform(writer, [column[r] for column in columns])):
                        there = slopes.at(writer, 4 * r + s, writer.sum(first, tile), out)
                        slopes.write(writer, found, there, half)

        with writer.loop(0, n_whole) as tile:
            write_tile(tile, 2)
        if of.places[1] % 2:
            write_tile(n_whole, 1)


def _slope_transform(writer: Writer, g: list[Any]) -> list[Any]:
    """A g."""
    return [g[0], writer.add(g[0], g[1]), writer.subtract(g[0], g[1]), writer.subtract(writer.zero(), g[1])]
