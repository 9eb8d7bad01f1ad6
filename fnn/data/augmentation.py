"""Images changed at random while training runs: pure functions ``(key, x) -> x``, on the device, within the step.

Each image of a batch gets a draw of its own. Images are of shape (batch, height, width, channels), of any dtype, which
is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from fnn.errors import expect
from fnn.types import Batch, KeyArray, Metrics, Objective, Params, State

Images: TypeAlias = Num[Array, "batch height width channels"]

Augment: TypeAlias = Callable[[KeyArray, Any], Any]
"""``(key, x) -> x`` of the same shape, except for :func:`random_crop`."""


def augmented(objective: Objective, augment: Augment) -> Objective:
    """An objective that sees the inputs of each batch augmented, anew at every step.

    Args:
        objective: what is minimised; see :func:`fnn.supervised`.
        augment: ``(key, x) -> x``, such as the functions of this module return. Its key comes from that of the step,
            so that a resumed training draws what it would have drawn.

    Returns:
        An objective for training. Judge the model by the plain data.

    Example:
        >>> from fnn import dense, half_squared_error, supervised
        >>> objective = augmented(supervised(dense(1, bias=False), half_squared_error), lambda key, x: 2 * x)
        >>> params, batch = {"w": jnp.array([[3.0]])}, (jnp.array([[1.0]]), jnp.array([[0.0]]))
        >>> loss, _ = objective(params, {}, batch, jax.random.key(0))
        >>> float(loss)  # (3 * 2)^2 / 2
        18.0
    """

    def run(
        params: Params, state: State, batch: Any, key: KeyArray, /
    ) -> tuple[Float[Array, ""], tuple[State, Metrics]]:
        augment_key, objective_key = jax.random.split(key)
        batch = Batch(*batch)
        return objective(params, state, batch._replace(x=augment(augment_key, batch.x)), objective_key)

    return run


def compose(*augments: Augment) -> Augment:
    """One augmentation after another, each with a key of its own.

    Example:
        >>> augment = jax.jit(compose(random_flip(), random_shift(2)))
        >>> augment(jax.random.key(0), jnp.ones((8, 28, 28, 1))).shape
        (8, 28, 28, 1)
    """

    def apply(key: KeyArray, x: Any) -> Any:
        for i, augment in enumerate(augments):
            x = augment(jax.random.fold_in(key, i), x)
        return x

    return apply


def random_shift(most: int | tuple[int, int], fill: float = 0.0) -> Augment:
    """Moves each image by whole pixels, up to ``most`` each way, all moves being equally likely.

    Args:
        most: pixels, at least 0; a pair for rows and columns.
        fill: what comes in at the edge.

    Raises:
        InputError: ``most`` is negative; in use, the inputs are no images.

    Example:
        >>> x = jnp.zeros((1, 3, 3, 1)).at[0, 1, 1, 0].set(1)
        >>> random_shift(1)(jax.random.key(5), x)[0, :, :, 0].sum()
        Array(1., dtype=float32)
    """
    rows, columns = _pair(most)
    expect(min(rows, columns) >= 0, "random_shift", "most >= 0", f"most == {most}")

    def apply(key: KeyArray, x: Images) -> Images:
        return _window("random_shift", key, x, x.shape[1:3], (rows, columns), fill)

    return apply


def random_crop(size: int | tuple[int, int], padding: int | tuple[int, int] = 0, fill: float = 0.0) -> Augment:
    """Cuts a window of ``size`` out of each image, all places being equally likely.

    Args:
        size: height and width of the window; one number for a square.
        padding: pixels put around the image before; a pair for rows and columns.
        fill: what those pixels are.

    Raises:
        InputError: ``size`` is not positive or ``padding`` negative; in use, the window is larger than the image with
            its padding, or the inputs are no images.

    Example:
        >>> random_crop(24)(jax.random.key(0), jnp.ones((8, 28, 28, 1))).shape
        (8, 24, 24, 1)
    """
    window, pads = _pair(size), _pair(padding)
    expect(min(window) >= 1, "random_crop", "size >= 1", f"size == {size}")
    expect(min(pads) >= 0, "random_crop", "padding >= 0", f"padding == {padding}")

    def apply(key: KeyArray, x: Images) -> Images:
        return _window("random_crop", key, x, window, pads, fill)

    return apply


def random_flip(probability: float = 0.5, *, vertical: bool = False) -> Augment:
    """Mirrors an image left to right (or upside down) with the given probability.

    Args:
        probability: of being mirrored, from 0 to 1.
        vertical: upside down instead of left to right.

    Raises:
        InputError: ``probability`` is out of range; in use, the inputs are no images.

    Example:
        >>> x = jnp.arange(2.0).reshape(1, 1, 2, 1)
        >>> random_flip(1.0)(jax.random.key(0), x).ravel().tolist()
        [1.0, 0.0]
    """
    expect(0 <= probability <= 1, "random_flip", "0 <= probability <= 1", f"probability == {probability}")
    axis = 1 if vertical else 2

    def apply(key: KeyArray, x: Images) -> Images:
        _check_images("random_flip", x)
        flipped = jax.random.bernoulli(key, probability, (x.shape[0], 1, 1, 1))
        return jnp.where(flipped, jnp.flip(x, axis), x)

    return apply


def cutout(size: int | tuple[int, int], fill: float = 0.0) -> Augment:
    """Covers a rectangle of each image; its middle is any pixel, so that it may reach over the edge.

    Args:
        size: height and width of the rectangle; one number for a square.
        fill: what covers it.

    Raises:
        InputError: ``size`` is not positive; in use, the inputs are no images.

    Source: T. DeVries, G. W. Taylor, "Improved regularization of convolutional neural networks with cutout",
    arXiv:1708.04552 (2017).

    Example:
        >>> x = jnp.ones((1, 9, 9, 1))
        >>> 4 <= int((cutout(3)(jax.random.key(0), x) == 0).sum()) <= 9
        True
    """
    height, width = _pair(size)
    expect(min(height, width) >= 1, "cutout", "size >= 1", f"size == {size}")

    def apply(key: KeyArray, x: Images) -> Images:
        _check_images("cutout", x)
        n, h, w, _ = x.shape
        row_key, column_key = jax.random.split(key)
        top = jax.random.randint(row_key, (n, 1, 1, 1), 0, h) - height // 2
        left = jax.random.randint(column_key, (n, 1, 1, 1), 0, w) - width // 2
        row, column = jnp.arange(h)[None, :, None, None], jnp.arange(w)[None, None, :, None]
        covered = (row >= top) & (row < top + height) & (column >= left) & (column < left + width)
        return jnp.where(covered, jnp.asarray(fill, x.dtype), x)

    return apply


def random_rotation(degrees: float, fill: float = 0.0) -> Augment:
    """Turns each image around its middle by up to ``degrees`` either way, interpolating between pixels.

    See :func:`random_affine`, which this is a case of.

    Example:
        >>> jax.jit(random_rotation(15))(jax.random.key(0), jnp.ones((8, 28, 28, 1))).shape
        (8, 28, 28, 1)
    """
    return random_affine(degrees=degrees, fill=fill)


def random_affine(
    *,
    degrees: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    shear: float = 0.0,
    shift: float = 0.0,
    fill: float = 0.0,
) -> Augment:
    """Turns, stretches, shears and moves each image at random, interpolating linearly between pixels.

    Seen from the middle of the image, the pixel at ``u`` (row, column) comes from ``A u - t``, with
    ``A = [[cos a, sin a], [-sin a, cos a]] [[1, 0], [tan b, 1]] / s``.

    Args:
        degrees: the angle ``a`` is drawn between minus and plus this.
        scale: the least and the greatest factor ``s`` of size.
        shear: the angle ``b`` of slant is drawn between minus and plus this, in degrees below 90.
        shift: rows and columns of the move ``t`` are drawn between minus and plus this many pixels.
        fill: what lies outside of the image.

    Raises:
        InputError: an argument is out of range; in use, the inputs are no images.

    Example:
        >>> augment = jax.jit(random_affine(degrees=10, scale=(0.9, 1.1), shift=1.5))
        >>> augment(jax.random.key(0), jnp.ones((8, 28, 28, 1))).shape
        (8, 28, 28, 1)
    """
    where = "random_affine"
    least, greatest = scale
    expect(0 <= degrees < math.inf, where, "degrees >= 0 and finite", f"degrees == {degrees}")
    expect(0 < least <= greatest < math.inf, where, "0 < scale[0] <= scale[1]", f"scale == {scale}")
    expect(0 <= shear < 90, where, "0 <= shear < 90", f"shear == {shear}")
    expect(0 <= shift < math.inf, where, "shift >= 0 and finite", f"shift == {shift}")

    def apply(key: KeyArray, x: Images) -> Images:
        _check_images(where, x)
        n, h, w, _ = x.shape
        # One draw from -1 to 1 for each of: angle, slant, row, column, size.
        draws = jax.random.uniform(key, (5, n, 1, 1), jnp.float32, -1, 1)
        angle, slant = draws[0] * math.radians(degrees), jnp.tan(draws[1] * math.radians(shear))
        size = (least + greatest) / 2 + draws[4] * ((greatest - least) / 2)
        cos, sin = jnp.cos(angle) / size, jnp.sin(angle) / size
        row = (jnp.arange(h, dtype=jnp.float32) - (h - 1) / 2)[None, :, None]
        column = (jnp.arange(w, dtype=jnp.float32) - (w - 1) / 2)[None, None, :]
        column = column + slant * row
        from_row = cos * row + sin * column - draws[2] * shift + (h - 1) / 2
        from_column = -sin * row + cos * column - draws[3] * shift + (w - 1) / 2
        return _interpolate(x, from_row, from_column, fill)

    return apply


def _window(
    where: str, key: KeyArray, x: Images, size: tuple[int, ...], padding: tuple[int, int], fill: float
) -> Images:
    """A window of each image, with padding around it, at a random place."""
    _check_images(where, x)
    n, h, w, channels = x.shape
    room = h + 2 * padding[0] - size[0], w + 2 * padding[1] - size[1]
    expect(min(room) >= 0, where, f"images with their padding of at least {tuple(size)}", f"x.shape == {x.shape}")
    edges = ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0))
    padded = jnp.pad(x, edges, constant_values=jnp.asarray(fill, x.dtype))
    row_key, column_key = jax.random.split(key)
    top = jax.random.randint(row_key, (n,), 0, room[0] + 1)
    left = jax.random.randint(column_key, (n,), 0, room[1] + 1)
    # On CPU whole rows are copied; indexing pixel by pixel takes up to ten times as long.
    return jax.vmap(lambda image, i, j: jax.lax.dynamic_slice(image, (i, j, 0), (*size, channels)))(padded, top, left)


def _interpolate(
    x: Images, row: Float[Array, "batch height width"], column: Float[Array, "batch height width"], fill: float
) -> Images:
    """The images at places between their pixels, each the mean of its four neighbours by their nearness."""
    n, h, w, channels = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=jnp.asarray(fill, x.dtype))
    pixels = padded.reshape(n * (h + 2) * (w + 2), channels)
    row, column = jnp.clip(row, -1, h) + 1, jnp.clip(column, -1, w) + 1
    top = jnp.minimum(jnp.floor(row), h)
    left = jnp.minimum(jnp.floor(column), w)
    corner = (jnp.arange(n)[:, None, None] * (h + 2) + top.astype(jnp.int32)) * (w + 2) + left.astype(jnp.int32)
    barrier: Any = jax.lax.optimization_barrier  # or XLA computes the corners anew for each of the four
    corner = barrier(corner)
    down, right = (row - top)[..., None], (column - left)[..., None]

    def at(offset: int) -> Array:
        return pixels.at[corner + offset].get(mode="promise_in_bounds").astype(jnp.float32)

    above = at(0) * (1 - right) + at(1) * right
    below = at(w + 2) * (1 - right) + at(w + 3) * right
    mixed = above * (1 - down) + below * down
    return (mixed if jnp.issubdtype(x.dtype, jnp.floating) else jnp.round(mixed)).astype(x.dtype)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _check_images(where: str, x: Any) -> None:
    shape = jnp.shape(x)
    expect(len(shape) == 4, where, "images of shape (batch, height, width, channels)", f"x.shape == {shape}")
