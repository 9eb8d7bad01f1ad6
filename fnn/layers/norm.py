"""Normalisation: numbers are brought to mean 0 and variance 1, then scaled and shifted as learned.

They differ in which numbers share a mean and a variance: the features of one example and place (layer), a group of
channels of one example (group), one channel over the whole batch (batch). Variances are those of the numbers at hand,
divided by their count. Under float16 and bfloat16, mean and variance are computed in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnn.errors import expect
from fnn.layers.lift import stateless
from fnn.layers.linear import check_input, parameter
from fnn.precision import at_least_float32, spread
from fnn.types import KeyArray, Model, Params, State, spec


def layer_norm(*, affine: bool = True, epsilon: float = 1e-5) -> Model:
    """(x - mean) / sqrt(variance + epsilon) over the last axis, then times ``scale`` plus ``shift``.

    Parameters are ``{"scale": (features,), "shift": (features,)}``, ones and zeros at first; none without ``affine``.

    Args:
        affine: whether scale and shift are learned.
        epsilon: added to the variance, more than 0.

    Returns:
        A model that keeps the shape of ``x``.

    Raises:
        InputError: ``epsilon`` is not positive; in use, ``x`` is not floating-point or does not fit ``scale``.

    Source: J. L. Ba et al., "Layer normalization", arXiv:1607.06450 (2016), section 3.

    Example:
        >>> x = jnp.array([[1.0, 3.0], [10.0, 30.0]])
        >>> params, state = layer_norm().init(jax.random.key(0), x)
        >>> layer_norm().apply(params, state, x)[0].round(3).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """
    _check_epsilon("layer_norm", epsilon)

    def forward(params: Params, x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
        check_input("layer_norm", x, at_least=1)
        return _affine("layer_norm", params, _standardize(x, (-1,), epsilon), affine)

    return stateless("layer_norm", lambda key, x: _first("layer_norm", x, affine, at_least=1), forward)


def group_norm(n_groups: int, *, affine: bool = True, epsilon: float = 1e-5) -> Model:
    """Each example's channels in ``n_groups`` groups of neighbours, each group normalised over its channels and places.

    One group normalises the whole example, as many groups as channels each channel alone (instance normalisation).
    Parameters are ``{"scale": (channels,), "shift": (channels,)}``; none without ``affine``.

    Args:
        n_groups: how many groups; divides the channels.
        affine: whether scale and shift are learned.
        epsilon: added to the variance, more than 0.

    Returns:
        A model from ``(batch, *spatial, channels)`` to the same shape.

    Raises:
        InputError: an argument is out of range; in use, the channels do not divide into the groups.

    Source: Y. Wu and K. He, "Group normalization", ECCV 2018, equations 1 to 7.

    Example:
        >>> x = jnp.array([[1.0, 3.0, 10.0, 30.0]])
        >>> params, state = group_norm(2).init(jax.random.key(0), x)
        >>> group_norm(2).apply(params, state, x)[0].round(3).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """
    expect(n_groups >= 1, "group_norm", "n_groups >= 1", f"n_groups == {n_groups}")
    _check_epsilon("group_norm", epsilon)

    def check(x: Any) -> None:
        check_input("group_norm", x, at_least=2)
        fits = x.shape[-1] % n_groups == 0
        expect(fits, "group_norm", f"channels that divide into {n_groups} groups", f"x.shape == {x.shape}")

    def init(key: KeyArray, x: Any) -> Params:
        check(x)
        return _first("group_norm", x, affine, at_least=2)

    def forward(params: Params, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch *spatial channels"]:
        check(x)
        grouped = x.reshape(*x.shape[:-1], n_groups, x.shape[-1] // n_groups)
        shared = (*range(1, x.ndim - 1), x.ndim)  # places, and the channels of a group
        return _affine("group_norm", params, _standardize(grouped, shared, epsilon).reshape(x.shape), affine)

    return stateless("group_norm", init, forward)


def batch_norm(*, momentum: float = 0.9, affine: bool = True, epsilon: float = 1e-5) -> Model:
    """Each channel normalised over the batch and its places in training, and by running statistics otherwise.

    The state is ``{"mean": (channels,), "var": (channels,)}``, at least float32, 0 and 1 at first. In training it
    becomes momentum * state + (1 - momentum) * batch, with the unbiased variance of the batch. Parameters are
    ``{"scale": (channels,), "shift": (channels,)}``; none without ``affine``.

    Examples of weight 0 count in the statistics, because a model does not see weights. The last batch of an epoch is
    safe: :func:`fnn.batches` fills it with other examples of the same data, so that its statistics are those of a
    whole batch of real examples. Whoever pads with zeros of their own should normalise by layer or group.

    Args:
        momentum: how much of the running statistics is kept at each step, in [0, 1).
        affine: whether scale and shift are learned.
        epsilon: added to the variance, more than 0.

    Returns:
        A model from ``(batch, *spatial, channels)`` to the same shape.

    Raises:
        InputError: an argument is out of range; in use, ``x`` does not fit, or in training a channel has a single
            number, which has no variance (online learning on vectors).

    Source: S. Ioffe and C. Szegedy, "Batch normalization", ICML 2015, algorithms 1 and 2.

    Example:
        >>> x = jnp.array([[1.0], [3.0]])
        >>> params, state = batch_norm().init(jax.random.key(0), x)
        >>> y, state = batch_norm().apply(params, state, x, train=True)
        >>> y.round(3).tolist(), round(float(state["mean"][0]), 3), round(float(state["var"][0]), 3)
        ([[-1.0], [1.0]], 0.2, 1.1)
    """
    expect(0 <= momentum < 1, "batch_norm", "0 <= momentum < 1", f"momentum == {momentum}")
    _check_epsilon("batch_norm", epsilon)

    def init(key: KeyArray, x: Any) -> tuple[Params, State]:
        x = spec(x)
        params = _first("batch_norm", x, affine, at_least=2)
        dtype = at_least_float32(x.dtype)
        return params, {"mean": jnp.zeros(x.shape[-1:], dtype), "var": jnp.ones(x.shape[-1:], dtype)}

    def apply(
        params: Params, state: State, x: Any, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]:
        check_input("batch_norm", x, at_least=2)
        kept = isinstance(state, dict) and {"mean", "var"} <= set(state)
        expect(kept, "batch_norm", 'the state {"mean": ..., "var": ...} that init gives', f"state == {state}")
        mean, var = state["mean"], state["var"]
        _check_channels("batch_norm", x, mean, 'state["mean"]')
        if not train:
            return _by_channel(params, x, mean, var, epsilon, affine), state
        count = x.size // x.shape[-1]
        expect(count >= 2, "batch_norm", "at least 2 numbers per channel in training", f"{count}, x.shape == {x.shape}")
        batch_mean, batch_var = (m.reshape(mean.shape) for m in _moments(x, tuple(range(x.ndim - 1))))
        y = _by_channel(params, x, batch_mean, batch_var, epsilon, affine)
        unbiased = batch_var * (count / (count - 1))

        def blend(kept: Array, new: Array) -> Array:
            return momentum * kept + (1 - momentum) * new.astype(kept.dtype)

        return y, {"mean": blend(mean, batch_mean), "var": blend(var, unbiased)}

    return Model(init, apply, "batch_norm")


def _first(where: str, x: Any, affine: bool, *, at_least: int) -> Params:
    check_input(where, x, at_least=at_least)
    features = x.shape[-1:]
    return {"scale": jnp.ones(features, x.dtype), "shift": jnp.zeros(features, x.dtype)} if affine else {}


def _moments(x: Array, axes: Sequence[int]) -> tuple[Array, Array]:
    x = x.astype(at_least_float32(x.dtype))
    mean = jnp.mean(x, axis=axes, keepdims=True)
    # Not E[x^2] - mean^2, which loses all its digits where the mean is large.
    return mean, jnp.mean(jnp.square(x - jnp.broadcast_to(mean, x.shape)), axis=axes, keepdims=True)


def _standardize(x: Array, axes: Sequence[int], epsilon: float) -> Array:
    mean, var = _moments(x, axes)
    deviation = x.astype(mean.dtype) - jnp.broadcast_to(mean, x.shape)
    return (deviation * jnp.broadcast_to(jax.lax.rsqrt(var + epsilon), x.shape)).astype(x.dtype)


def _by_channel(params: Params, x: Array, mean: Array, var: Array, epsilon: float, affine: bool) -> Array:
    """Normalised, scaled and shifted at once: each factor of its own would be one more pass over the batch."""
    # The statistics follow the dtype of x, not the other way round: float64 inputs stay float64.
    dtype = at_least_float32(x.dtype)
    factor = jax.lax.rsqrt(var.astype(dtype) + epsilon)
    deviation = x.astype(dtype) - spread(mean.astype(dtype), x.shape)
    if not affine:
        return (deviation * spread(factor, x.shape)).astype(x.dtype)
    scale, shift = _learned("batch_norm", params, x)
    y = deviation * spread(factor * scale.astype(dtype), x.shape) + spread(shift.astype(dtype), x.shape)
    return y.astype(jnp.result_type(x, scale, shift))


def _affine(where: str, params: Params, x: Array, affine: bool) -> Array:
    if not affine:
        return x
    scale, shift = _learned(where, params, x)
    return x * spread(scale, x.shape) + spread(shift, x.shape)


def _learned(where: str, params: Params, x: Array) -> tuple[Array, Array]:
    scale, shift = (parameter(where, params, name) for name in ("scale", "shift"))
    _check_channels(where, x, scale, 'params["scale"]')
    _check_channels(where, x, shift, 'params["shift"]')
    return scale, shift


def _check_channels(where: str, x: Any, vector: Any, what: str) -> None:
    expect(
        x.shape[-1:] == vector.shape,
        where,
        f"x.shape[-1] == {vector.shape[0]} (length of {what})",
        f"x.shape == {x.shape}",
    )


def _check_epsilon(where: str, epsilon: float) -> None:
    expect(epsilon > 0, where, "epsilon > 0", f"epsilon == {epsilon}")
