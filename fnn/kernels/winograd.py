"""Convolutions with windows of 3 x 3 with fewer multiplications (Winograd 1980; Lavin and Gray, arXiv:1509.09308).

Two neighbouring numbers of a convolution with three taps, y[q] = sum over p of w[p] x[q + p], take four products:

    y = A^T (G w * B^T x),

    B^T = 1  0 -1  0    G =  1    0    0     A^T = 1  1  1  0
          0  1  1  0        1/2  1/2  1/2          0  1 -1 -1
          0 -1  1  0        1/2 -1/2  1/2
          0  1  0 -1         0    0    1

Along rows and columns at once, a tile of 2 x 2 places takes 16 products where 36 are, of a patch of 4 x 4 of the image
and 16 values of the window:

    Y = A^T ((G W G^T) * (B^T X B)) A,

each product a sum over the channels: 16 matrix products, of some tiles by channels and channels by channels out. The
same read in another direction gives the gradient of the window by that of what came out,

    dW = G^T (sum over tiles of (A dY A^T) * (B^T X B)) G,

again 16 matrix products, which add up over the tiles. Tiles are computed block by block, so that what is between the
three steps stays in a core's own cache. B and A add and subtract, factors of G are powers of two: float32 results are
0.7 to 3 times as far from exact ones as XLA's. In bfloat16, patches, windows and tiles are rounded once more where they
are multiplied: results are 2.6 times as far as the rounding of the result alone would have them, up to 7 times where
the numbers of an image differ by less than what they have in common. What is not finite in an image is seen from where
the window sees it, but infinity may become NaN; and sums of four numbers must be finite, and those of their products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import gcd, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from fnn.kernels.geometry import Geometry
from fnn.kernels.machine import Vectors
from fnn.kernels.plan import at_a_time
from fnn.kernels.product import is_crowded

if TYPE_CHECKING:  # which needs llvmlite
    from fnn.kernels.writing import Writer

N_VALUES = 16  # of a patch, a window or a tile
_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
_NUMBERS = 56 * 2**10  # between the steps of a block: more of them, up to three times, make no difference
_MOST_NUMBERS = 2**17  # of a block of as few tiles as there may be: in a core's own cache, beside what is multiplied
_ROW = 2**14  # numbers in a row of an image, at most: as many zeros stand for a row of the margin
_FEWEST_TILES = 12  # in a block: fewer do not fill the registers of 512 bits
_FEWEST_BLOCKS = 8  # for as many threads
_FAR = 2  # rows of tiles above an image, from where no patch reaches it

# What the transformations of a tile cost, in multiplications by so many channels, and the least gain, measured with 8
# to 256 channels, 1 to 56 rows and columns and 1 to 128 images on two cores. Products of pairs are half as long.
_TRANSFORMATIONS = {"float32": 8, "bfloat16": 16}
_LEAST_GAIN = 1.05


class Tiling(NamedTuple):
    """How tiles are gone through.

    Attributes:
        of: the sizes.
        rows: of tiles, in an image.
        columns: of tiles.
        at_once: rows of tiles in a block, which may be of several images; of the last block some may be missing.
        n_blocks: blocks in all.
        lanes: of vectors, of which both kinds of channels consist.
    """

    of: Geometry
    rows: int
    columns: int
    at_once: int
    n_blocks: int
    lanes: int

    @property
    def n_tiles(self) -> int:
        """In a block."""
        return self.at_once * self.columns


def tiling(of: Geometry, dtype: Any, on: Vectors) -> Tiling | None:
    """How a convolution is divided; ``None`` where the algorithm does not apply or pay, or tiles do not fill a block.

    In bfloat16 a block has two equal halves, for the products of pairs.
    """
    name = jnp.dtype(dtype).name
    lanes, by_two = on.lanes_for(gcd(of.n_in, of.n_out)), name == "bfloat16"
    fits = of.taps == (3, 3) and of.strides == (1, 1) and all(0 <= pad <= 2 for pads in of.padding for pad in pads)
    has_code = name == "float32" or (by_two and on.has_pairs)
    if not (fits and has_code and lanes) or min(*of.x_shape, *of.y_shape) <= 0 or not _pays(of, name):
        return None
    rows, columns = _tiles(of)
    count = of.images * rows
    per_row, fewest = N_VALUES * columns * (of.n_in + of.n_out), -(-_FEWEST_TILES // columns)
    room = _NUMBERS if fewest * per_row <= _NUMBERS else _MOST_NUMBERS
    most = min(room // per_row, count // _FEWEST_BLOCKS)
    most -= most % 2 if by_two else 0
    is_narrow = max(of.size[1] * of.n_in, of.places[1] * of.n_out) <= _ROW
    if most * columns < _FEWEST_TILES or not is_narrow:
        return None
    at_once = at_a_time(count, most)
    at_once += at_once % 2 if by_two else 0
    return Tiling(of, rows, columns, at_once, -(-count // at_once), lanes)


def _tiles(of: Geometry) -> tuple[int, int]:
    """Rows and columns of tiles."""
    rows, columns = (-(-places // 2) for places in of.places)
    return rows, columns


def _pays(of: Geometry, dtype: str) -> bool:
    """Whether so much fewer multiplications are left of what is seen of the image that the rest is worth it."""
    seen = prod(
        sum(of.seen(axis, place, tap) is not None for place in range(of.places[axis]) for tap in range(3))
        for axis in (0, 1)
    )
    left = N_VALUES * prod(_tiles(of)) * (1 + _TRANSFORMATIONS[dtype] * (1 / of.n_in + 1 / of.n_out))
    return seen >= _LEAST_GAIN * left


class Values(NamedTuple):
    """Memory for the 16 values of each tile and channel of a block: of all the first, then of all the second.

    Attributes:
        numbers: the memory.
        apart: numbers from one of the 16 to the next.
        channels: of each tile.
        dtype: ``"float32"``; ``"bfloat16"``, of which neighbouring channels are a pair; or ``"uint32"`` for pairs of
            such numbers, of a tile in the first half of a block and the like one in the second.
    """

    numbers: Any
    apart: int
    channels: int
    dtype: str

    @property
    def n_halves(self) -> int:
        return 2 if self.dtype == "uint32" else 1

    def at(self, writer: Writer, value: Any, tile: Any, channel: Any) -> Any:
        place = writer.sum(writer.times(tile, self.channels), channel)
        return writer.sum(writer.times(value, self.apart), place)

    def write(self, writer: Writer, vector: Any, at: Any, half: int) -> None:
        """Numbers of a tile in a half of the block, the first one before the second."""
        if self.dtype == "float32":
            writer.store(vector, self.numbers, at)
        elif self.dtype == "bfloat16":
            writer.store_halved(vector, self.numbers, at)
        else:
            writer.store_half(vector, self.numbers, at, half)


def values_of(writer: Writer, n_tiles: int, channels: int, dtype: str = "float32") -> Values:
    apart = n_tiles * channels // (2 if dtype == "uint32" else 1)
    apart += writer.lanes if is_crowded(apart // 2 if dtype == "bfloat16" else apart) else 0
    return Values(writer.scratch(N_VALUES * apart, dtype), apart, channels, dtype)


def zeros_of(writer: Writer, count: int, dtype: str) -> Any:
    """Memory that holds so many zeros, whole vectors."""
    zeros = writer.scratch(count, dtype)
    write_zeros(writer, zeros, count)
    return zeros


def write_zeros(writer: Writer, numbers: Any, count: int) -> None:
    with writer.loop(0, count, writer.lanes) as at:
        writer.store(writer.zero(), numbers, at)


@contextmanager
def tile_rows(
    writer: Writer, by: Tiling, block: Any, half: int = 0, n_halves: int = 1
) -> Iterator[tuple[Any, Any, Any]]:
    """A loop over rows of a block, or of a half: the first tile of each, there; its image; and which row it is.

    A row that is missing is one of an image far above its margin: all zeros.
    """
    count = by.at_once // n_halves
    with writer.loop(0, count) as at:
        number = writer.sum(writer.times(block, by.at_once), at, half * count)
        row = writer.chosen((number, by.of.images * by.rows), writer.rest(number, by.rows), -_FAR)
        yield writer.times(at, by.columns), writer.divided(number, by.rows), row


def row_of(writer: Writer, array: Any, shape: Sequence[int], at: tuple[Any, Any], zeros: Any) -> Any:
    """A pointer to a row of an image, or to zeros where there is none."""
    _, height, width, channels = shape
    image, row = at
    number = writer.sum(writer.times(image, height), row)
    there = writer.moved(array, writer.times(number, width * channels))
    return writer.chosen((row, 0), zeros, writer.chosen((row, height), there, zeros))


def write_patches(writer: Writer, by: Tiling, block: Any, zeros: Any, values: Values) -> None:
    """B^T X B of each tile of a block. Two columns of four are those of the tile before."""
    carried = [writer.registers(4) for _ in range(2)]
    for half in range(values.n_halves):
        _write_patches(writer, by, (block, half), zeros, values, carried)


def _write_patches(
    writer: Writer, by: Tiling, at: tuple[Any, int], zeros: Any, values: Values, carried: list[list[Any]]
) -> None:
    of, (block, half) = by.of, at
    # Tiles whose new columns, the third and the fourth, are within the image: the first ones, as margins are narrow.
    n_whole = max(0, min(by.columns, (of.size[1] - 2 + of.margin[1]) // 2))
    with tile_rows(writer, by, block, half, values.n_halves) as (first, image, row):
        top = writer.sum(writer.times(row, 2), -of.margin[0])
        rows = [row_of(writer, writer.arrays[0], of.x_shape, (image, writer.sum(top, r)), zeros) for r in range(4)]
        with writer.loop(0, of.n_in, by.lanes) as channel:

            def column(number: Any, channel: Any = channel, rows: Sequence[Any] = rows) -> list[Any]:
                if isinstance(number, int) and not 0 <= number < of.size[1]:
                    return [writer.zero()] * 4
                at = writer.sum(writer.times(number, of.n_in), channel)
                return input_transform(writer, [writer.load(pointer, at) for pointer in rows])

            def patch(tile: Any, first: Any = first, channel: Any = channel) -> None:
                start = writer.sum(writer.times(tile, 2), -of.margin[1])
                seen = [[writer.read(register) for register in registers] for registers in carried]
                seen += [column(writer.sum(start, 2)), column(writer.sum(start, 3))]
                for r in range(4):
                    for s, found in enumerate(input_transform(writer, [numbers[r] for numbers in seen])):
                        there = values.at(writer, 4 * r + s, writer.sum(first, tile), channel)
                        values.write(writer, found, there, half)
                for registers, numbers in zip(carried, seen[2:], strict=True):
                    writer.assign(registers, numbers)

            for number, registers in enumerate(carried):
                writer.assign(registers, column(number - of.margin[1]))
            with writer.loop(0, n_whole) as tile:
                patch(tile)
            for tile in range(n_whole, by.columns):
                patch(tile)


def input_transform(writer: Writer, x: Sequence[Any]) -> list[Any]:
    """B^T x."""
    return [
        writer.subtract(x[0], x[2]),
        writer.add(x[1], x[2]),
        writer.subtract(x[2], x[1]),
        writer.subtract(x[1], x[3]),
    ]


def window_transform(w: Any) -> Any:
    """G W G^T of a window, float32 of shape (3, 3, channels, channels out): of shape (16, channels, channels out)."""
    both = jnp.asarray(np.kron(_G, _G))
    values = jnp.dot(both, w.reshape(9, prod(w.shape[2:])), precision="highest")
    return values.reshape(N_VALUES, *w.shape[2:])
