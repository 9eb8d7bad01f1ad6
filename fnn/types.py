"""The words that the rest of the library speaks: parameters, state, models, batches, what training carries along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

Params: TypeAlias = PyTree
"""What is learned: nested dicts of arrays, with names that a person understands."""

State: TypeAlias = PyTree
"""What a model carries from call to call without learning it by gradient, such as running means. Often ``{}``."""

KeyArray: TypeAlias = Key[Array, ""]
"""One PRNG key, as ``jax.random.key(seed)`` makes it."""

Metrics: TypeAlias = dict[str, Float[Array, ""]]
"""Named numbers about one batch, each a mean over its examples."""


class InitFn(Protocol):
    """Draws first parameters and the first state for inputs like ``x``: an array or a ``jax.ShapeDtypeStruct``."""

    def __call__(self, key: KeyArray, x: Any, /) -> tuple[Params, State]: ...


class ApplyFn(Protocol):
    """Computes outputs; a pure function. ``train`` says whether what differs in training (dropout) is on."""

    def __call__(
        self, params: Params, state: State, x: Any, /, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]: ...


@dataclass(frozen=True)
class Model:
    """A layer, an activation, a whole network, somebody else's module: two pure functions.

    Attributes:
        init: ``(key, x) -> (params, state)``; only the shape and dtype of ``x`` matter.
        apply: ``(params, state, x, *, key=None, train=False) -> (y, state)``.
        name: what a person calls it; ``serial`` names parameters after it.
        layers: the named parts of a combination, in order, for a summary; empty for a single layer.

    Example:
        A layer that learns one factor, and nothing else.

        >>> import jax.numpy as jnp
        >>> scale = Model(
        ...     init=lambda key, x: ({"factor": jnp.ones(())}, {}),
        ...     apply=lambda params, state, x, *, key=None, train=False: (params["factor"] * x, state),
        ...     name="scale",
        ... )
        >>> params, state = scale.init(jax.random.key(0), jnp.ones(3))
        >>> scale.apply(params, state, jnp.ones(3))[0].shape
        (3,)
    """

    init: InitFn
    apply: ApplyFn
    name: str = "model"
    layers: tuple[tuple[str, Model], ...] = ()

    def _repr_html_(self) -> str:
        """A notebook shows the layers."""
        from fnn.showing import show  # which speaks of models

        return show(self).html


class Batch(NamedTuple):
    """Examples that are seen together. A plain tuple ``(x, y)`` or ``(x, y, weights)`` serves as well.

    Attributes:
        x: inputs, an array (or a pytree of arrays) whose first axis counts examples.
        y: targets, the same; ``None`` where an objective needs none.
        weights: how much each example counts, ``None`` for all alike. Padding has weight 0.
    """

    x: Any
    y: Any = None
    weights: Any = None


class Objective(Protocol):
    """What training minimises: a scalar loss, beside it the new state and metrics. A script may write its own.

    :func:`fnn.fit` gives it a :class:`fnn.Batch` of three parts, ``x, y, weights = batch``, whatever the data were:
    where a last batch was filled up, ``weights`` is 0 for what does not count, and else it may be ``None``. A mean over
    the examples has to be a weighted one. Metrics are single numbers.
    """

    def __call__(
        self, params: Params, state: State, batch: Any, key: KeyArray, /
    ) -> tuple[Float[Array, ""], tuple[State, Metrics]]: ...


class ExampleLoss(Protocol):
    """Outputs and targets to one number per example, of shape ``(batch,)``: a loss before reduction, or a metric."""

    def __call__(self, outputs: Any, targets: Any, /) -> Float[Array, " batch"]: ...


class TrainState(NamedTuple):
    """All that a step of training reads and writes; with the data it determines every later step.

    Attributes:
        params: the parameters.
        state: the model's state.
        opt_state: the optimizer's state.
        key: the root key; step ``t`` uses ``fold_in(key, t)``, so that no key needs to be stored per step.
        step: how many steps were taken, int32.
    """

    params: Params
    state: State
    opt_state: Any
    key: KeyArray
    step: Int[Array, ""]


def is_key(leaf: Any) -> bool:
    """Whether this is a PRNG key, as ``jax.random.key`` makes it, or an array of them.

    Example:
        >>> is_key(jax.random.key(0)), is_key(0)
        (True, False)
    """
    return hasattr(leaf, "dtype") and bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def spec(x: Any) -> Any:
    """Shapes and dtypes of a pytree of arrays, without the numbers: what ``Model.init`` needs to know of ``x``.

    Example:
        >>> import numpy as np
        >>> spec(np.zeros((2, 3), np.float32))
        ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """
    return jax.eval_shape(lambda tree: tree, x)
