"""The sizes of a convolution, from which its machine code is written."""

from __future__ import annotations

from math import prod
from typing import NamedTuple


class Geometry(NamedTuple):
    """A convolution of images with channels last, over two axes, without groups and dilations.

    Attributes:
        images: how many there are.
        size: rows and columns of each.
        n_in: its channels.
        taps: rows and columns of the window.
        n_out: channels out.
        places: rows and columns that come out.
        strides: steps of the window along rows and columns.
        margin: rows and columns of zeros before the image; less than none where it is cut off. Those behind it follow
            from the rest.
    """

    images: int
    size: tuple[int, int]
    n_in: int
    taps: tuple[int, int]
    n_out: int
    places: tuple[int, int]
    strides: tuple[int, int]
    margin: tuple[int, int]

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.images, *self.size, self.n_in

    @property
    def w_shape(self) -> tuple[int, int, int, int]:
        return *self.taps, self.n_in, self.n_out

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return self.images, *self.places, self.n_out

    @property
    def flops(self) -> int:
        """Multiplications and additions, those with margins included."""
        return 2 * self.images * prod(self.places) * prod(self.w_shape)

    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Zeros before and behind rows and columns; less than none where the window does not reach the end."""
        low, high = self.margin, self._behind
        return (low[0], high[0]), (low[1], high[1])

    @property
    def _behind(self) -> tuple[int, ...]:
        sizes = zip(self.places, self.strides, self.taps, self.size, self.margin, strict=True)
        return tuple((n - 1) * step + k - size - low for n, step, k, size, low in sizes)

    def seen(self, axis: int, place: int, tap: int) -> int | None:
        """Which row (axis 0) or column (1) of the image a tap is at; ``None`` in the margin."""
        at = place * self.strides[axis] + tap - self.margin[axis]
        return at if 0 <= at < self.size[axis] else None
