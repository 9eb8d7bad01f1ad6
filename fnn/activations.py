"""Activation functions, elementwise except ``softmax``. Each keeps the shape and the dtype of its argument.

They are plain functions: ``serial(dense(30), relu, dense(10))`` takes them as they are, and one with an option through
``functools.partial`` or a lambda. All are finite, value and gradient, for every finite argument.

Source: deck "Réseaux de neurones", slides 59 to 66, with the definitions written there.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The logistic function 1 / (1 + exp(-x)), with values in [0, 1]. Slide 59.

    Example:
        >>> float(sigmoid(jnp.float32(0.0)))
        0.5
    """
    return jax.nn.sigmoid(x)


def tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The hyperbolic tangent, 2 sigmoid(2x) - 1, with values in [-1, 1]. Slide 61.

    Example:
        >>> float(tanh(jnp.float32(0.0)))
        0.0
    """
    return jnp.tanh(x)


def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The rectified linear unit max(x, 0); its derivative at 0 is taken as 0. Slide 62.

    Example:
        >>> relu(jnp.array([-2.0, 0.0, 3.0])).tolist()
        [0.0, 0.0, 3.0]
    """
    return jax.nn.relu(x)


def leaky_relu(x: Float[Array, "*shape"], slope: float = 0.01) -> Float[Array, "*shape"]:
    """``x`` where it is positive, ``slope * x`` elsewhere. Slide 64.

    The deck writes max(x, 0.01 x), which is the same for a slope of at most 1.

    Example:
        >>> leaky_relu(jnp.array([-2.0, 3.0]), slope=0.5).tolist()
        [-1.0, 3.0]
    """
    return jnp.where(x > 0, x, slope * x)


def prelu(x: Float[Array, "*shape"], slope: Float[Array, ""] | float) -> Float[Array, "*shape"]:
    """The parametric rectifier: :func:`leaky_relu` with a slope that the caller keeps and learns. Slide 64.

    Args:
        x: any shape.
        slope: one number for all of ``x``.

    Example:
        >>> float(jax.grad(prelu, argnums=1)(jnp.float32(-2.0), jnp.float32(0.25)))
        -2.0
    """
    return jnp.where(x > 0, x, slope * x)


def elu(x: Float[Array, "*shape"], alpha: float = 1.0) -> Float[Array, "*shape"]:
    """The exponential linear unit: ``x`` where it is positive, ``alpha (exp(x) - 1)`` elsewhere. Slide 65.

    Example:
        >>> [round(y, 4) for y in elu(jnp.array([-1.0, 2.0])).tolist()]
        [-0.6321, 2.0]
    """
    # where() inside as well: exp of a large positive x overflows, and inf * 0 would make the gradient NaN.
    return jnp.where(x > 0, x, alpha * jnp.expm1(jnp.where(x > 0, 0, x)))


def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(1 + exp(x)), a smooth relu; its derivative is :func:`sigmoid`.

    Example:
        >>> float(softplus(jnp.float32(1000.0)))
        1000.0
    """
    return jax.nn.softplus(x)


def softmax(x: Float[Array, "*shape"], axis: int = -1) -> Float[Array, "*shape"]:
    """exp(x_i) / sum_k exp(x_k) along ``axis``: positive numbers that add up to 1. Slide 66.

    For training use :func:`fnn.softmax_cross_entropy` on the logits: a softmax rounded to 0 has lost its logarithm.

    Example:
        The deck's own example, printed there as 0.7, 0.2, 0.1.

        >>> [round(p, 3) for p in softmax(jnp.array([2.0, 1.0, 0.1])).tolist()]
        [0.659, 0.242, 0.099]
    """
    return jax.nn.softmax(x, axis=axis)


def step(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The threshold unit: 1 where ``x > 0``, else 0. Its derivative is 0 wherever it has one.

    Example:
        >>> step(jnp.array([-1.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 1.0]
    """
    return (x > 0).astype(x.dtype)
