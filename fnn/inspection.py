"""What goes on inside of a model: how large activations and gradients are, layer by layer, and which units are dead."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from fnn.layers import serial
from fnn.objectives import supervised
from fnn.types import Batch, ExampleLoss, KeyArray, Model, Params, State


class Inspected(NamedTuple):
    """One layer, on one batch.

    Attributes:
        name: its path in the model, as in :func:`fnn.summarize`.
        activation: root mean square of what comes out.
        gradient: Euclidean norm of the gradient of the loss with respect to what comes out: how much of the error
            comes back to here.
        weight_gradient: Euclidean norm of the gradient with respect to the layer's parameters, 0 if it has none.
        dead: share of its units (entries of the last axis) that are 0 for every example and place of the batch.
            After a relu such a unit has no gradient, and what feeds it does not learn from this batch.
    """

    name: str
    activation: float
    gradient: float
    weight_gradient: float
    dead: float


def inspect(
    model: Model,
    loss: ExampleLoss,
    params: Params,
    state: State,
    batch: Any,
    *,
    key: KeyArray | None = None,
) -> list[Inspected]:
    """Measures every layer of ``model`` on a batch, in training, without changing anything.

    In a deep network of sigmoids the gradient shrinks from the last layer to the first: each one multiplies it by
    at most 1/4 and the weights. With relu it does not, but units may be dead. Both can be read off here.

    Args:
        model: a :func:`fnn.serial`, nested or not; any other model counts as one layer.
        loss: ``(outputs, y) -> (batch,)``; its mean over the batch is what the gradients are of.
        params: the parameters.
        state: the model's state.
        batch: ``(x, y)`` or ``(x, y, weights)``.
        key: for layers that draw random numbers; ``None`` for a fixed one.

    Returns:
        A row for every layer whose output is one floating-point array, in order.

    Raises:
        InputError: shapes do not fit.

    Source: deck "Réseaux de neurones", slides 60 (the vanishing gradient), 62 and 63 (dead units).

    Example:
        >>> from fnn import dense, half_squared_error, relu
        >>> model = serial(dense(2, bias=False), relu)
        >>> params = {"00_dense": {"w": jnp.array([[1.0, -1.0]])}}
        >>> batch = jnp.array([[3.0]]), jnp.array([[0.0, 0.0]])
        >>> for row in inspect(model, half_squared_error, params, {}, batch):
        ...     print(row.name, row.activation, row.gradient, row.weight_gradient, row.dead)
        00_dense 3.0 3.0 9.0 0.0
        01_relu 2.1213202476501465 3.0 0.0 0.5
    """
    batch = Batch(*jax.tree.map(jnp.asarray, tuple(batch)))
    key = jax.random.key(0) if key is None else key
    measured, grads = jax.device_get(_measure(model, loss, params, state, batch, key))
    rows = []
    for path, (activation, gradient, dead) in measured.items():
        own: Any = grads
        for label in [] if path == model.name and not model.layers else path.split("/"):
            own = own.get(label, {})
        # Norms in float64 on the host: the squares of a vanishing gradient vanish in float32.
        rows.append(Inspected(path, float(activation), float(gradient), _norm(own), float(dead)))
    return rows


@partial(jax.jit, static_argnums=(0, 1))
def _measure(
    model: Model, loss: ExampleLoss, params: Params, state: State, batch: Batch, key: KeyArray
) -> tuple[dict[str, tuple[Array, Array, Array]], Params]:
    def objective(params: Params, taps: Mapping[str, Array], state: State) -> tuple[Array, dict[str, Array]]:
        outputs: dict[str, Array] = {}
        tapped = _tapped(model, model.name, model.name, taps, outputs)
        value, _ = supervised(tapped, loss)(params, state, batch, key)
        return value, outputs

    # Zeros that are added to what comes out of each layer: the gradient of the loss by them is that by the output.
    _, shapes = jax.eval_shape(lambda p, s: objective(p, {}, s), params, state)
    taps = {path: jnp.zeros(out.shape, out.dtype) for path, out in shapes.items()}
    (grads, deltas), outputs = jax.grad(objective, argnums=(0, 1), has_aux=True)(params, taps, state)
    measured = {path: (_rms(outputs[path]), _scaled_norm(deltas[path]), _dead(outputs[path])) for path in outputs}
    return measured, grads


def _tapped(model: Model, path: str, root: str, taps: Mapping[str, Array], outputs: dict[str, Array]) -> Model:
    """The same model; each of its layers notes what comes out, after adding its tap."""
    if model.layers:
        inner = [
            _tapped(layer, label if path == root else f"{path}/{label}", root, taps, outputs)
            for label, layer in model.layers
        ]
        return serial(*inner, name=model.name)

    def apply(
        params: Params, state: State, x: Any, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]:
        y, state = model.apply(params, state, x, key=key, train=train)
        if isinstance(y, jax.Array) and jnp.issubdtype(y.dtype, jnp.floating):
            y = y + taps[path] if path in taps else y
            outputs[path] = y
        return y, state

    return Model(model.init, apply, model.name)


def _rms(y: Array) -> Array:
    return jnp.sqrt(jnp.mean(jnp.square(y)))


def _scaled_norm(g: Array) -> Array:
    """The Euclidean norm, without squaring what is small: gradients of 1e-30 are what one looks for here."""
    largest = jnp.max(jnp.abs(g))
    scale = jnp.where(largest > 0, largest, 1)
    return scale * jnp.sqrt(jnp.sum(jnp.square(g / scale)))


def _dead(y: Array) -> Array:
    return jnp.mean(jnp.all(y == 0, axis=tuple(range(y.ndim - 1))).astype(jnp.float32))


def _norm(grads: Params) -> float:
    return float(sum(float(np.square(leaf.astype(np.float64)).sum()) for leaf in jax.tree.leaves(grads)) ** 0.5)
