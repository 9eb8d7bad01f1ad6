"""Ready-made networks, each made of layers that could be written out in its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float

from fnn.activations import relu, step, tanh
from fnn.errors import expect
from fnn.layers import average_pool, batch_norm, conv, dense, dropout, flatten, reshape, serial, stateless, upsample
from fnn.types import Model, Params

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
    normalize: bool = False,
    w_init: Initializer | None = None,
) -> Model:
    """A multilayer perceptron: dense layers with an activation between them; logits come out.

    Args:
        n_hidden: the widths of the hidden layers; none of them makes a linear model.
        n_out: how many outputs.
        activation: after each hidden layer.
        drop_rate: dropout after each hidden layer, 0 for none.
        normalize: batch normalisation before each activation.
        w_init: draws the weights of the hidden layers, any of ``jax.nn.initializers``; ``None`` for He's normal
            initialisation before relu and Glorot's uniform one before anything else.

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
    w_init = w_init or _suited(activation)
    layers: list[Model | Callable[[Any], Any]] = [flatten()]
    for width in n_hidden:
        layers += [dense(width, w_init=w_init), *_normal(normalize), activation]
        layers += [dropout(drop_rate)] if drop_rate else []
    return serial(*layers, dense(n_out), name="mlp")


def cnn(
    n_out: int,
    *,
    n_channels: Sequence[int] = (32, 64),
    n_hidden: int = 256,
    activation: Callable[[Any], Any] = relu,
    drop_rate: float = 0.0,
    normalize: bool = False,
    w_init: Initializer | None = None,
) -> Model:
    """A convolutional network for small images: per stage a 3 x 3 convolution, activation, 2 x 2 average pooling.

    After the stages a hidden dense layer and the output layer; logits come out.

    Args:
        n_out: how many outputs.
        n_channels: channels of each stage; every stage halves the image.
        n_hidden: width of the hidden dense layer.
        activation: after each convolution and after the hidden layer.
        drop_rate: dropout before the output layer, 0 for none.
        normalize: batch normalisation before each activation.
        w_init: draws the weights of all layers but the last; ``None`` as for :func:`mlp`.

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
    w_init = w_init or _suited(activation)
    layers: list[Model | Callable[[Any], Any]] = []
    for width in n_channels:
        layers += [conv(width, (3, 3), w_init=w_init), *_normal(normalize), activation, average_pool((2, 2))]
    layers += [flatten(), dense(n_hidden, w_init=w_init), *_normal(normalize), activation]
    layers += [dropout(drop_rate)] if drop_rate else []
    return serial(*layers, dense(n_out), name="cnn")


def perceptron(n_out: int = 1) -> Model:
    """step(x w + b): threshold units, each 1 or 0. :func:`fnn.perceptron_rule` teaches them; gradients cannot.

    Parameters are ``{"w": (n_in, n_out), "b": (n_out,)}``.

    Sources: F. Rosenblatt, "The perceptron", Psychological Review 65 (1958); deck "Réseaux de neurones, ENS'IA".

    Example:
        The gate "and", its weights set by hand.

        >>> params = {"w": jnp.ones((2, 1)), "b": jnp.array([-1.5])}
        >>> perceptron(1).apply(params, {}, jnp.array([[1.0, 0.0], [1.0, 1.0]]))[0].tolist()
        [[0.0], [1.0]]
    """
    sums = dense(n_out)

    def forward(params: Params, x: Float[Array, "*batch n_in"]) -> Float[Array, "*batch n_out"]:
        return step(sums.apply(params, {}, x)[0])

    return stateless("perceptron", lambda key, x: sums.init(key, x)[0], forward)


def adaline(n_out: int = 1) -> Model:
    """x w + b, the sum that Adaline learns to bring near the target; a threshold on it makes a class of it.

    For targets 0 and 1, ``step(outputs - 0.5)``. Parameters are ``{"w": (n_in, n_out), "b": (n_out,)}``; learned by
    :func:`fnn.adaline_rule` or, which is the same, by gradient descent on half the squared error.

    Sources: B. Widrow and M. Hoff, "Adaptive switching circuits", IRE WESCON (1960); deck "Introduction à
    l'apprentissage profond", "Adaline".

    Example:
        >>> params = {"w": jnp.ones((2, 1)), "b": jnp.array([-0.5])}
        >>> adaline(1).apply(params, {}, jnp.array([[1.0, 1.0]]))[0].tolist()
        [[1.5]]
    """
    layer = dense(n_out)
    return Model(layer.init, layer.apply, "adaline")


def autoencoder(
    shape: Sequence[int], n_code: int, *, n_hidden: Sequence[int] = (128,), activation: Callable[[Any], Any] = relu
) -> Model:
    """Dense layers down to ``n_code`` numbers and, mirrored, up again: trained to give back its own input.

    The two halves are the parts of the model: ``(_, encoder), (_, decoder) = model.layers``, with the parameters
    ``params["00_encoder"]`` and ``params["01_decoder"]``. The output is linear, as for a regression.

    Args:
        shape: of one example, without the batch axis.
        n_code: how many numbers stand for an example in the middle.
        n_hidden: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: after each hidden layer.

    Returns:
        A model from ``(batch, *shape)`` to the same shape.

    Raises:
        InputError: a size is less than 1; in use, ``x`` has another shape.

    Source: deck "Backpropagation algorithm and auto-encoders"; G. Hinton and R. Salakhutdinov, "Reducing the
    dimensionality of data with neural networks", Science 313 (2006).

    Example:
        >>> model = autoencoder((8, 8, 1), 5, n_hidden=(32,))
        >>> x = jnp.ones((2, 8, 8, 1))
        >>> params, state = model.init(jax.random.key(0), x)
        >>> (_, encoder), _ = model.layers
        >>> encoder.apply(params["00_encoder"], {}, x)[0].shape, model.apply(params, state, x)[0].shape
        ((2, 5), (2, 8, 8, 1))
    """
    w_init = _suited(activation)
    size = _size("autoencoder", shape)
    down: list[Model | Callable[[Any], Any]] = [reshape((size,))]
    up: list[Model | Callable[[Any], Any]] = []
    for width in n_hidden:
        down += [dense(width, w_init=w_init), activation]
    for width in reversed(n_hidden):
        up += [dense(width, w_init=w_init), activation]
    encoder = serial(*down, dense(n_code), name="encoder")
    decoder = serial(*up, dense(size), reshape(shape), name="decoder")
    return serial(encoder, decoder, name="autoencoder")


def conv_autoencoder(
    shape: Sequence[int], *, n_channels: Sequence[int] = (16, 8), activation: Callable[[Any], Any] = relu
) -> Model:
    """An autoencoder of images: per stage a 3 x 3 convolution and 2 x 2 pooling, and on the way up the reverse.

    The code is an image of ``n_channels[-1]`` channels, smaller by 2 along each axis at every stage. Each step up
    repeats every pixel 2 x 2 times and convolves, which leaves no checkerboard. Parts as in :func:`autoencoder`.

    Args:
        shape: ``(height, width, channels)`` of one image, the first two divisible by 2 at every stage.
        n_channels: channels of each stage, the last being those of the code.
        activation: after each convolution but the last of either half: code and output are linear.

    Returns:
        A model from ``(batch, height, width, channels)`` to the same shape.

    Raises:
        InputError: there is no stage, or ``shape`` does not divide; in use, ``x`` has another shape.

    Sources: deck "Backpropagation algorithm and auto-encoders"; A. Odena et al., "Deconvolution and checkerboard
    artifacts", Distill (2016).

    Example:
        >>> model = conv_autoencoder((8, 8, 1), n_channels=(4, 2))
        >>> x = jax.ShapeDtypeStruct((2, 8, 8, 1), "float32")
        >>> params, state = jax.eval_shape(lambda: model.init(jax.random.key(0), x))
        >>> (_, encoder), _ = model.layers
        >>> jax.eval_shape(lambda p, x: encoder.apply(p, {}, x)[0], params["00_encoder"], x).shape
        (2, 2, 2, 2)
    """
    where, factor = "conv_autoencoder", 2 ** len(n_channels)
    expect(len(n_channels) >= 1, where, "at least one stage in n_channels", f"n_channels == {tuple(n_channels)}")
    _size(where, shape)
    fits = len(shape) == 3 and shape[0] % factor == 0 and shape[1] % factor == 0
    expect(fits, where, f"shape (height, width, channels), the first two divisible by {factor}", f"{tuple(shape)}")
    w_init = _suited(activation)
    down: list[Model | Callable[[Any], Any]] = [reshape(shape)]
    up: list[Model | Callable[[Any], Any]] = []
    for width in n_channels[:-1]:
        down += [conv(width, (3, 3), w_init=w_init), activation, average_pool((2, 2))]
    down += [conv(n_channels[-1], (3, 3), w_init=_ELSE), average_pool((2, 2))]
    for width in reversed(n_channels[:-1]):
        up += [upsample((2, 2)), conv(width, (3, 3), w_init=w_init), activation]
    up += [upsample((2, 2)), conv(shape[-1], (3, 3), w_init=_ELSE)]
    return serial(serial(*down, name="encoder"), serial(*up, name="decoder"), name=where)


def pattern_network() -> Model:
    """Four pixels in; solid, vertical, diagonal, horizontal out: two layers of tanh, one of relu, four outputs.

    The pixels are between -1, black, and 1, white; the widths are 4, 4, 8, 4. :func:`pattern_params` are weights that
    show how it works; it learns others from :func:`fnn.toy.patterns` by itself.

    Returns:
        A model from ``(batch, 2, 2, 1)`` to ``(batch, 4)``; the largest output names the pattern.

    Source: deck "Réseaux de neurones", slides 71 to 107.

    Example:
        >>> from fnn import toy
        >>> images, classes, _ = toy.patterns()
        >>> outputs, _ = pattern_network().apply(pattern_params(), {}, images)
        >>> bool((outputs.argmax(axis=1) == classes).all())
        True
    """
    return serial(
        flatten(), dense(4), tanh, dense(4), tanh, dense(8, w_init=_AFTER_RELU), relu, dense(4), name="pattern_network"
    )


def pattern_params() -> Params:
    """Weights of 1, -1 and 0 with which :func:`pattern_network` knows the patterns: a white line is 1, a black one -1.

    First layer: sum and difference of each column. Second: sums and differences of these, one for each pattern and
    positive or negative as its colours are. Third: relu of each and of its negative. Last: their sum, so that a
    pattern counts whatever its colours. The slides draw the weights as lines; which pixel joins which was chosen here.

    Example:
        >>> pattern_params()["01_dense"]["w"][:, 0].tolist()  # the left column: pixels 0 and 2
        [1.0, 0.0, 1.0, 0.0]
    """
    columns = [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, -1, 0], [0, 1, 0, -1]]  # left +, right +, left -, right -
    kinds = [[1, 1, 0, 0], [1, -1, 0, 0], [0, 0, 1, -1], [0, 0, 1, 1]]  # solid, vertical, diagonal, horizontal
    signs = [[s if i == j else 0 for i in range(4)] for j in range(4) for s in (1, -1)]
    either = [[int(i // 2 == j) for i in range(8)] for j in range(4)]
    places = {"01_dense": columns, "03_dense": kinds, "05_dense": signs, "07_dense": either}
    return {
        name: {"w": jnp.array(rows, jnp.float32).T, "b": jnp.zeros(len(rows), jnp.float32)}
        for name, rows in places.items()
    }


def _normal(wanted: bool) -> list[Model]:
    return [batch_norm()] if wanted else []


def _suited(activation: Callable[[Any], Any]) -> Initializer:
    return _AFTER_RELU if activation is relu else _ELSE


def _size(where: str, shape: Sequence[int]) -> int:
    expect(all(size >= 1 for size in shape), where, "sizes of at least 1 in shape", f"shape == {tuple(shape)}")
    return math.prod(shape)
