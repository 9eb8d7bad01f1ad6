"""Sliding windows, as index arrays: what convolutions and pooling share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Axis:
    """One axis of a window operation: sizes, strides and dilations as in ``lax.conv_general_dilated``."""

    size: int
    window: int
    stride: int
    low: int
    high: int
    base_dilation: int
    window_dilation: int

    @property
    def count(self) -> int:
        """How many places the window takes."""
        dilated = 0 if self.size == 0 else (self.size - 1) * self.base_dilation + 1
        extent = (self.window - 1) * self.window_dilation + 1
        return max(0, (self.low + dilated + self.high - extent) // self.stride + 1)

    def indices(self) -> NDArray[np.intp]:
        """Shape (places, window): the operand's index under each window entry, or ``size`` in the padding."""
        at = (
            np.arange(self.count)[:, None] * self.stride
            + np.arange(self.window)[None, :] * self.window_dilation
            - self.low
        )
        inside = (at >= 0) & (at <= (self.size - 1) * self.base_dilation) & (at % self.base_dilation == 0)
        return np.where(inside, at // self.base_dilation, self.size).astype(np.intp)
