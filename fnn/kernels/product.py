"""A product of two matrices, either of which may be given transposed.

    y[i, j] = sum over k of a[i, k] b[k, j]

Sums for some rows and a few vectors of columns stay in registers while k passes: each vector of b is used for all of
the rows, each number of a for all of the vectors. Those rows of b that are passed at a time stay in a core's own cache
until all rows of a have seen them, and those that come next are asked for meanwhile. Where b is given transposed, they
are turned before, into memory beside; and where rows of a or b lie so that a cache has few places for them all, they
are brought there, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp

from fnn.kernels.factors import Factors
from fnn.kernels.machine import Vectors
from fnn.kernels.plan import Plan, at_a_time, parts_of

if TYPE_CHECKING:  # which needs llvmlite
    from fnn.kernels.writing import Writer

_SPARE = 6  # registers for what is multiplied
_AT_ONCE = 2  # vectors of columns
_TERMS = 256  # passed at a time
_FEWEST = 8  # rows, terms and columns; with fewer, XLA's products are as quick
_MOST = 2**20  # numbers in a factor or the product: above, XLA's are as quick
_MOST_TERMS = 2**14  # whose sums lose no more digits than XLA's
_CROWDED = 4096  # bytes between rows, or a multiple, that let caches keep few of them


def plan(of: Factors, dtype: Any, on: Vectors) -> Plan | None:
    """``None`` where there is no code, or none that is faster than XLA's."""
    is_small = max(of.rows * of.terms, of.terms * of.columns, of.rows * of.columns) < _MOST
    has_terms = _FEWEST <= of.terms <= _MOST_TERMS
    if dtype != jnp.float32 or not (is_small and has_terms) or min(of.rows, of.columns) < _FEWEST:
        return None
    bounds = parts_of(_panels(of, on) * _bands(of, on), of.most_parts)
    return Plan(of, on.lanes, ("float32",) * 3, of.shape, bounds, lambda a, b: (a, b), lambda y: y)


