"""What a model is made of: shapes, parameters and arithmetic, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from fnn.types import Model, Params, State, spec


class Row(NamedTuple):
    """One layer.

    Attributes:
        name: its path in the model, such as ``"00_dense"``.
        output: shape of what comes out for one batch; several shapes are joined by a comma.
        parameters: how many numbers it learns.
        flops: floating-point operations of its forward pass over one example, as XLA counts them (a multiplication
            and an addition are two; padding is not counted), rounded.
    """

    name: str
    output: tuple[int, ...]
    parameters: int
    flops: int


def summarize(model: Model, x: Any) -> list[Row]:
    """A row for every layer of ``model``, in order.

    Nothing is computed with numbers: only shapes go through the model.

    Args:
        model: the model; one whose parts are unknown gives a single row.
        x: an input, or a ``jax.ShapeDtypeStruct`` of one, with the batch axis first.

    Raises:
        InputError: ``x`` does not fit the model.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import dense, relu, serial
        >>> for row in summarize(serial(dense(4), relu, dense(2)), jnp.ones((1, 3))):
        ...     print(row.name, row.output, row.parameters, row.flops)
        00_dense (1, 4) 16 28
        01_relu (1, 4) 0 4
        02_dense (1, 2) 10 18
    """
    x = spec(x)
    params, state = jax.eval_shape(lambda: model.init(jax.random.key(0), x))
    return list(_rows(model, model.name, params, state, x))


def count_parameters(params: Params) -> int:
    """How many numbers ``params`` holds.

    Example:
        >>> import numpy as np
        >>> count_parameters({"w": np.ones((3, 4)), "b": np.ones(4)})
        16
    """
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def _rows(model: Model, path: str, params: Params, state: State, x: Any) -> Iterator[Row]:
    for label, layer in model.layers:
        inner = label if path == model.name else f"{path}/{label}"
        layer_params, layer_state = params.get(label, {}), state.get(label, {})
        yield from _rows(layer, inner, layer_params, layer_state, x)
        x = _output(layer, layer_params, layer_state, x)
    if not model.layers:
        y = _output(model, params, state, x)
        shape = jax.tree.leaves(y)[0].shape
        yield Row(path, shape, count_parameters(params), _flops(model, params, state, x))


def _output(model: Model, params: Params, state: State, x: Any) -> Any:
    return jax.eval_shape(lambda p, s, v: model.apply(p, s, v)[0], params, state, x)


def _flops(model: Model, params: Params, state: State, x: Any) -> int:
    lowered = jax.jit(lambda p, s, v: model.apply(p, s, v)[0]).lower(params, state, x)
    cost = lowered.cost_analysis() or {}
    n_examples: int = max(1, jax.tree.leaves(x)[0].shape[0])
    return round(float(cost.get("flops", 0.0)) / n_examples)
