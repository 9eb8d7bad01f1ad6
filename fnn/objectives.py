"""From a model and a loss per example to the scalar that training minimises, and its gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnn.errors import expect
from fnn.lowering import canonical
from fnn.precision import at_least_float32
from fnn.types import Batch, ExampleLoss, KeyArray, Metrics, Model, Objective, Params, State


def supervised(model: Model, loss: ExampleLoss, metrics: Mapping[str, ExampleLoss] | None = None) -> Objective:
    """The mean of ``loss`` over the examples of a batch, the model being in training.

    A batch is ``(x, y)`` or ``(x, y, weights)``; with weights the mean is weighted, so that examples of weight 0 (the
    padding of a last, smaller batch) count for nothing.

    Args:
        model: gives outputs for ``x``.
        loss: ``(outputs, y) -> (batch,)``, such as those of :mod:`fnn.losses`.
        metrics: more functions like ``loss``, by name, whose means are reported beside it.

    Returns:
        ``(params, state, batch, key) -> (loss, (state, metrics))``; metrics always has ``"loss"``.

    Raises:
        InputError: in use, ``loss`` or a metric does not give one number per example.

    Example:
        >>> from fnn import dense, mean_squared_error
        >>> model = dense(1)
        >>> x, y = jnp.ones((4, 2)), jnp.zeros((4, 1))
        >>> params, state = model.init(jax.random.key(0), x)
        >>> loss, (state, metrics) = supervised(model, mean_squared_error)(params, state, (x, y), jax.random.key(1))
        >>> loss.shape, sorted(metrics)
        ((), ['loss'])
    """
    functions = {"loss": loss, **(metrics or {})}
    expect(functions["loss"] is loss, "supervised", 'metrics with names other than "loss"', '"loss"')

    def objective(
        params: Params, state: State, batch: Any, key: KeyArray, /
    ) -> tuple[Float[Array, ""], tuple[State, Metrics]]:
        x, y, weights = Batch(*batch)
        outputs, state = model.apply(params, state, x, key=key, train=True)
        means = {}
        for name, function in functions.items():
            with jax.named_scope(name):  # so that an error or a NaN can be placed
                means[name] = weighted_mean(name, function(outputs, y), weights)
        return means["loss"], (state, means)

    return objective


def loss_and_grad(
    objective: Objective,
) -> Callable[[Params, State, Any, KeyArray], tuple[tuple[Float[Array, ""], tuple[State, Metrics]], Params]]:
    """The objective's value and its gradient with respect to the parameters, compiled.

    On a CPU, products and convolutions are brought into the form that is fast in a loop; see
    :func:`fnn.lowering.canonical`. Where the model has convolutions, give ``compiler_options=fnn.compiler_options()``
    to the outermost ``jax.jit``, as ``fit`` does by itself.

    Returns:
        ``(params, state, batch, key) -> ((loss, (state, metrics)), grads)``; ``grads`` has the structure of ``params``.

    Example:
        >>> from fnn import dense, half_squared_error
        >>> model = dense(1, bias=False)
        >>> x, y = jnp.array([[1.0, 2.0]]), jnp.array([[0.0]])
        >>> params = {"w": jnp.array([[3.0], [4.0]])}
        >>> objective = supervised(model, half_squared_error)
        >>> (loss, _), grads = loss_and_grad(objective)(params, {}, (x, y), jax.random.key(0))
        >>> float(loss), grads["w"].tolist()  # output 11, loss 11^2 / 2, gradient 11 x
        (60.5, [[11.0], [22.0]])
    """
    value_and_grad = jax.value_and_grad(objective, has_aux=True)
    return jax.jit(canonical(value_and_grad, as_in_loop=True) if jax.default_backend() == "cpu" else value_and_grad)


def weighted_mean(
    name: str, values: Float[Array, " batch"], weights: Float[Array, " batch"] | None
) -> Float[Array, ""]:
    """The mean of one number per example; with weights, sum w_i v_i / sum w_i. A weight of 0 silences even a NaN.

    Sums are taken in at least float32. What is silenced is the value: a loss whose slope is infinite at an example
    makes the gradient NaN, however little that example counts.

    Raises:
        InputError: ``values`` is not one number per example.

    Example:
        >>> float(weighted_mean("loss", jnp.array([1.0, 3.0, jnp.nan]), jnp.array([1.0, 1.0, 0.0])))
        2.0
    """
    expect(values.ndim == 1, "supervised", f"{name} to give one number per example", f"shape {values.shape}")
    if weights is None:
        return jnp.mean(values)
    expect(
        weights.shape == values.shape,
        "supervised",
        f"weights.shape == {values.shape}",
        f"weights.shape == {weights.shape}",
    )
    dtype = at_least_float32(values.dtype)
    wide = weights.astype(dtype)
    total = jnp.sum(wide)
    # A batch in which no example counts has the loss 0, and so the gradient 0.
    mean = jnp.sum(jnp.where(wide > 0, wide * values.astype(dtype), 0)) / jnp.where(total > 0, total, 1)
    return mean.astype(values.dtype)
