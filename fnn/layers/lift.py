"""Functions as models: what a layer without state needs to say, and no more."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import jax

from fnn.compilation import use_cache
from fnn.errors import InputError, expect
from fnn.types import InitFn, KeyArray, Model, Params, State, spec


def stateless(name: str, init: Callable[[KeyArray, Any], Params], forward: Callable[[Params, Any], Any]) -> Model:
    """A model that has no state and draws no random numbers when it is applied.

    Args:
        name: what a person calls it.
        init: ``(key, x) -> params``; it sees shape and dtype of ``x`` only.
        forward: ``(params, x) -> y``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> shift = stateless("shift", lambda key, x: {"by": jnp.ones(())}, lambda params, x: x + params["by"])
        >>> params, state = shift.init(jax.random.key(0), jnp.zeros(2))
        >>> shift.apply(params, state, jnp.zeros(2))[0].tolist()
        [1.0, 1.0]
    """

    @compiled_init
    def init_model(key: KeyArray, x: Any) -> tuple[Params, State]:
        return init(key, x), {}

    def apply(
        params: Params, state: State, x: Any, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]:
        return forward(params, x), state

    return Model(init_model, apply, name)


def compiled_init(init: InitFn) -> InitFn:
    """``init`` as one program: operation by operation, each would be compiled for itself, which takes a second.

    On a CPU it is compiled without LLVM's optimizations: it runs once, and each draw of random numbers takes them half
    a second (20 s to 3 s for a network of 15 layers). Within another program that is being compiled it becomes part of
    that.
    """
    use_cache()  # before the key is made, which is a program too, if only the model is made before it

    @cache
    def program() -> Callable[..., tuple[Params, State]]:
        options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
        return jax.jit(
            lambda key, leaves, tree: init(key, jax.tree.unflatten(tree, leaves)),
            static_argnums=(1, 2),
            compiler_options=options,
        )

    @wraps(init)
    def compiled(key: KeyArray, x: Any) -> tuple[Params, State]:
        shapes = spec(x)
        # Within a program even what is made of a key from outside is traced; options of its own JAX would refuse there.
        if isinstance(_data_of(key), jax.core.Tracer):
            return init(key, shapes)
        use_cache()
        leaves, tree = jax.tree.flatten(shapes)
        try:
            params, state = program()(key, tuple(leaves), tree)
        except InputError as error:
            error.__notes__ = []  # in which JAX says that it has shortened the traceback
            raise
        return params, state

    return compiled


def _data_of(key: Any) -> Any:
    try:
        data = jax.random.key_data(key)
    except TypeError:
        raise InputError(f"init: expected key=jax.random.key(seed), got key == {key!r}") from None
    expect(data.ndim == 1, "init", "key=jax.random.key(seed)", f"keys of shape {data.shape[:-1]}")
    return data


def lift(function: Callable[[Any], Any], where: str = "lift") -> Model:
    """A plain function of the inputs, such as an activation, as a model without parameters.

    Args:
        function: ``x -> y``.
        where: who speaks in its errors.

    Raises:
        InputError: ``function`` cannot be called, or makes models, as its annotation says or is found out when it is
            applied: parentheses were forgotten.

    Example:
        >>> import jax.numpy as jnp
        >>> lift(jnp.tanh).apply({}, {}, jnp.zeros(2))[0].tolist()
        [0.0, 0.0]
    """
    if not callable(function):
        raise InputError(f"{where}: expected a Model or a callable as a layer, got {function!r}")
    wrapped = getattr(function, "func", function)  # a functools.partial is known by what it wraps
    name = getattr(wrapped, "__name__", type(function).__name__)
    if name == "<lambda>":
        name = "function"

    makes_one = f"{where}: expected a layer, got the function {name} that makes one; write {name}(...)"
    if _returns_model(wrapped):  # before it fails in words of its own, because what it is given is an array
        raise InputError(makes_one)

    def forward(params: Params, x: Any) -> Any:
        y = function(x)
        if isinstance(y, Model):
            raise InputError(makes_one)
        return y

    return stateless(name, lambda key, x: {}, forward)


def _returns_model(function: Any) -> bool:
    try:
        returned = function.__annotations__.get("return")
    except (AttributeError, NameError):  # a callable object; names that are there for the type checker only
        return False
    if isinstance(returned, str):  # as with "from __future__ import annotations"
        around = getattr(function, "__globals__", {})
        known = {"Model": around.get("Model"), "fnn.Model": getattr(around.get("fnn"), "Model", None)}
        returned = known.get(returned)
    return returned is Model
