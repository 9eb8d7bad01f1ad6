"""A product of few columns with a matrix that is given transposed: rows of the one by rows of the other.

    y[i, j] = sum over k of a[i, k] b[j, k]

Vectors go along k, so that both are taken as they lie; sums for some rows of each stay in registers, and what a
register holds is added up in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from fnn.kernels.factors import Factors
from fnn.kernels.machine import Vectors
from fnn.kernels.plan import Plan, parts_of
from fnn.kernels.product import is_crowded

if TYPE_CHECKING:  # which needs llvmlite
    from fnn.kernels.writing import Writer

_MOST_COLUMNS = 63  # with more, to turn the right factor costs less
_FEWEST_TERMS = 64  # with fewer, adding up at the end costs as much as the rest
_CHAIN = 256  # vectors added up one by one: more would lose digits
_FEWEST, _MOST = 8, 2**20  # rows and columns; numbers in a factor


def plan(of: Factors, dtype: Any, on: Vectors) -> Plan | None:
    """``None`` where there is no code, or none that is faster than XLA's."""
    is_some = min(of.rows, of.columns) >= _FEWEST and _FEWEST_TERMS <= of.terms <= _CHAIN * on.lanes
    is_small = of.columns <= _MOST_COLUMNS and max(of.rows, of.columns) * of.terms < _MOST
    lies_well = of.is_right_turned and not of.is_left_turned and not is_crowded(of.terms)
    if dtype != jnp.float32 or not (is_some and is_small and lies_well):
        return None
    n_tiles = -(-of.rows // _at_once(of.rows, on))
    bounds = parts_of(n_tiles, of.most_parts)
    return Plan(of, on.lanes, ("float32",) * 3, of.shape, bounds, lambda a, b: (a, b), lambda y: y)


def _at_once(count: int, on: Vectors) -> int:
    """Of so many rows of a factor, how many pass at a time; about as many each time."""
    most = next(side for side in range(on.registers, 0, -1) if side * side + side + 1 <= on.registers)
    return -(-count // -(-count // most))


def write(writer: Writer, of: Factors, on: Vectors) -> None:
    """Computes ``y`` from ``a`` and ``b``."""
    first, last = writer.part
    height, width = _at_once(of.rows, on), _at_once(of.columns, on)
    sums = writer.registers(height * width)
    n_whole, rest = divmod(of.rows, height)

    def write_rows(row: Any, n_rows: int) -> None:
        wide = of.columns // width * width
        with writer.loop(0, wide, width) as column:
            _write_tile(writer, of, (row, n_rows), (column, width), sums)
        if wide < of.columns:
            _write_tile(writer, of, (row, n_rows), (wide, of.columns - wide), sums)

    with writer.loop(first, writer.least(last, n_whole)) as tile:
        write_rows(writer.times(tile, height), height)
    if rest:
        with writer.when(n_whole, last):
            write_rows(n_whole * height, rest)


def _write_tile(writer: Writer, of: Factors, rows: tuple[Any, int], columns: tuple[Any, int], sums: list[Any]) -> None:
    a, b, y = writer.arrays
    (row, n_rows), (column, n_columns) = rows, columns
    a_first, b_first = writer.times(row, of.terms), writer.times(column, of.terms)
    used = sums[: n_rows * n_columns]
    for register in used:
        writer.clear(register)

    def add(k: Any, count: int) -> None:
        factors = [writer.load(b, writer.sum(b_first, k, j * of.terms), count) for j in range(n_columns)]
        for i in range(n_rows):
            numbers = writer.load(a, writer.sum(a_first, k, i * of.terms), count)
            for j, factor in enumerate(factors):
                writer.add_product(used[i * n_columns + j], factor, numbers)

    whole = of.terms // writer.lanes * writer.lanes
    with writer.loop(0, whole, writer.lanes) as k:
        add(k, writer.lanes)
    if whole < of.terms:
        add(whole, of.terms - whole)
    for i in range(n_rows):
        totals = writer.totals([writer.read(register) for register in used[i * n_columns : (i + 1) * n_columns]])
        y_at = writer.sum(writer.times(writer.sum(row, i), of.columns), column)
        writer.store(totals, y, y_at, n_columns)
