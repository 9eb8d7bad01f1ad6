"""A convolution with a window of 3 x 3 by Winograd's algorithm: of each tile its patch, its products, its places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp

from fnn.kernels.block_product import Matrix, write_product
from fnn.kernels.geometry import Geometry
from fnn.kernels.halves import in_float32, pairs_of
from fnn.kernels.machine import Vectors
from fnn.kernels.plan import Plan, parts_of
from fnn.kernels.winograd import (
    N_VALUES,
    Tiling,
    Values,
    tile_rows,
    tiling,
    values_of,
    window_transform,
    write_patches,
    zeros_of,
)

if TYPE_CHECKING:  # which needs llvmlite
    from fnn.kernels.writing import Writer

_PARTS = 32  # of the blocks: for as many threads


class Convolution(NamedTuple):
    """What there is to do.

    Attributes:
        by: the tiles.
        dtype: of the images, and of what comes out. In bfloat16 one instruction adds up the products of two channels.
    """

    by: Tiling
    dtype: str


def plan(geometry: Geometry, dtype: Any, on: Vectors) -> Plan | None:
    """``None`` where there is no code, or none that is faster than another."""
    by = tiling(geometry, dtype, on)
    if by is None:
        return None
    name = jnp.dtype(dtype).name
    bounds = parts_of(by.n_blocks, _PARTS)
    dtypes = name, "uint32" if name == "bfloat16" else "float32", name
    return Plan(Convolution(by, name), by.lanes, dtypes, geometry.y_shape, bounds, _prepared, lambda y: y)


def _prepared(x: Any, w: Any) -> tuple[Any, Any]:
    values = window_transform(in_float32(w))
    return x, pairs_of(values[:, ::2], values[:, 1::2]) if w.dtype == jnp.bfloat16 else values


def write(writer: Writer, convolution: Convolution, on: Vectors) -> None:
    """Computes ``y`` from ``x`` and the 16 values of the window."""
    by, dtype = convolution
    of, is_paired = by.of, dtype == "bfloat16"
    zeros = zeros_of(writer, of.size[1] * of.n_in, dtype)
    patches = values_of(writer, by.n_tiles, of.n_in, "bfloat16" if is_paired else "float32")
    products = values_of(writer, by.n_tiles, of.n_out)
    numbers, together = (writer.as_pairs(patches.numbers), 2) if is_paired else (patches.numbers, 1)
    n_terms = of.n_in // together
    with writer.loop(*writer.part) as block:
        write_patches(writer, by, block, zeros, patches)
        with writer.loop(0, N_VALUES) as value:
            left = Matrix(numbers, writer.times(value, patches.apart // together), (n_terms, 1))
            right = Matrix(writer.arrays[1], writer.times(value, n_terms * of.n_out), (of.n_out, 1))
            result = Matrix(products.numbers, writer.times(value, products.apart), (of.n_out, 1))
            write_product(writer, on, (by.n_tiles, n_terms, of.n_out), (left, right), result, is_added=False)
        _write_places(writer, by, block, products)


def _write_places(writer: Writer, by: Tiling, block: Any, products: Values) -> None:
    """A^T P A of each tile of a block, without what is beyond the last row and column."""
    of = by.of
    y, n_whole = writer.arrays[2], of.places[1] // 2
    with tile_rows(writer, by, block) as (first, image, row):
        place = writer.times(writer.sum(writer.times(image, of.places[0]), writer.times(row, 2)), of.places[1])

        def write_tile(tile: Any, width: int, first: Any = first, place: Any = place, row: Any = row) -> None:
            at = writer.times(writer.sum(place, writer.times(tile, 2)), of.n_out)
            with writer.loop(0, of.n_out, by.lanes) as out:
                found = [
                    writer.load(products.numbers, products.at(writer, value, writer.sum(first, tile), out))
                    for value in range(N_VALUES)
                ]
                pairs = [_output_transform(writer, found[column::4]) for column in range(4)]
                upper, lower = (_output_transform(writer, [pair[r] for pair in pairs]) for r in range(2))
                for s in range(width):
                    writer.store(upper[s], y, writer.sum(at, out, s * of.n_out))
                # The last row of tiles of an odd number of rows has no lower one.
                with writer.when(writer.times(row, 2), of.places[0] - 1):
                    for s in range(width):
                        writer.store(lower[s], y, writer.sum(at, out, (of.places[1] + s) * of.n_out))

        with writer.when(-1, row):  # it is not missing
            with writer.loop(0, n_whole) as tile:
                write_tile(tile, 2)
            if of.places[1] % 2:
                write_tile(n_whole, 1)


def _output_transform(writer: Writer, p: list[Any]) -> tuple[Any, Any]:
    """A^T p."""
    first = writer.add(writer.add(p[0], p[1]), p[2])
    return first, writer.subtract(writer.subtract(p[1], p[2]), p[3])
