"""What code an operation takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fnn.kernels.factors import Factors
from fnn.kernels.geometry import Geometry

Sizes = Geometry | Factors


class Plan(NamedTuple):
    """Two arrays as the code is given them, and what it makes of them.

    Attributes:
        sizes: theirs, as ``write`` of the kernel is given them.
        lanes: of the vectors that are computed with.
        dtypes: theirs, and that of what comes out.
        shape: of what comes out.
        bounds: where parts of the work begin, and the end of the last.
        prepared: makes the two of those that are multiplied.
        finished: makes the result of what comes out.
    """

    sizes: Any
    lanes: int
    dtypes: tuple[str, str, str]
    shape: tuple[int, ...]
    bounds: tuple[int, ...]
    prepared: Callable[[Any, Any], tuple[Any, Any]]
    finished: Callable[[Any], Any]


def parts_of(count: int, most: int) -> tuple[int, ...]:
    """Bounds of parts of so many images, or whatever it is, as even as can be.

    Example:
        >>> parts_of(10, 4)
        (0, 2, 5, 7, 10)
    """
    n_parts = max(1, min(count, most))
    return tuple(count * part // n_parts for part in range(n_parts + 1))


def at_a_time(count: int, most: int) -> int:
    """How many of so many at a time, up to a number, about as many each time.

    Example:
        >>> at_a_time(14, 13), at_a_time(13, 13)
        (7, 13)
    """
    return -(-count // -(-count // most))
