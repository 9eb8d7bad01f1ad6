"""The training loop as one expression, which can be compiled whole and mapped over keys and hyperparameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from fnn.data.batching import check_finite, check_weights, count_examples, effective_size, to_host
from fnn.errors import expect, is_whole
from fnn.lowering import repeated
from fnn.train import check_key, make_step, start
from fnn.types import Batch, KeyArray, Metrics, Objective, Params, State, TrainState


class Scanned(NamedTuple):
    """What :func:`fit_scan` gives.

    Attributes:
        params: the trained parameters.
        state: the model's state after training.
        train_state: the whole, to train on from here.
        history: the metrics by name, each of shape ``(n_epochs,)``: means over the examples of an epoch, as they were
            met.
        first_bad: the first step, from 1, whose loss was not finite, or the last if only the parameters are not in the
            end; -1 for none. What follows such a step has no meaning.
    """

    params: Params
    state: State
    train_state: TrainState
    history: dict[str, Float[Array, " n_epochs"]]
    first_bad: Int[Array, ""]


def fit_scan(
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
) -> Scanned:
    """:func:`fnn.fit` inside ``jax.lax.scan``: the same updates on the same batches, no Python between them.

    Compile it (``jax.jit``), or map it over many trainings (:func:`fnn.sweep`). For one training of a small network it
    is quicker than ``fit``; the numbers are those of ``fit`` up to rounding. The data is on the device as a whole.
    Where the model has convolutions, give ``compiler_options=fnn.compiler_options()`` to the outermost ``jax.jit``, as
    ``fit`` and :func:`fnn.sweep` do by themselves.

    Args:
        objective: what is minimised.
        optimizer: any Optax gradient transformation; its hyperparameters may be traced.
        params: where to start; may be traced, like ``state`` and ``key``.
        state: the model's state.
        data: ``(x, y)`` or ``(x, y, weights)``, arrays of numbers, not traced.
        key: decides the order of the examples and what dropout drops, as in ``fit``.
        n_epochs: passes over the data.
        batch_size: examples per update, ``None`` for all.
        shuffle: a new order for each epoch.

    Returns:
        What was trained. A training that diverges raises nothing, because a compiled program cannot: see ``first_bad``.

    Raises:
        InputError: an argument is out of range, or parts of ``data`` disagree about the number of examples.
        DataError: ``data`` holds a NaN or an infinity.

    Example:
        >>> from fnn import dense, mean_squared_error, supervised
        >>> x, y = np.array([[0.0], [1.0]], np.float32), np.array([[1.0], [3.0]], np.float32)
        >>> model = dense(1)
        >>> objective = supervised(model, mean_squared_error)
        >>> @jax.jit
        ... def train(key, learning_rate):
        ...     params, state = model.init(key, x)
        ...     return fit_scan(objective, optax.sgd(learning_rate), params, state, (x, y), key=key, n_epochs=200)
        >>> trained = train(jax.random.key(0), 0.3)
        >>> round(float(trained.params["w"][0, 0]), 3), trained.history["loss"].shape, int(trained.first_bad)
        (2.0, (200,), -1)
    """
    sound = is_whole(n_epochs) and n_epochs >= 0
    expect(sound, "fit_scan", "a whole number n_epochs >= 0", f"n_epochs == {n_epochs!r}")
    check_key("fit_scan", key)
    host = to_host(data)
    check_finite(host, "fit_scan")
    count = count_examples(host)
    size = effective_size(batch_size, count)
    check_weights(host, "fit_scan")
    missing = -count % size
    if missing and host.weights is None:
        host = host._replace(weights=np.ones(count, np.float32))
    whole: Batch = jax.tree.map(jnp.asarray, host)
    order_key, step_key = jax.random.split(key)
    step = make_step(objective, optimizer)

    def on_batch(train_state: TrainState, batch: Batch) -> tuple[TrainState, tuple[Metrics, Any]]:
        train_state, metrics = step(train_state, batch)
        examples = jnp.asarray(float(size)) if batch.weights is None else jnp.sum(batch.weights.astype(jnp.float32))
        return train_state, (metrics, examples.astype(jnp.float32))

    begin = start(optimizer, params, state, step_key)
    one_batch = jax.eval_shape(lambda whole: jax.tree.map(lambda leaf: leaf[:size], whole), whole)
    loop = repeated(on_batch, begin, one_batch)

    def on_rows(carry: Any, rows_and_present: Any) -> tuple[Any, tuple[Metrics, Any]]:
        rows, present = rows_and_present
        batch: Batch = jax.tree.map(lambda leaf: leaf[rows], whole)
        if missing:
            batch = batch._replace(weights=jnp.where(present, batch.weights, 0))
        return loop.step(carry, batch)

    # The same order as that of batches(): all examples at once are taken as they come, a last batch is filled up
    # with the first ones of the epoch.
    present = (np.arange(count + missing) < count).reshape(-1, size)

    def on_epoch(carry: Any, number: Any) -> tuple[Any, tuple[Metrics, Any]]:
        if size == count:
            carry, (metrics, _) = loop.step(carry, whole)
            return carry, (metrics, ~jnp.isfinite(metrics["loss"])[None])
        order_of_epoch = jax.random.fold_in(order_key, number)
        order = jax.random.permutation(order_of_epoch, count) if shuffle else jnp.arange(count)
        rows = jnp.concatenate([order, order[:missing]]).reshape(-1, size)
        carry, (metrics, examples) = jax.lax.scan(on_rows, carry, (rows, present))
        # A batch whose examples all have the weight 0 has the loss 0, and so adds nothing.
        means = {
            name: jnp.sum(value * examples.astype(value.dtype)) / jnp.sum(examples) for name, value in metrics.items()
        }
        return carry, (means, ~jnp.isfinite(metrics["loss"]))

    end, (history, bad) = jax.lax.scan(on_epoch, loop.turned(begin), jnp.arange(n_epochs))
    train_state: TrainState = loop.turned_back(end)
    n_steps = n_epochs * len(present)
    first = jnp.min(jnp.where(bad.ravel(), jnp.arange(1, n_steps + 1), n_steps + 1), initial=n_steps + 1)
    finite = jnp.array([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(train_state.params)], bool).all()
    first_bad = jnp.where(first <= n_steps, first, jnp.where(finite, -1, n_steps))
    return Scanned(train_state.params, train_state.state, train_state, history, first_bad)
