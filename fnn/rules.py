"""The learning rules that came before backpropagation: an example at a time, each corrects the weights in proportion.

Both are for a model with the parameters of one dense layer, ``{"w": (n_in, n_out), "b": (n_out,)}``:
:func:`fnn.perceptron` and :func:`fnn.adaline`. They are written as on the slides of deck "Introduction à
l'apprentissage profond" (Pradat), with the threshold as a bias, an input that is always 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fnn.activations import step
from fnn.data.batching import check_finite, count_examples, to_host
from fnn.errors import expect
from fnn.layers.linear import check_input, parameter
from fnn.types import Params


class Rule(Protocol):
    """One example and the parameters to the new parameters, and the error that was corrected."""

    def __call__(
        self, params: Params, x: Float[Array, " n_in"], y: Float[Array, " n_out"], learning_rate: float, /
    ) -> tuple[Params, Float[Array, " n_out"]]: ...


class Learned(NamedTuple):
    """What :func:`learn` gives.

    Attributes:
        params: the parameters after the last pass.
        errors: for each pass, the sum of the squared errors met, (n_epochs,). For the perceptron an error is -1, 0 or
            1, and so this is the number of mistakes.
    """

    params: Params
    errors: Float[np.ndarray, " n_epochs"]


def perceptron_rule(
    params: Params, x: Float[Array, " n_in"], y: Float[Array, " n_out"], learning_rate: float
) -> tuple[Params, Float[Array, " n_out"]]:
    """w + eta (y - step(x w + b)) x: only what was answered wrongly is corrected.

    No gradient of any loss on the outputs: that of ``step`` is 0. If a plane separates the classes, the rule makes
    at most (R / margin)^2 mistakes from weights 0, R being the length of the longest input (its 1 for b included).

    Args:
        params: ``{"w": (n_in, n_out), "b": (n_out,)}``.
        x: one input.
        y: the right outputs, each 0 or 1.
        learning_rate: eta, which for weights 0 at first only scales them.

    Returns:
        The new parameters and y - step(x w + b).

    Raises:
        InputError: shapes do not fit.

    Sources: F. Rosenblatt, "The perceptron", Psychological Review 65 (1958), and deck "Introduction à l'apprentissage
    profond", "La règle perceptron"; the bound: A. Novikoff, "On convergence proofs on perceptrons" (1962).

    Example:
        >>> params = {"w": jnp.zeros((2, 1)), "b": jnp.zeros(1)}
        >>> params, error = perceptron_rule(params, jnp.array([1.0, 2.0]), jnp.array([1.0]), 0.5)
        >>> params["w"][:, 0].tolist(), params["b"].tolist(), error.tolist()
        ([0.5, 1.0], [0.5], [1.0])
    """
    error = y - step(_net("perceptron_rule", params, x, y))
    return _corrected(params, x, learning_rate * error), error


def adaline_rule(
    params: Params, x: Float[Array, " n_in"], y: Float[Array, " n_out"], learning_rate: float
) -> tuple[Params, Float[Array, " n_out"]]:
    """w + eta (y - (x w + b)) x: the error is that of the sum before any threshold.

    It is gradient descent on :func:`fnn.half_squared_error`, one example at a time: a linear regression.

    Args:
        params: ``{"w": (n_in, n_out), "b": (n_out,)}``.
        x: one input.
        y: the wanted outputs, any numbers.
        learning_rate: eta; where it exceeds 2 / (x x + 1), the error of that example grows.

    Returns:
        The new parameters and y - (x w + b).

    Raises:
        InputError: shapes do not fit.

    Sources: B. Widrow and M. Hoff, "Adaptive switching circuits", IRE WESCON (1960); deck "Introduction à
    l'apprentissage profond", "Adaline", equations 1 and 2.

    Example:
        >>> params = {"w": jnp.zeros((2, 1)), "b": jnp.zeros(1)}
        >>> params, error = adaline_rule(params, jnp.array([1.0, 2.0]), jnp.array([3.0]), 0.5)
        >>> params["w"][:, 0].tolist(), params["b"].tolist(), error.tolist()
        ([1.5, 3.0], [1.5], [3.0])
    """
    error = y - _net("adaline_rule", params, x, y)
    return _corrected(params, x, learning_rate * error), error


def learn(rule: Rule, params: Params, data: Any, *, learning_rate: float = 1.0, n_epochs: int = 100) -> Learned:
    """Applies a rule to one example after the other, ``n_epochs`` times over, in their order; one compiled program.

    Args:
        rule: :func:`perceptron_rule`, :func:`adaline_rule`, or your own.
        params: where to start; zeros will do, because there is no hidden layer whose units must differ.
        data: ``(x, y)``: ``x`` floating-point (n, n_in), ``y`` floating-point (n, n_out).
        learning_rate: eta.
        n_epochs: passes over the data.

    Returns:
        The parameters, and the squared errors of each pass: 0 once the perceptron makes no mistake.

    Raises:
        InputError: an argument is out of range, or shapes do not fit.
        DataError: ``data`` holds a NaN or an infinity.

    Example:
        >>> from fnn import toy
        >>> zeros = {"w": jnp.zeros((2, 1)), "b": jnp.zeros(1)}
        >>> learn(perceptron_rule, zeros, toy.logic_gate("and"), n_epochs=20).errors[-1].item()
        0.0
        >>> learn(perceptron_rule, zeros, toy.logic_gate("xor"), n_epochs=20).errors[-1].item() > 0
        True
    """
    expect(n_epochs >= 1, "learn", "n_epochs >= 1", f"n_epochs == {n_epochs}")
    expect(learning_rate > 0, "learn", "learning_rate > 0", f"learning_rate == {learning_rate}")
    batch = to_host(data)
    count_examples(batch)
    check_finite(batch, "learn")
    expect(batch.weights is None, "learn", "data (x, y) without weights", "weights")
    for name, array in (("x", batch.x), ("y", batch.y)):
        shape = getattr(array, "shape", None)
        expect(shape is not None and len(shape) == 2, "learn", f"{name} with two axes", f"{name}.shape == {shape}")

    def example(params: Params, pair: tuple[Array, Array]) -> tuple[Params, Array]:
        params, error = rule(params, *pair, learning_rate)
        return params, jnp.sum(jnp.square(error))

    def epoch(params: Params, _: None) -> tuple[Params, Array]:
        params, squares = jax.lax.scan(example, params, (jnp.asarray(batch.x), jnp.asarray(batch.y)))
        return params, jnp.sum(squares)

    params, errors = jax.jit(lambda start: jax.lax.scan(epoch, start, None, length=n_epochs))(params)
    return Learned(params, np.asarray(errors))


def _net(where: str, params: Params, x: Any, y: Any) -> Array:
    """x w + b, the sum that the neuron weighs."""
    for name, array in (("x", x), ("y", y)):
        check_input(where, array, at_least=0)
        expect(array.ndim == 1, where, f"{name} of one example, with one axis", f"{name}.shape == {array.shape}")
    w, b = parameter(where, params, "w"), parameter(where, params, "b")
    shapes = f"x {x.shape}, w {w.shape}, b {b.shape}, y {y.shape}"
    fits = w.shape == x.shape + y.shape and b.shape == y.shape
    expect(fits, where, "x (n_in,), w (n_in, n_out), b (n_out,), y (n_out,)", shapes)
    net: Array = x @ w + b
    return net


def _corrected(params: Params, x: Array, delta: Array) -> Params:
    return {**params, "w": params["w"] + jnp.outer(x, delta), "b": params["b"] + delta}