def _panels(of: Factors, on: Vectors) -> int:
    return -(-of.columns // (on.lanes * _AT_ONCE))


def _height(of: Factors, on: Vectors) -> int:
    """Rows at a time: as many as there are registers for, and about as many each time."""
    most = (on.registers - _SPARE) // _AT_ONCE
    return at_a_time(of.rows, most)


def _bands(of: Factors, on: Vectors) -> int:
    """How many bands of rows a panel is divided into: as few as give all parts something to do."""
    return min(_tiles(of, on), -(-of.most_parts // _panels(of, on)))


def _tiles(of: Factors, on: Vectors) -> int:
    return -(-of.rows // _height(of, on))


class _Panel(NamedTuple):
    """Neighbouring columns whose sums are in registers at a time.

    Attributes:
        first: the first column.
        widths: how many columns each vector holds: all its lanes, but for the last of all.
    """

    first: Any
    widths: tuple[int, ...]


class _Work(NamedTuple):
    """What all that is written has in common.

    Attributes:
        writer: writes it.
        of: the sizes.
        height: rows whose sums are in registers at a time.
        sums: the registers.
        rows: memory for some terms of some rows of ``a``, where they are brought together; else ``None``.
        terms: the same for some terms of a panel of ``b``.
    """

    writer: Writer
    of: Factors
    height: int
    sums: list[Any]
    rows: Any
    terms: Any


class _Terms(NamedTuple):
    """Neighbouring terms that are passed at a time: the first, and how many."""

    first: Any
    number: int


def write(writer: Writer, of: Factors, on: Vectors) -> None:
    """Computes ``y`` from ``a`` and ``b``."""
    lanes, height, bands, tiles = writer.lanes, _height(of, on), _bands(of, on), _tiles(of, on)
    wide, at_a_time = lanes * _AT_ONCE, _terms_at_once(of)
    n_wide, rest = divmod(of.columns, wide)
    work = _Work(
        writer,
        of,
        height,
        sums=writer.registers(height * _AT_ONCE),
        rows=writer.memory(at_a_time * height) if not of.is_left_turned and is_crowded(of.terms) else None,
        terms=writer.memory(at_a_time * wide) if of.is_right_turned or is_crowded(of.columns) else None,
    )
    with writer.loop(*writer.part) as unit:
        number, band = writer.divided(unit, bands), writer.rest(unit, bands)
        # Of tiles, each band has as many as any other, or one more.
        firsts = (writer.divided(writer.times(at, tiles), bands) for at in (band, writer.sum(band, 1)))
        low, high = (writer.times(first, height) for first in firsts)
        rows = low, writer.least(high, of.rows)
        if n_wide:
            with writer.when(number, n_wide):
                _write_panel(work, _Panel(writer.times(number, wide), (lanes,) * _AT_ONCE), rows)
        if rest:
            with writer.when(n_wide - 1, number):
                widths = tuple(min(lanes, rest - at) for at in range(0, rest, lanes))
                _write_panel(work, _Panel(n_wide * wide, widths), rows)


def _terms_at_once(of: Factors) -> int:
    """Terms at a time, about as many each time."""
    return at_a_time(of.terms, _TERMS)


def is_crowded(n_numbers: int) -> bool:
    """Whether rows of so many numbers lie so that a cache has few places for them all."""
    return 4 * n_numbers % _CROWDED == 0


def _write_panel(work: _Work, panel: _Panel, rows: tuple[Any, Any]) -> None:
    writer, of, height = work.writer, work.of, work.height
    at_a_time = _terms_at_once(of)
    n_whole, rest = divmod(of.terms, at_a_time)
    low, high = rows
    last = of.rows // height * height  # the first row of what is no whole tile

    def add(terms: _Terms, *, is_first: bool) -> None:
        if of.is_right_turned:
            _turn(work, panel, terms)
        elif work.terms is not None:
            _bring_terms(work, panel, terms)
        with writer.loop(low, writer.least(high, last), height) as row:
            _write_tile(work, panel, terms, (row, height), is_first=is_first)
        if last < of.rows:
            with writer.when(last, high), writer.when(low, last + 1):
                _write_tile(work, panel, terms, (last, of.rows - last), is_first=is_first)

    add(_Terms(0, at_a_time), is_first=True)
    with writer.loop(at_a_time, n_whole * at_a_time, at_a_time) as first:
        add(_Terms(first, at_a_time), is_first=False)
    if rest:
        add(_Terms(n_whole * at_a_time, rest), is_first=False)


def _write_tile(work: _Work, panel: _Panel, terms: _Terms, tile: tuple[Any, int], *, is_first: bool) -> None:
    """What some terms contribute to some rows of a panel."""
    writer, of = work.writer, work.of
    a, b, y = writer.arrays
    (row, height), lanes = tile, writer.lanes
    sums = work.sums[: height * len(panel.widths)]
    places = [(r, v) for r in range(height) for v in range(len(panel.widths))]

    def y_at(r: int, v: int) -> Any:
        return writer.sum(writer.times(writer.sum(row, r), of.columns), panel.first, v * lanes)

    for register in sums:
        writer.clear(register)
    row_step, term_step = (1, of.rows) if of.is_left_turned else (of.terms, 1)
    a_first = writer.sum(writer.times(terms.first, term_step), writer.times(row, row_step))
    if work.rows is not None:
        _bring_rows(work, terms, (a_first, height))
        a, a_first, row_step = work.rows, 0, terms.number
    following = writer.sum(terms.first, terms.number)
    ahead = writer.chosen(
        (following, of.terms),
        writer.sum(terms.number * of.columns),
        writer.sum(writer.times(terms.first, -of.columns), lanes * _AT_ONCE),
    )
    with writer.loop(0, terms.number) as k:
        if work.terms is None:
            b_at = writer.sum(writer.times(writer.sum(terms.first, k), of.columns), panel.first)
            for v in range(len(panel.widths)):
                writer.fetch(b, writer.sum(b_at, v * lanes, ahead))
            factors = [writer.load(b, writer.sum(b_at, v * lanes), width) for v, width in enumerate(panel.widths)]
        else:
            b_at = writer.times(k, lanes * _AT_ONCE)
            factors = [writer.load(work.terms, writer.sum(b_at, v * lanes)) for v in range(len(panel.widths))]
        a_at = writer.sum(a_first, writer.times(k, term_step))
        for r in range(height):
            number = writer.spread(a, writer.sum(a_at, r * row_step))
            for v, factor in enumerate(factors):
                writer.add_product(sums[r * len(factors) + v], factor, number)
    for register, (r, v) in zip(sums, places, strict=True):
        found, width = writer.read(register), panel.widths[v]
        # Each sum by itself, and then the sums: in one chain, many terms would lose digits.
        total = found if is_first else writer.add(writer.load(y, y_at(r, v), width), found)
        writer.store(total, y, y_at(r, v), width)


def _bring_rows(work: _Work, terms: _Terms, rows: tuple[Any, int]) -> None:
    """Brings some terms of some rows of ``a`` together."""
    writer, (first, height) = work.writer, rows
    n_whole, rest = divmod(terms.number, writer.lanes)

    def bring(k: Any, count: int) -> None:
        for r in range(height):
            numbers = writer.load(writer.arrays[0], writer.sum(first, k, r * work.of.terms), count)
            writer.store(numbers, work.rows, writer.sum(k, r * terms.number), count)

    with writer.loop(0, n_whole * writer.lanes, writer.lanes) as k:
        bring(k, writer.lanes)
    if rest:
        bring(n_whole * writer.lanes, rest)


def _bring_terms(work: _Work, panel: _Panel, terms: _Terms) -> None:
    """Brings together what a panel sees of ``b``."""
    writer, of = work.writer, work.of
    lanes = writer.lanes
    with writer.loop(0, terms.number) as k:
        b_at = writer.sum(writer.times(writer.sum(terms.first, k), of.columns), panel.first)
        for v, width in enumerate(panel.widths):
            numbers = writer.load(writer.arrays[1], writer.sum(b_at, v * lanes), width)
            writer.store(numbers, work.terms, writer.sum(writer.times(k, lanes * _AT_ONCE), v * lanes))


def _turn(work: _Work, panel: _Panel, terms: _Terms) -> None:
    """Turns what a panel sees of ``b``, a block of as many rows and columns as a vector has lanes at a time."""
    writer, of = work.writer, work.of
    lanes = writer.lanes
    n_whole, rest = divmod(terms.number, lanes)

    def turn(k: Any, count: int) -> None:
        for v, width in enumerate(panel.widths):
            rows = [writer.times(writer.sum(panel.first, v * lanes + r), of.terms) for r in range(width)]
            block = [writer.load(writer.arrays[1], writer.sum(row, terms.first, k), count) for row in rows]
            for r, turned in enumerate(writer.transposed(block)[:count]):
                at = writer.times(writer.sum(k, r), lanes * _AT_ONCE)
                writer.store(turned, work.terms, writer.sum(at, v * lanes))

    with writer.loop(0, n_whole * lanes, lanes) as k:
        turn(k, lanes)
    if rest:
        turn(n_whole * lanes, rest)
