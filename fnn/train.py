"""The one training loop.

Nothing happens in it but training: what prints, plots or saves stands outside, in a loop over :func:`epochs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from fnn.data.batching import batches, check_finite, check_weights, count_examples, effective_size, to_host
from fnn.errors import DivergedError, expect
from fnn.objectives import loss_and_grad
from fnn.types import Batch, KeyArray, Metrics, Objective, Params, State, TrainState

StepFn = Callable[[TrainState, Any], tuple[TrainState, Metrics]]


class Epoch(NamedTuple):
    """What is known after an epoch of training.

    Attributes:
        number: from 1.
        metrics: ``"loss"`` and what else the objective reports, each the mean over the examples of the epoch, as they
            were met: with the parameters of that moment, dropout on.
        train_state: all that training carries on. It is the reader's own; training goes on with a copy.
    """

    number: int
    metrics: dict[str, float]
    train_state: TrainState


class Fitted(NamedTuple):
    """What :func:`fit` gives.

    Attributes:
        params: the trained parameters.
        state: the model's state after training.
        train_state: the whole, to train on from here.
        history: the metrics of each epoch.
    """

    params: Params
    state: State
    train_state: TrainState
    history: list[dict[str, float]]


def start(optimizer: optax.GradientTransformation, params: Params, state: State, key: KeyArray) -> TrainState:
    """The state of a training that has not begun.

    Example:
        >>> int(start(optax.sgd(0.1), {"w": jnp.ones(2)}, {}, jax.random.key(0)).step)
        0
    """
    return TrainState(params, state, optimizer.init(params), key, jnp.zeros((), jnp.int32))


def make_step(objective: Objective, optimizer: optax.GradientTransformation) -> StepFn:
    """One update of the parameters: gradient of the objective on a batch, then the optimizer.

    Args:
        objective: ``(params, state, batch, key) -> (loss, (state, metrics))``.
        optimizer: any Optax gradient transformation.

    Returns:
        ``(train_state, batch) -> (train_state, metrics)``, a pure function: compile it, scan it, vmap it.

    Example:
        >>> from fnn import dense, half_squared_error, supervised
        >>> step = make_step(supervised(dense(1, bias=False), half_squared_error), optax.sgd(0.1))
        >>> before = start(optax.sgd(0.1), {"w": jnp.array([[3.0], [4.0]])}, {}, jax.random.key(0))
        >>> after, metrics = step(before, (jnp.array([[1.0, 2.0]]), jnp.array([[0.0]])))
        >>> [round(w, 4) for w in after.params["w"][:, 0].tolist()], float(metrics["loss"])
        ([1.9, 1.8], 60.5)
    """
    value_and_grad = loss_and_grad(objective)
    optimizer = optax.with_extra_args_support(optimizer)

    def step(train_state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        params, before, opt_state, key, count = train_state
        step_key = jax.random.fold_in(key, count)
        (loss, (state, metrics)), grads = value_and_grad(params, before, batch, step_key)
        # Optax lets its integer step count become a float; a caller who forbids that means code of their own.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(
                grads,
                opt_state,
                params,
                # What line searches and plateau detectors ask for; the others never see it.
                value=loss,
                grad=grads,
                value_fn=lambda at: objective(at, before, batch, step_key)[0],
            )
        params = optax.apply_updates(params, updates)
        return TrainState(params, state, opt_state, key, count + 1), {"loss": loss, **metrics}

    return step


def fit(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    params: Params,
    state: State,
    data: Any,
    *,
    key: KeyArray,
    n_epochs: int,
    batch_size: int | None = 32,
    shuffle: bool = True,
) -> Fitted:
    """Trains: ``n_epochs`` times over the data, one update per batch.

    A pure function: the same arguments give the same bits, and what is given is left as it was.

    Args:
        objective: what is minimised; see :func:`fnn.supervised`.
        optimizer: any Optax gradient transformation.
        params: where to start.
        state: the model's state, ``{}`` for most.
        data: ``(x, y)`` or ``(x, y, weights)``, arrays with the examples along axis 0.
        key: decides the order of the examples and what dropout drops.
        n_epochs: passes over the data.
        batch_size: examples per update. ``None``: all (full-batch descent); 1: online learning; else mini-batches.
            If the last batch of an epoch would be smaller, it is filled up with examples of weight 0.
        shuffle: a new order for each epoch; without it the order of ``data``.

    Returns:
        The trained parameters and what happened on the way.

    Raises:
        InputError: an argument is out of range, or parts of ``data`` disagree about the number of examples.
        DataError: ``data`` holds a NaN or an infinity.
        DivergedError: a loss or a parameter was no longer finite; the step is named.

    Example:
        A straight line through two points, learned.

        >>> import numpy as np
        >>> from fnn import dense, mean_squared_error, supervised
        >>> x, y = np.array([[0.0], [1.0]], np.float32), np.array([[1.0], [3.0]], np.float32)
        >>> model = dense(1)
        >>> params, state = model.init(jax.random.key(0), x)
        >>> objective = supervised(model, mean_squared_error)
        >>> fitted = fit(objective, optax.sgd(0.3), params, state, (x, y), key=jax.random.key(1), n_epochs=200)
        >>> round(float(fitted.params["w"][0, 0]), 3), round(float(fitted.params["b"][0]), 3)
        (2.0, 1.0)
    """
    train_state = start(optimizer, params, state, jax.random.split(key)[1])
    history = []
    for epoch in epochs(
        objective, optimizer, params, state, data, key=key, n_epochs=n_epochs, batch_size=batch_size, shuffle=shuffle
    ):
        train_state = epoch.train_state
        history.append(epoch.metrics)
    return Fitted(train_state.params, train_state.state, train_state, history)


def epochs(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    params: Params,
    state: State,
    data: Any,
    *,
    key: KeyArray,
    n_epochs: int,
    batch_size: int | None = 32,
    shuffle: bool = True,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Epoch]:
    """:func:`fit`, epoch by epoch: the same updates, with the caller's own code between them. Leave the loop to stop.

    Args:
        on_step: called with the number of updates sent off so far, for a progress bar. It sees nothing of the numbers:
            steps run asynchronously, and looking at one would wait for it.

    The other arguments, and the errors, are those of :func:`fit`.

    Yields:
        An :class:`Epoch` after each pass over the data.

    Example:
        >>> import numpy as np
        >>> from fnn import dense, mean_squared_error, supervised
        >>> x = np.ones((8, 1), np.float32)
        >>> model = dense(1)
        >>> arguments = supervised(model, mean_squared_error), optax.sgd(0.1), *model.init(jax.random.key(0), x), (x, x)
        >>> for epoch in epochs(*arguments, key=jax.random.key(1), n_epochs=100):
        ...     if epoch.metrics["loss"] < 0.001:
        ...         break
        >>> epoch.number < 100
        True
    """
    expect(n_epochs >= 0, "fit", "n_epochs >= 0", f"n_epochs == {n_epochs}")
    host = to_host(data)
    check_finite(host, "fit")
    size = effective_size(batch_size, count_examples(host))
    check_weights(host, "fit")
    order_key, step_key = jax.random.split(key)
    step = jax.jit(_tallied(make_step(objective, optimizer)), donate_argnums=(0, 1))
    # A copy, because the buffers of a TrainState are donated to the step and end with it.
    train_state, _ = _copy(start(optimizer, params, state, step_key))
    names = _metric_names(objective, train_state, next(batches(host, size)))
    sent = 0
    for number in range(1, n_epochs + 1):
        tally = _empty_tally(names)
        for batch in batches(host, size, jax.random.fold_in(order_key, number - 1) if shuffle else None):
            train_state, tally = step(train_state, tally, batch)
            sent += 1
            if on_step is not None:
                on_step(sent)
        kept, finite = _copy(train_state)
        yield Epoch(number, _read(tally, kept.step, finite), kept)


class Tally(NamedTuple):
    """What an epoch adds up on the device, so that no step has to wait for its numbers to be read.

    Attributes:
        sums: metrics times the number of examples.
        examples: how many examples there were, padding excluded.
        first_bad: the first step whose loss was not finite, -1 for none.
    """

    sums: Metrics
    examples: Float[Array, ""]
    first_bad: Int[Array, ""]


def _tallied(step: StepFn) -> Callable[[TrainState, Tally, Any], tuple[TrainState, Tally]]:
    def run(train_state: TrainState, tally: Tally, batch: Any) -> tuple[TrainState, Tally]:
        train_state, metrics = step(train_state, batch)
        x, _, weights = Batch(*batch)
        dtype = tally.examples.dtype
        n = (
            jnp.sum(weights).astype(dtype)
            if weights is not None
            else jnp.full((), jax.tree.leaves(x)[0].shape[0], dtype)
        )
        sums = {name: tally.sums[name] + n * value.astype(dtype) for name, value in metrics.items()}
        is_first = (tally.first_bad < 0) & ~jnp.isfinite(metrics["loss"])
        return train_state, Tally(sums, tally.examples + n, jnp.where(is_first, train_state.step, tally.first_bad))

    return run


def _metric_names(objective: Objective, train_state: TrainState, batch: Batch) -> list[str]:
    _, (_, metrics) = jax.eval_shape(objective, train_state.params, train_state.state, batch, train_state.key)
    return ["loss", *(name for name in metrics if name != "loss")]


def _empty_tally(names: list[str]) -> Tally:
    zero: Any = np.zeros((), np.float32)
    none: Any = np.full((), -1, np.int32)
    return Tally(dict.fromkeys(names, zero), zero, none)


@jax.jit
def _copy(train_state: TrainState) -> tuple[TrainState, Bool[Array, ""]]:
    """A copy, and whether all parameters are finite."""
    finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(train_state.params)]
    return jax.tree.map(jnp.copy, train_state), jnp.array(finite, bool).all()


def _read(tally: Tally, step: Int[Array, ""], finite: Bool[Array, ""]) -> dict[str, float]:
    """The epoch's means; raises if training left the finite numbers."""
    host, bad = jax.device_get(tally), int(tally.first_bad)
    if bad >= 0:
        reason = "the learning rate is too high, or a label is no class"
        raise DivergedError(f"training diverged: the loss of step {bad} is not finite; {reason}", bad)
    if not finite:
        reason = "the learning rate is too high"
        raise DivergedError(f"training diverged: a parameter is not finite after step {step}; {reason}", int(step))
    names = ["loss", *(name for name in host.sums if name != "loss")]
    return {name: float(host.sums[name] / host.examples) for name in names}
