"""Ready-made networks, each a :func:`fnn.serial` of layers that could be written out in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from fnn.activations import relu
from fnn.errors import expect
from fnn.layers import average_pool, conv, dense, dropout, flatten, serial
from fnn.types import Model

# What relu lets through has half the variance of what goes in; He's initialisation makes up for it.
_AFTER_RELU = jax.nn.initializers.he_normal()
_ELSE = jax.nn.initializers.glorot_uniform()


def linear(n_out: int) -> Model:
    """One dense layer on the flattened input: linear regression, or with a cross-entropy softmax regression.

    Example:
        >>> import jax.numpy as jnp
        >>> params, _ = linear(10).init(jax.random.key(0), jnp.ones((1, 8, 8, 1)))
        >>> params["01_dense"]["w"].shape
        (64, 10)
    """
    return serial(flatten(), dense(n_out), name="linear")


def mlp(
    n_hidden: Sequence[int],
    n_out: int,
    *,
    activation: Callable[[Any], Any] = relu,
    drop_rate: float = 0.0,
) -> Model:
    """A multilayer perceptron: dense layers with an activation between them; logits come out.

    Args:
        n_hidden: the widths of the hidden layers; none of them makes a linear model.
        n_out: how many outputs.
        activation: after each hidden layer.
        drop_rate: dropout after each hidden layer, 0 for none.

    Returns:
        A model from ``(batch, ...)``, which it flattens, to ``(batch, n_out)``.

    Raises:
        InputError: a width is less than 1, or ``drop_rate`` not in [0, 1).

    Example:
        >>> import jax.numpy as jnp
        >>> model = mlp([512, 512], 10)
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 28, 28, 1)))
        >>> model.apply(params, state, jnp.ones((2, 28, 28, 1)))[0].shape
        (2, 10)
    """
    w_init = _AFTER_RELU if activation is relu else _ELSE
    layers: list[Model | Callable[[Any], Any]] = [flatten()]
    for width in n_hidden:
        layers += [dense(width, w_init=w_init), activation]
        layers += [dropout(drop_rate)] if drop_rate else []
    return serial(*layers, dense(n_out), name="mlp")


def cnn(
    n_out: int,
    *,
    n_channels: Sequence[int] = (32, 64),
    n_hidden: int = 256,
    activation: Callable[[Any], Any] = relu,
    drop_rate: float = 0.0,
) -> Model:
    """A convolutional network for small images: per stage a 3 x 3 convolution, activation, 2 x 2 average pooling.

    After the stages a hidden dense layer and the output layer; logits come out.

    Args:
        n_out: how many outputs.
        n_channels: channels of each stage; every stage halves the image.
        n_hidden: width of the hidden dense layer.
        activation: after each convolution and after the hidden layer.
        drop_rate: dropout before the output layer, 0 for none.

    Returns:
        A model from ``(batch, height, width, channels)`` to ``(batch, n_out)``.

    Raises:
        InputError: a size is less than 1, or ``drop_rate`` not in [0, 1); in use, an image too small for the stages.

    Example:
        >>> model = cnn(10)
        >>> x = jax.ShapeDtypeStruct((1, 28, 28, 1), "float32")
        >>> params, state = jax.eval_shape(lambda key: model.init(key, x), jax.random.key(0))
        >>> sorted(params)
        ['00_conv', '03_conv', '07_dense', '09_dense']
        >>> params["07_dense"]["w"].shape  # 7 x 7 places, 64 channels
        (3136, 256)
    """
    expect(len(n_channels) >= 1, "cnn", "at least one stage in n_channels", f"n_channels == {tuple(n_channels)}")
    w_init = _AFTER_RELU if activation is relu else _ELSE
    layers: list[Model | Callable[[Any], Any]] = []
    for width in n_channels:
        layers += [conv(width, (3, 3), w_init=w_init), activation, average_pool((2, 2))]
    layers += [flatten(), dense(n_hidden, w_init=w_init), activation]
    layers += [dropout(drop_rate)] if drop_rate else []
    return serial(*layers, dense(n_out), name="cnn")
