"""What a convolution is told besides its numbers."""

from __future__ import annotations

from typing import Literal, NamedTuple

Padding = Literal["same", "valid"]


class Geometry(NamedTuple):
    """How a window moves, one entry per spatial axis.

    Attributes:
        strides: its steps.
        dilations: the distance between neighbouring taps.
        padding: ``"same"`` or ``"valid"``.
        groups: how many groups of channels do not see each other.
    """

    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: Padding
    groups: int

    def places(self, sizes: tuple[int, ...], taps: tuple[int, ...]) -> tuple[int, ...]:
        """How many places the window has along each axis."""
        if self.padding == "same":
            return tuple(-(-size // stride) for size, stride in zip(sizes, self.strides, strict=True))
        reaches = self.reaches(taps)
        return tuple(
            (size - reach) // stride + 1 for size, reach, stride in zip(sizes, reaches, self.strides, strict=True)
        )

    def reaches(self, taps: tuple[int, ...]) -> tuple[int, ...]:
        """The extent of the window with its gaps."""
        return tuple((tap - 1) * step + 1 for tap, step in zip(taps, self.dilations, strict=True))

    def margins(self, sizes: tuple[int, ...], taps: tuple[int, ...]) -> list[tuple[int, int]]:
        """Zeros before and after each axis. As in XLA, of an odd number the larger half comes after."""
        if self.padding == "valid":
            return [(0, 0)] * len(sizes)
        missing = [
            max(0, (n - 1) * stride + reach - size)
            for n, stride, reach, size in zip(
                self.places(sizes, taps), self.strides, self.reaches(taps), sizes, strict=True
            )
        ]
        return [(m // 2, m - m // 2) for m in missing]
