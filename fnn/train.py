"""The one training loop.

Nothing happens in it but training: what prints, plots or logs stands outside, in a loop over :func:`epochs`.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fnn.callbacks import Callback, Event, init_all, update_all
from fnn.compilation import use_cache
from fnn.data.batching import effective_size
from fnn.data.sources import as_source
from fnn.divergence import all_finite, explain
from fnn.errors import InputError, expect, is_whole
from fnn.execution import Advance, Carry, StepFn, Tally, check_step, empty_tally, program_for, read_means
from fnn.feeding import Feed
from fnn.lowering import options_for
from fnn.objectives import loss_and_grad
from fnn.saving import Checkpoints, Kept, Saver, identify
from fnn.types import KeyArray, Metrics, Objective, Params, State, TrainState, is_key

Validate = Callable[[Params, State], Mapping[str, float]]
"""``(params, state) -> metrics``, such as :func:`fnn.evaluate` on held-out examples with names of its own."""


_PIECES = 50  # of an epoch, that a progress bar is told of


class Epoch(NamedTuple):
    """What is known after an epoch of training.

    Attributes:
        number: from 1.
        metrics: ``"loss"`` and what else the objective reports, each the mean over the examples of the epoch, as they
            were met: with the parameters of that moment, dropout on. Then those of ``validate``.
        train_state: all that training carries on. It is the reader's own; training goes on with a copy.
        callbacks: the states of the callbacks, in their order.
    """

    number: int
    metrics: dict[str, float]
    train_state: TrainState
    callbacks: tuple[Any, ...] = ()


class Fitted(NamedTuple):
    """What :func:`fit` gives.

    Attributes:
        params: the trained parameters.
        state: the model's state after training.
        train_state: the whole, to train on from here.
        history: the metrics of each epoch.
        callbacks: the states of the callbacks, in their order.
    """

    params: Params
    state: State
    train_state: TrainState
    history: list[dict[str, float]]
    callbacks: tuple[Any, ...] = ()


def start(optimizer: optax.GradientTransformation, params: Params, state: State, key: KeyArray) -> TrainState:
    """The state of a training that has not begun.

    Example:
        >>> int(start(optax.sgd(0.1), {"w": jnp.ones(2)}, {}, jax.random.key(0)).step)
        0
    """
    return TrainState(params, state, optimizer.init(params), key, jnp.zeros((), jnp.int32))


def check_key(where: str, key: Any) -> None:
    """Refuses what is not one PRNG key.

    Example:
        >>> check_key("fit", 1)
        Traceback (most recent call last):
            ...
        fnn.errors.InputError: fit: expected key=jax.random.key(seed), got key == 1
    """
    wanted = "key=jax.random.key(seed)"
    expect(is_key(key), where, wanted, f"key == {key!r}")
    expect(key.shape == (), where, wanted, f"keys of shape {key.shape}")


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
        with jax.numpy_dtype_promotion("standard"), jax.named_scope("optimizer"):
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
    validate: Validate | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoints: Checkpoints | None = None,
    resume: bool | int = False,
    on_step: Callable[[int], None] | None = None,
) -> Fitted:
    """Trains: ``n_epochs`` times over the data, one update per batch.

    The same arguments give the same bits, and what is given is left as it was. Whether the data lie in memory or are
    fetched, whether training is watched step by step, or was interrupted and resumed, makes no difference to them.

    Args:
        objective: what is minimised; see :func:`fnn.supervised`. Pure, like the optimizer: what it closes over is read
            when it is traced, and a training with the same two compiles nothing anew.
        optimizer: any Optax gradient transformation.
        params: where to start.
        state: the model's state, ``{}`` for most.
        data: ``(x, y)`` or ``(x, y, weights)``, arrays with the examples along axis 0; or a :class:`fnn.Source`, which
            fetches examples when they are needed.
        key: decides the order of the examples and what dropout drops.
        n_epochs: passes over the data.
        batch_size: examples per update. ``None``: all (full-batch descent); 1: online learning; else mini-batches.
            If the last batch of an epoch would be smaller, it is filled up with examples of weight 0.
        shuffle: a new order for each epoch; without it the order of ``data``.
        validate: called with parameters and state after each epoch; its numbers join the metrics of the epoch.
        callbacks: what looks at each epoch and may change the state or stop training; see :class:`fnn.Callback`.
        checkpoints: where and how often everything is kept on disk, so that a killed training can go on.
        resume: ``True`` goes on from the newest state in ``checkpoints``, or begins if there is none; a number goes on
            from the state after that step. The other arguments have to be those of the first time; ``n_epochs`` may be
            larger.
        on_step: called now and then with the number of updates sent off so far, for a progress bar. It sees nothing of
            the numbers: steps run asynchronously, and looking at one would wait for it.

    Returns:
        The trained parameters and what happened on the way.

    Raises:
        InputError: an argument is out of range, or parts of ``data`` disagree about the number of examples.
        DataError: ``data`` holds a NaN or an infinity.
        DivergedError: a number was no longer finite; the step, its examples and the layer are named, and the state from
            before that step is in the error.
        CheckpointError: a state cannot be kept, or the one to go on from is damaged or belongs to another training.

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
    whole = _run(
        objective,
        optimizer,
        params,
        state,
        data,
        key=key,
        n_epochs=n_epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        validate=validate,
        callbacks=tuple(callbacks),
        checkpoints=checkpoints,
        resume=resume,
        on_step=on_step,
    )
    (kept,) = deque(whole, maxlen=1)
    train_state = kept.carry.train_state
    return Fitted(train_state.params, train_state.state, train_state, kept.history, kept.callbacks)


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
    validate: Validate | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoints: Checkpoints | None = None,
    resume: bool | int = False,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Epoch]:
    """:func:`fit`, epoch by epoch: the same updates, with the caller's own code between them. Leave the loop to stop.

    The arguments, and the errors, are those of :func:`fit`. A resumed training gives out the epochs that were not over.

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
    whole = _run(
        objective,
        optimizer,
        params,
        state,
        data,
        key=key,
        n_epochs=n_epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        validate=validate,
        callbacks=tuple(callbacks),
        checkpoints=checkpoints,
        resume=resume,
        on_step=on_step,
    )
    for kept in islice(whole, 1, None):
        yield Epoch(len(kept.history), kept.history[-1], kept.carry.train_state, kept.callbacks)


def _run(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    params: Params,
    state: State,
    data: Any,
    *,
    key: KeyArray,
    n_epochs: int,
    batch_size: int | None,
    shuffle: bool,
    validate: Validate | None,
    callbacks: tuple[Callback, ...],
    checkpoints: Checkpoints | None,
    resume: bool | int,
    on_step: Callable[[int], None] | None,
) -> Iterator[Kept]:
    """What training has reached, at its beginning and after each epoch; all of it the reader's own."""
    sound = is_whole(n_epochs) and n_epochs >= 0
    expect(sound, "fit", "a whole number n_epochs >= 0", f"n_epochs == {n_epochs!r}")
    check_key("fit", key)
    use_cache()
    source = as_source(data, "fit")
    order_key, step_key = split(key)
    order_key = order_key if shuffle else None
    feed = Feed(source, effective_size(batch_size, len(source)), order_key, in_long_calls=on_step is None)
    program = program_for(make_step, objective, optimizer)
    begin = _begin(optimizer, params, state, step_key)
    traced = program.step.trace(begin, feed.spec())
    names = check_step(begin, *traced.out_info)
    advance = program.compiled_with(options_for(traced.jaxpr))
    kept = Kept(Carry(begin, empty_tally(names)), init_all(callbacks, begin), 0, [], False)
    identity = identify(source, feed.batch_size, shuffle, key, callbacks) if checkpoints else {}
    with Saver(checkpoints, identity) as saver:
        kept = saver.open(kept, resume)
        carry = copy(kept.carry)
        yield kept
        while kept.done < n_epochs * feed.n_steps and not kept.stopped:
            number = kept.done // feed.n_steps
            carry = _walk(advance, feed, saver, carry, kept, on_step)
            train_state, finite = _seen(carry.train_state)
            tally = jax.device_get(carry.tally)
            if tally.first_bad >= 0 or not finite:
                bad = tally.first_bad - 1 if tally.first_bad >= 0 else (number + 1) * feed.n_steps - 1
                replay = partial(_replay, advance, feed, kept.carry.tally, number)
                raise explain(
                    make_step(objective, optimizer), replay, feed, kept.carry.train_state, kept.done, int(bad)
                )
            metrics = read_means(tally)
            if validate is not None:
                metrics |= _validated(validate, train_state, metrics)
            states, decision = update_all(callbacks, kept.callbacks, Event(number + 1, metrics, train_state))
            if decision.train_state is not train_state:
                train_state, carry = decision.train_state, Carry(copy(decision.train_state), carry.tally)
            carry = Carry(carry.train_state, empty_tally(names))
            history, done = [*kept.history, metrics], (number + 1) * feed.n_steps
            kept = Kept(Carry(train_state, carry.tally), states, done, history, decision.stop)
            saver.save(kept, epoch_over=True, last=decision.stop or number + 1 == n_epochs)
            yield kept


