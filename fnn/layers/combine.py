"""Layers put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax

from fnn.errors import InputError, expect
from fnn.layers.lift import lift
from fnn.types import KeyArray, Model, Params, State, spec


def serial(*layers: Model | Callable[[Any], Any], name: str = "serial") -> Model:
    """One layer after the other: ``serial(f, g)`` computes g(f(x)).

    The parameters are a dict with one entry per layer that has any, named by place and layer: ``"00_dense"``,
    ``"02_dense"``; the state likewise. A layer's key is split off the key of the whole.

    Args:
        *layers: models; a plain callable, such as an activation, stands for itself, without parameters.
        name: what a person calls the whole.

    Raises:
        InputError: a layer is neither a model nor callable; in use, the parameters have entries no layer asked for.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import dense, relu
        >>> model = serial(dense(30), relu, dense(10))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 64)))
        >>> sorted(params)
        ['00_dense', '02_dense']
        >>> model.apply(params, state, jnp.ones((5, 64)))[0].shape
        (5, 10)
    """
    models = [layer if isinstance(layer, Model) else lift(layer) for layer in layers]
    # Zero-padded, because the leaves of a dict sort as text.
    width = max(2, len(str(len(models) - 1)))
    named = tuple((f"{place:0{width}d}_{model.name}", model) for place, model in enumerate(models))
    names = {label for label, _ in named}

    def init(key: KeyArray, x: Any) -> tuple[Params, State]:
        params: dict[str, Params] = {}
        state: dict[str, State] = {}
        x = spec(x)
        for (label, model), layer_key in zip(named, jax.random.split(key, len(named)), strict=True):
            with _located(label):
                layer_params, layer_state = model.init(layer_key, x)
                x, _ = jax.eval_shape(partial(model.apply, train=False), layer_params, layer_state, x)
            _keep(params, label, layer_params)
            _keep(state, label, layer_state)
        return params, state

    def apply(
        params: Params, state: State, x: Any, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]:
        foreign = sorted(set(params) - names) if isinstance(params, dict) else [type(params).__name__]
        expect(not foreign, name, f"params for the layers {sorted(names)}", f"params for {foreign}")
        new_state: dict[str, State] = {}
        for (label, model), layer_key in zip(named, _split(key, len(named)), strict=True):
            with _located(label):
                x, layer_state = model.apply(params.get(label, {}), state.get(label, {}), x, key=layer_key, train=train)
            _keep(new_state, label, layer_state)
        return x, new_state

    return Model(init, apply, name, named)


def _split(key: KeyArray | None, count: int) -> list[KeyArray | None]:
    return [None] * count if key is None else list(jax.random.split(key, count))


def _keep(into: dict[str, Any], label: str, tree: Any) -> None:
    """A layer without parameters leaves no empty dict behind; ``{}`` stands for it where it is asked for."""
    if not (isinstance(tree, dict) and not tree):
        into[label] = tree


@contextmanager
def _located(label: str) -> Iterator[None]:
    """Names the layer in the profiler, in the compiled program, and in an error from inside."""
    try:
        with jax.named_scope(label):
            yield
    except InputError as error:
        raise type(error)(f"{error} (in layer {label})") from None
