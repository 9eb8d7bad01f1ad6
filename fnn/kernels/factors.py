"""The sizes of a matrix product, from which its machine code is written."""

from __future__ import annotations

from typing import NamedTuple

_MOST_PARTS, _PART_FLOPS = 32, 2**19


class Factors(NamedTuple):
    """A product of two matrices.

    Attributes:
        rows: of the product.
        terms: that each of its numbers is a sum of.
        columns: of the product.
        is_left_turned: whether the left factor is given transposed, its terms along the first axis.
        is_right_turned: whether the right factor is given transposed, its terms along the last axis.
        is_divided: whether other threads may be asked for help.
    """

    rows: int
    terms: int
    columns: int
    is_left_turned: bool
    is_right_turned: bool
    is_divided: bool = True

    @property
    def left_shape(self) -> tuple[int, int]:
        return (self.terms, self.rows) if self.is_left_turned else (self.rows, self.terms)

    @property
    def right_shape(self) -> tuple[int, int]:
        return (self.columns, self.terms) if self.is_right_turned else (self.terms, self.columns)

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.rows * self.terms * self.columns

    @property
    def most_parts(self) -> int:
        """How many parts of the work are worth another thread's help: for as many threads, at most."""
        return min(_MOST_PARTS, max(1, self.flops // _PART_FLOPS)) if self.is_divided else 1
