"""Layers put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fnn.errors import InputError, expect
from fnn.layers.lift import compiled_init, lift
from fnn.types import KeyArray, Model, Params, State


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
    named = _named(layers, name)
    return _joined(named, None, name)


def parallel(
    *layers: Model | Callable[[Any], Any], merge: Callable[..., Any] | None = None, name: str = "parallel"
) -> Model:
    """Layers side by side: each gets the same ``x``, and ``merge`` makes one output of theirs.

    Parameters, state and keys are those of :func:`serial`: one entry per layer, ``"00_dense"``, ``"01_conv"``.

    Args:
        *layers: models or plain callables, at least one.
        merge: called with the outputs, in order; ``None`` puts them together along the last axis.
        name: what a person calls the whole.

    Raises:
        InputError: there is no layer, or one is neither a model nor callable; in use, the outputs cannot be put
            together, or the parameters have entries no layer asked for.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import dense, tanh
        >>> wide = parallel(dense(4), serial(dense(3), tanh))
        >>> params, state = wide.init(jax.random.key(0), jnp.ones((1, 2)))
        >>> wide.apply(params, state, jnp.ones((5, 2)))[0].shape
        (5, 7)
    """
    expect(len(layers) >= 1, name, "at least one layer", "none")
    return _joined(_named(layers, name), merge or partial(_concatenate, name), name)


def residual(
    *body: Model | Callable[[Any], Any],
    shortcut: Model | Callable[[Any], Any] | None = None,
    name: str = "residual",
) -> Model:
    """x + f(x): the layers of ``body``, one after the other, learn what is to be added to their input.

    Parameters are ``{"body": ..., "shortcut": ...}``, the first as :func:`serial` names them.

    Args:
        *body: the layers of f; f(x) has the shape of ``x``, or of what the shortcut makes of it.
        shortcut: what stands in place of ``x`` in the sum where f changes the shape, such as ``conv(64, (1, 1))``.
        name: what a person calls the whole.

    Raises:
        InputError: a layer is neither a model nor callable; in use, the two terms differ in shape.

    Source: K. He et al., "Deep residual learning for image recognition", CVPR 2016, equations 1 and 2.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import conv, relu
        >>> block = residual(conv(8), relu, conv(8), shortcut=conv(8, (1, 1)))
        >>> x = jnp.ones((2, 6, 6, 3))
        >>> params, state = block.init(jax.random.key(0), x)
        >>> sorted(params), block.apply(params, state, x)[0].shape
        (['body', 'shortcut'], (2, 6, 6, 8))
    """
    other = serial(name="identity") if shortcut is None else shortcut
    other = _model(other, name)

    def add(y: Any, x: Any) -> Any:
        expect(
            jnp.shape(y) == jnp.shape(x),
            name,
            f"body and shortcut of one shape, {jnp.shape(x)} as from the shortcut",
            f"{jnp.shape(y)} from the body",
        )
        return y + x

    return _joined((("body", serial(*body)), ("shortcut", other)), add, name)


_Named = tuple[tuple[str, Model], ...]


def _model(layer: Model | Callable[[Any], Any], where: str) -> Model:
    return layer if isinstance(layer, Model) else lift(layer, where)


def _named(layers: Sequence[Model | Callable[[Any], Any]], where: str) -> _Named:
    models = [_model(layer, where) for layer in layers]
    # Zero-padded, because the leaves of a dict sort as text.
    width = max(2, len(str(len(models) - 1)))
    return tuple((f"{place:0{width}d}_{model.name}", model) for place, model in enumerate(models))


def _joined(named: _Named, merge: Callable[..., Any] | None, name: str) -> Model:
    """Layers side by side if there is a ``merge`` for their outputs, else one after the other."""
    names = {label for label, _ in named}

    def through(x: Any, keys: Iterable[Any], call: Callable[[str, Model, Any, Any], Any]) -> list[Any]:
        """What each layer gives."""
        outputs = []
        for (label, model), key in zip(named, keys, strict=True):
            with _located(label):
                outputs.append(call(label, model, key, x))
            x = x if merge else outputs[-1]
        return outputs

    @compiled_init
    def init(key: KeyArray, x: Any) -> tuple[Params, State]:
        params: dict[str, Params] = {}
        state: dict[str, State] = {}

        def call(label: str, model: Model, key: KeyArray, x: Any) -> Any:
            own, own_state = model.init(key, x)
            _keep(params, label, own)
            _keep(state, label, own_state)
            return jax.eval_shape(partial(model.apply, train=False), own, own_state, x)[0]

        outputs = through(x, jax.random.split(key, len(named)), call)
        if merge:
            jax.eval_shape(merge, *outputs)  # so that branches that do not fit are refused before training
        return params, state

    def apply(
        params: Params, state: State, x: Any, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]:
        _check_names(name, params, names)
        new_state: dict[str, State] = {}

        def call(label: str, model: Model, key: KeyArray | None, x: Any) -> Any:
            y, own_state = model.apply(params.get(label, {}), state.get(label, {}), x, key=key, train=train)
            _keep(new_state, label, own_state)
            return y

        outputs = through(x, _split(key, len(named)), call)
        return merge(*outputs) if merge else outputs[-1] if outputs else x, new_state

    # The layers of a summary follow each other.
    return Model(init, apply, name, () if merge else named)


def _concatenate(name: str, *outputs: Any) -> Any:
    shapes = [jnp.shape(y) for y in outputs]
    alike = all(shape and shape[:-1] == shapes[0][:-1] for shape in shapes)
    expect(alike, name, "outputs that differ in the last axis only", f"shapes {shapes}")
    return jnp.concatenate(outputs, axis=-1)


def _check_names(name: str, params: Params, names: set[str]) -> None:
    foreign = sorted(set(params) - names) if isinstance(params, dict) else [type(params).__name__]
    expect(not foreign, name, f"params for the layers {sorted(names)}", f"params for {foreign}")


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
