"""Convolutions and gradients of their windows by machine code of our own, where there is some (:mod:`fnn.kernels`).

On two cores with vectors of 16 numbers it is 1.1 to 10 times as fast as XLA's convolutions, with few channels most of
all. Windows of 3 x 3 are computed with fewer multiplications where that pays, unless a precision above the default is
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jax import lax

from fnn.kernels import Geometry, convolution, window_gradient
from fnn.lowering.asked import is_plain, is_precise

_DATA, _WINDOW = (0, 3, 1, 2), (3, 2, 0, 1)  # batch, rows, columns, channels; rows, columns, channels, channels out
_OF_GRADIENT = (3, 0, 1, 2)  # channels in the place of the batch, and the batch summed over


class _ByXla(NamedTuple):
    """The same by a ``conv_general_dilated``, for wherever there is no code."""

    convolve: Callable[..., Any]
    others: tuple[tuple[str, Any], ...]

    def __call__(self, x: Any, w: Any, geometry: Geometry) -> Any:
        params = {"window_strides": geometry.strides, "rhs_dilation": (1, 1), "padding": geometry.padding}
        axes = lax.ConvDimensionNumbers(_DATA, _WINDOW, _DATA)
        return self.convolve(x, w, dimension_numbers=axes, lhs_dilation=(1, 1), **params, **dict(self.others))


class _GradientByXla(NamedTuple):
    """As above, for the gradient of a window."""

    convolve: Callable[..., Any]
    others: tuple[tuple[str, Any], ...]

    def __call__(self, x: Any, g: Any, geometry: Geometry) -> Any:
        params = {"window_strides": (1, 1), "rhs_dilation": geometry.strides, "padding": geometry.padding}
        axes = lax.ConvDimensionNumbers(_OF_GRADIENT, _OF_GRADIENT, (2, 3, 0, 1))
        return self.convolve(x, g, dimension_numbers=axes, lhs_dilation=(1, 1), **params, **dict(self.others))


def _is_plain(
    x: Any, dtype: Any, *, feature_group_count: int, batch_group_count: int, precision: Any, **_: Any
) -> bool:
    """Without groups, and as :func:`is_plain` has it."""
    is_one = feature_group_count == batch_group_count == 1
    return is_one and is_plain(x.dtype, precision=precision, preferred_element_type=dtype)


def _rest(others: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    rest = others | {"preferred_element_type": None}
    rest.pop("dimension_numbers", None)
    return tuple(sorted(rest.items()))


def by_kernel(
    x: Any,
    w: Any,
    *,
    convolve: Callable[..., Any],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    window_strides: Sequence[int],
    rhs_dilation: Sequence[int],
    preferred_element_type: Any,
    **others: Any,
) -> Any:
    """A convolution with channels last and without groups.

    Args:
        x: of shape (batch, spatial axes, channels).
        w: of shape (taps, channels, channels out).
        convolve: another form, of the same arguments but this, a function that can be hashed.
        padding: pairs, one per spatial axis; negative ones cut off.
        lhs_dilation: one number per spatial axis, as are the next two.
        window_strides: steps of the window.
        rhs_dilation: distances of its taps.
        preferred_element_type: dtype of the result; ``None`` for that of ``x``.
        **others: the other parameters.

    Returns:
        The result; ``None`` where there is no code for it: with groups or dilations, with other than one or two spatial
        axes, in another dtype, and where the other form is faster.
    """
    if {*lhs_dilation, *rhs_dilation} != {1} or not _is_plain(x, preferred_element_type, **others):
        return None
    if len(padding) == 1:  # a row
        params: dict[str, Any] = {"padding": ((0, 0), *padding), "window_strides": (1, *window_strides)}
        params |= {"lhs_dilation": (1, 1), "rhs_dilation": (1, 1), "preferred_element_type": None, **others}
        y = by_kernel(x[:, None], w[None], convolve=convolve, **params)
        return y if y is None else y[:, 0]
    if len(padding) != 2:
        return None
    places = [
        (size + low + high - k) // step + 1
        for size, (low, high), k, step in zip(x.shape[1:3], padding, w.shape[:2], window_strides, strict=True)
    ]
    geometry = Geometry(
        images=x.shape[0],
        size=x.shape[1:3],
        n_in=x.shape[3],
        taps=w.shape[:2],
        n_out=w.shape[3],
        places=(places[0], places[1]),
        strides=(window_strides[0], window_strides[1]),
        margin=(padding[0][0], padding[1][0]),
    )
    return convolution(x, w, geometry, _ByXla(convolve, _rest(others)), is_direct=is_precise(others["precision"]))


def window_gradient_by_kernel(
    x: Any,
    w: Any,
    *,
    convolve: Callable[..., Any],
    dimension_numbers: Any,
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    window_strides: Sequence[int],
    rhs_dilation: Sequence[int],
    preferred_element_type: Any,
    **others: Any,
) -> Any:
    """What differentiation makes of a convolution with channels last, by its window: channels are its batch.

    Args:
        x: the images, of shape (batch, spatial axes, channels).
        w: the gradient of what came out, of shape (batch, places, channels out).
        convolve: another form, of the same arguments but this, a function that can be hashed.
        dimension_numbers: of the ``conv_general_dilated``, as are the other parameters.
        padding: pairs.
        lhs_dilation: one number per spatial axis, as are the next two.
        window_strides: steps of the window.
        rhs_dilation: the steps of the window of the convolution that is differentiated.
        preferred_element_type: dtype of the result; ``None`` for that of ``x``.
        **others: the other parameters.

    Returns:
        The gradient; ``None`` for any other convolution, and where there is no code for it.
    """
    x_axes, w_axes, y_axes = (tuple(spec) for spec in dimension_numbers)
    n_axes = len(padding)
    in_order = (n_axes + 1, 0, *range(1, n_axes + 1))
    is_gradient = x_axes == w_axes == in_order and {*lhs_dilation, *window_strides} == {1}
    if not is_gradient or n_axes not in (1, 2) or not _is_plain(x, preferred_element_type, **others):
        return None
    if n_axes == 1:  # a row
        x, w, padding, rhs_dilation = x[:, None], w[:, None], ((0, 0), *padding), (1, *rhs_dilation)
    taps = [
        size + low + high - (n - 1) * step
        for size, (low, high), n, step in zip(x.shape[1:3], padding, w.shape[1:3], rhs_dilation, strict=True)
    ]
    geometry = Geometry(
        images=x.shape[0],
        size=x.shape[1:3],
        n_in=x.shape[3],
        taps=(taps[0], taps[1]),
        n_out=w.shape[3],
        places=w.shape[1:3],
        strides=(rhs_dilation[0], rhs_dilation[1]),
        margin=(padding[0][0], padding[1][0]),
    )
    by_xla = _GradientByXla(convolve, _rest(others))
    dw = window_gradient(x, w, geometry, by_xla, is_direct=is_precise(others["precision"]))
    if dw is None:
        return None
    dw = dw if n_axes == 2 else dw[0]  # rows, columns, channels, channels out
    places = dict(zip(y_axes, (n_axes, n_axes + 1, *range(n_axes)), strict=True))
    return lax.transpose(dw, tuple(places[axis] for axis in range(n_axes + 2)))
