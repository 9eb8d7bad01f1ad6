"""A product of two small matrices within a kernel, of numbers or of pairs that are added up by one instruction.

Sums for some rows and a few vectors of columns stay in registers while the terms pass, as in
:mod:`fnn.kernels.product`; nothing is brought into another order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fnn.kernels.machine import Vectors
from fnn.kernels.plan import at_a_time

if TYPE_CHECKING:  # which needs llvmlite
    from fnn.kernels.writing import Writer

_SPARE = 6  # registers for what is multiplied


class Matrix(NamedTuple):
    """One of the matrices of a product.

    Attributes:
        numbers: the memory.
        first: where it begins.
        steps: numbers from a row to the next, and from a column.
    """

    numbers: Any
    first: Any
    steps: tuple[int, int]


def write_product(
    writer: Writer,
    on: Vectors,
    sizes: tuple[int, int, int],
    factors: tuple[Matrix, Matrix],
    result: Matrix,
    *,
    is_added: bool,
) -> None:
    """The product of two matrices, of so many rows, terms and columns; or what is there already and the product.

    Columns of the right one and of the result are neighbours.
    """
    n_rows, n_terms, n_columns = sizes
    n_vectors = n_columns // writer.lanes
    room = on.registers - _SPARE
    at_once = next(few for few in (2, 3, 1) if n_vectors % few == 0)
    height = at_a_time(n_rows, room // at_once)
    sums = writer.registers(height * at_once)
    left, right = factors

    def tile(row: Any, column: Any, height: int) -> None:
        used = sums[: height * at_once]
        for register in used:
            writer.clear(register)
        with writer.loop(0, n_terms) as term:
            at = writer.sum(right.first, writer.times(term, right.steps[0]), column)
            loaded = [writer.load(right.numbers, writer.sum(at, v * writer.lanes)) for v in range(at_once)]
            at = writer.sum(left.first, writer.times(row, left.steps[0]), writer.times(term, left.steps[1]))
            for r in range(height):
                number = writer.spread(left.numbers, writer.sum(at, r * left.steps[0]))
                for v, vector in enumerate(loaded):
                    writer.add_product(used[r * at_once + v], vector, number)
        for number, register in enumerate(used):
            r, v = divmod(number, at_once)
            at = writer.sum(result.first, writer.times(writer.sum(row, r), result.steps[0]), column, v * writer.lanes)
            total = writer.read(register)
            if is_added:
                total = writer.add(writer.load(result.numbers, at), total)
            writer.store(total, result.numbers, at)

    whole = n_rows - n_rows % height
    with writer.loop(0, n_columns, at_once * writer.lanes) as column:
        with writer.loop(0, whole, height) as row:
            tile(row, column, height)
        if whole < n_rows:
            tile(whole, column, n_rows - whole)
