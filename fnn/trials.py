"""Short trainings that answer a question before the long one: which learning rate, does it learn, does it run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from fnn.callbacks import Callback
from fnn.data.batching import effective_size
from fnn.data.sources import Source, as_source
from fnn.errors import InputError, expect, is_whole
from fnn.lowering import compiler_options
from fnn.train import Fitted, Validate, check_key, fit, make_step, start
from fnn.types import Batch, KeyArray, Objective, Params, State

_SMOOTHING = 0.9  # weight of what came before in the running mean of the loss
_TOO_HIGH = 4.0  # times the lowest smoothed loss: from there on nothing is learned about the rate


class LearningRates(NamedTuple):
    """What :func:`find_learning_rate` gives.

    Attributes:
        rates: the learning rates that were tried, rising.
        losses: the loss that each was met with, smoothed; the same shape.
        suggestion: where the loss falls most steeply over the logarithm of the rate.
    """

    rates: Float[np.ndarray, " n"]
    losses: Float[np.ndarray, " n"]
    suggestion: float


def find_learning_rate(
    objective: Objective,
    make_optimizer: Callable[[Any], optax.GradientTransformation],
    params: Params,
    state: State,
    data: Any,
    *,
    key: KeyArray,
    low: float = 1e-6,
    high: float = 10.0,
    n_steps: int = 100,
    batch_size: int | None = 32,
) -> LearningRates:
    """Trains a copy for ``n_steps`` batches while the learning rate rises from ``low`` to ``high``.

    While the rate is too low the loss stays, then it falls, then the rate is too high and it rises. The suggestion is
    the rate of the steepest fall of the loss, smoothed; what comes after a loss of four times the lowest, or one that
    is not finite, is left out. Nothing that is given is changed. With batches of a few examples the losses differ more
    by their examples than by the rate, and the suggestion may be noise: look at ``losses``.

    Args:
        objective: what is minimised.
        make_optimizer: from a schedule of the learning rate to an optimizer, such as ``optax.adam``.
        params: where to start; left as they are, like ``state``.
        state: the model's state.
        data: as for :func:`fnn.fit`; gone through again if it has fewer than ``n_steps`` whole batches.
        key: decides the order of the examples and what dropout drops.
        low: the first rate.
        high: the last.
        n_steps: how many rates are tried, evenly by their logarithm.
        batch_size: examples per update, ``None`` for all.

    Raises:
        InputError: an argument is out of range, or the loss never falls.

    Source: L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017.

    Example:
        >>> from fnn import dense, mean_squared_error, supervised
        >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
        >>> model = dense(1)
        >>> params, state = model.init(jax.random.key(0), x)
        >>> objective = supervised(model, mean_squared_error)
        >>> found = find_learning_rate(objective, optax.sgd, params, state, (x, 3 * x), key=jax.random.key(1))
        >>> 0.01 < found.suggestion < 3
        True
    """
    where = "find_learning_rate"
    expect(0 < low < high, where, "0 < low < high", f"low == {low}, high == {high}")
    expect(is_whole(n_steps) and n_steps >= 3, where, "a whole number n_steps >= 3", f"n_steps == {n_steps!r}")
    check_key(where, key)
    source = as_source(data, where)
    order_key, step_key = jax.random.split(key)
    batches = _batches(source, effective_size(batch_size, len(source)), order_key)
    rates = np.geomspace(low, high, n_steps)
    optimizer = make_optimizer(optax.exponential_decay(low, n_steps - 1, high / low))
    step = jax.jit(make_step(objective, optimizer), compiler_options=compiler_options())
    train_state, met = start(optimizer, params, state, step_key), []
    for batch in islice(batches, n_steps):
        train_state, metrics = step(train_state, batch)
        met.append(metrics["loss"])
    losses = _smoothed(np.asarray(jax.device_get(jnp.stack(met)), np.float64))
    if len(losses) < 3 or losses.min() >= losses[0]:
        raise InputError(f"{where}: expected a loss that falls somewhere between {low} and {high}, got {losses[:1]}...")
    slopes = np.gradient(losses, np.log(rates[: len(losses)]))
    lowest = int(np.argmin(losses))
    # The mean of the first few losses says more about their batches than about the rate.
    settled = min(round(1 / (1 - _SMOOTHING)), lowest)
    steepest = settled + int(np.argmin(slopes[settled : lowest + 1]))
    return LearningRates(rates[: len(losses)], losses, float(rates[steepest]))


def _batches(source: Source, size: int, key: KeyArray) -> Iterator[Batch]:
    """Whole batches without end, in a new order for each pass. No example is fetched before it is needed."""
    for number in count():
        order = np.asarray(jax.random.permutation(jax.random.fold_in(key, number), len(source)))
        for begin in range(0, len(order) - size + 1, size):
            yield source.take(order[begin : begin + size])


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """Running means without bias towards the beginning, up to where they mean nothing any more."""
    mean = 0.0
    smoothed: list[float] = []
    for number, loss in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        value = mean / (1 - _SMOOTHING**number)
        if not np.isfinite(value) or (smoothed and value > _TOO_HIGH * min(smoothed)):
            break
        smoothed.append(value)
    return np.array(smoothed)


def overfit_one_batch(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    params: Params,
    state: State,
    data: Any,
    *,
    key: KeyArray,
    n_steps: int = 200,
    batch_size: int = 32,
) -> Fitted:
    """Trains on the first batch only: a model whose loss does not go towards 0 here has no chance on all the data.

    Args:
        n_steps: how many updates.
        batch_size: examples of the batch, the first of ``data``.

    The other arguments, and the errors, are those of :func:`fnn.fit`; the history has one entry per update.

    Example:
        >>> from fnn import dense, mean_squared_error, supervised
        >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
        >>> model = dense(1)
        >>> params, state = model.init(jax.random.key(0), x)
        >>> objective = supervised(model, mean_squared_error)
        >>> fitted = overfit_one_batch(objective, optax.sgd(0.3), params, state, (x, x), key=jax.random.key(1))
        >>> fitted.history[-1]["loss"] < 1e-6
        True
    """
    sound = is_whole(n_steps) and n_steps >= 1
    expect(sound, "overfit_one_batch", "a whole number n_steps >= 1", f"n_steps == {n_steps!r}")
    source = as_source(data, "overfit_one_batch")
    batch = source.take(np.arange(effective_size(batch_size, len(source))))
    return fit(objective, optimizer, params, state, tuple(batch), key=key, n_epochs=n_steps, batch_size=None)


def fast_dev_run(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    params: Params,
    state: State,
    data: Any,
    *,
    key: KeyArray,
    batch_size: int = 32,
    validate: Validate | None = None,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """One epoch of two batches, the second one filled up, through ``validate`` and ``callbacks``; nothing is kept.

    Finds wrong shapes, dtypes and names in seconds, before a training that takes hours does so at its end.

    The arguments, and the errors, are those of :func:`fnn.fit`.

    Example:
        >>> from fnn import dense, mean_squared_error, supervised
        >>> x = np.linspace(-1, 1, 640, dtype=np.float32)[:, None]
        >>> model = dense(1)
        >>> params, state = model.init(jax.random.key(0), x)
        >>> objective = supervised(model, mean_squared_error)
        >>> fitted = fast_dev_run(objective, optax.sgd(0.3), params, state, (x, x), key=jax.random.key(1))
        >>> int(fitted.train_state.step), len(fitted.history)
        (2, 1)
    """
    source = as_source(data, "fast_dev_run")
    size = effective_size(batch_size, len(source))
    some = source.take(np.arange(min(len(source), max(size + 1, 2 * size - 1))))
    return fit(
        objective,
        optimizer,
        params,
        state,
        tuple(some),
        key=key,
        n_epochs=1,
        batch_size=size,
        validate=validate,
        callbacks=callbacks,
    )