def _walk(
    advance: Advance, feed: Feed, saver: Saver, carry: Carry, kept: Kept, on_step: Callable[[int], None] | None
) -> Carry:
    """The rest of the epoch that is under way; keeps what is to be kept on the way. Uses up ``carry``, not ``kept``."""
    epoch, first = divmod(kept.done, feed.n_steps)
    base = epoch * feed.n_steps
    piece = feed.n_steps if on_step is None else max(1, feed.n_steps // _PIECES)
    under_way: deque[Any] = deque()
    at = first
    try:
        for chunk in feed.chunks(epoch, first):
            while at < chunk.last:
                to = min(chunk.last, at + piece, _next(base + at, saver.every) - base)
                carry, done = advance(carry, chunk.batches, at - chunk.first, to - chunk.first)
                at = to
                if on_step is not None:
                    on_step(base + at)
                if at < feed.n_steps and saver.every and (base + at) % saver.every == 0:
                    saver.save(kept._replace(carry=carry, done=base + at), epoch_over=False)
                # Not too far ahead of the device: what it has not yet seen of the data takes memory, and a signal is
                # heard only between two waits.
                under_way.append(done)
                if len(under_way) > 1:
                    _wait(under_way.popleft())
        _wait(carry)
    except KeyboardInterrupt:
        # Between two assignments the state may already have gone into the next step; then that from before the epoch.
        if is_there(carry):
            kept = kept._replace(carry=carry, done=int(carry.train_state.step))
        if is_there(kept.carry):
            saver.save(kept, epoch_over=False, last=True)
        raise
    return carry


def _replay(
    advance: Advance, feed: Feed, tally: Tally, epoch: int, train_state: TrainState, first: int, last: int
) -> TrainState:
    carry = copy(Carry(train_state, tally))
    for chunk in feed.chunks(epoch, first, last):
        bounds = max(first, chunk.first) - chunk.first, min(last, chunk.last) - chunk.first
        carry, _ = advance(carry, chunk.batches, *bounds)
    reached: TrainState = carry.train_state
    return reached


def _next(step: int, every: int | None) -> int:
    """The next multiple of ``every``."""
    return sys.maxsize if every is None else step - step % every + every


def _validated(validate: Validate, train_state: TrainState, metrics: Mapping[str, float]) -> dict[str, float]:
    answer: Any = validate(train_state.params, train_state.state)
    expect(isinstance(answer, Mapping), "fit", "validate to give numbers by name, a dict", type(answer).__name__)
    given = {}
    for name, value in answer.items():
        wanted = f"validate to give one number as {name!r}"
        expect(np.shape(value) == (), "fit", wanted, f"shape {np.shape(value)}")
        try:
            given[name] = float(value)
        except (TypeError, ValueError):
            raise InputError(f"fit: expected {wanted}, got {value!r}") from None
    twice = sorted({*given} & {*metrics})
    expect(not twice, "fit", f"validate to give names other than {sorted(metrics)}", ", ".join(twice))
    return given


@jax.jit
def copy(tree: Any) -> Any:
    """The same numbers in buffers of their own."""
    return jax.tree.map(jnp.copy, tree)


@jax.jit
def _seen(train_state: TrainState) -> tuple[TrainState, Any]:
    """A copy, and whether it is finite."""
    return copy(train_state), all_finite(train_state)


def is_there(tree: Any) -> bool:
    """Whether no buffer has been donated away."""
    return not any(isinstance(leaf, jax.Array) and leaf.is_deleted() for leaf in jax.tree.leaves(tree))


@partial(jax.jit, static_argnums=0)
def _begin(optimizer: optax.GradientTransformation, params: Params, state: State, key: KeyArray) -> TrainState:
    """:func:`start`, in buffers of its own, because those that go into the program are donated to it and end there."""
    begin: TrainState = copy(start(optimizer, params, state, key))
    return begin


split = jax.jit(jax.random.split)
_wait: Callable[[Any], Any] = jax.block_until_ready
