"""What the first layer looks for."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from fnn.errors import InputError
from fnn.plots.figures import Figure, new_figure
from fnn.types import Params


def first_layer_filters(params: Params, input_shape: tuple[int, ...], *, limit: int = 64) -> Figure:
    """The weights from the input to each unit of the first layer, as pictures: blue below zero, red above.

    All pictures have one scale, symmetric about zero, so that they can be compared.

    Args:
        params: of a model that begins with a dense layer on flattened images, or with a 2-D convolution.
        input_shape: of one image: (height, width, channels). Several channels stand beside one another.
        limit: how many units are shown at most, the first ones.

    Raises:
        InputError: the first weights are none of an image.

    Example:
        >>> params = {"00_conv": {"w": np.ones((3, 3, 1, 8)), "b": np.zeros(8)}}
        >>> len(first_layer_filters(params, (28, 28, 1)).axes) - 1  # the last is the scale
        8
    """
    pictures = filters(params, input_shape)
    if pictures is None:
        raise InputError(
            "first_layer_filters: expected first weights of shape (height, width, channels, n) or "
            f"(height * width * channels, n) for an input of shape {tuple(input_shape)}, got {_first_shape(params)}"
        )
    n_all, shown = len(pictures), pictures[:limit]
    wide = shown.shape[2] / shown.shape[1]
    ideal = max(1, round(math.sqrt(len(shown) * 1.6 / wide)))
    # Of nearly the best widths the one that leaves the fewest places empty.
    n_columns = min(range(max(1, ideal - 2), ideal + 3), key=lambda n: (-len(shown) % n, abs(n - ideal)))
    n_columns = min(n_columns, len(shown))
    n_rows = -(-len(shown) // n_columns)
    figure = new_figure(max(4.0, 0.85 * wide * n_columns + 1.2), max(2.0, 0.85 * n_rows + 0.6))
    note = f"first layer, {n_all} units" if len(shown) == n_all else f"first layer, {len(shown)} of {n_all} units"
    figure.suptitle(note)
    limit_of_scale = float(np.abs(shown).max()) or 1.0
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, picture in zip(panels, shown, strict=False):
        image = axes.imshow(picture, cmap="RdBu_r", vmin=-limit_of_scale, vmax=limit_of_scale, interpolation="nearest")
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color("0.8")
    for axes in panels[len(shown) :]:
        axes.remove()
    figure.colorbar(image, ax=list(panels[: len(shown)]), label="weight", shrink=0.8)
    return figure


def filters(params: Params, input_shape: tuple[int, ...]) -> np.ndarray | None:
    """The first weights as pictures, (n, height, width), channels side by side; ``None`` if they are none of an image.

    Example:
        >>> filters({"w": np.ones((12, 5))}, (3, 2, 2)).shape
        (5, 3, 4)
        >>> filters({"w": np.ones((7, 5))}, (3, 2, 2)) is None
        True
    """
    w = _first(params)
    if w is None or len(input_shape) != 3:
        return None
    if w.ndim == 2 and w.shape[0] == math.prod(input_shape):
        w = w.reshape(*input_shape, -1)
    if w.ndim != 4 or w.shape[2] != input_shape[2] or min(input_shape[:2]) < 2:
        return None
    if min(w.shape[:2]) < 2:  # a window of one tap shows nothing
        return None
    height, width, n_channels, n = w.shape
    return w.transpose(3, 0, 2, 1).reshape(n, height, n_channels * width)


def _first(params: Params) -> np.ndarray | None:
    """The first array of two axes or more: paths are numbered, and a layer's bias has one axis."""
    leaves: list[Any] = [leaf for leaf in jax.tree.leaves(params) if np.ndim(leaf) > 1]
    return np.asarray(leaves[0], np.float32) if leaves else None


def _first_shape(params: Params) -> str:
    w = _first(params)
    return "no weights" if w is None else f"shape {w.shape}"
