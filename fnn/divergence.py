"""What is told when training leaves the finite numbers: the step, its examples, the layer, and the state before it."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from fnn.errors import DivergedError
from fnn.execution import StepFn
from fnn.feeding import Feed
from fnn.origin import Origin, find_origin
from fnn.types import TrainState

Replay = Callable[[TrainState, int, int], TrainState]
"""``(train_state, first, last) -> train_state``: steps ``first`` to before ``last`` of the epoch, from 0, once more."""


@jax.jit
def all_finite(train_state: TrainState) -> Bool[Array, ""]:
    """Whether parameters and model state are finite throughout."""
    leaves = jax.tree.leaves((train_state.params, train_state.state))
    floats = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.array([jnp.isfinite(leaf).all() for leaf in floats], bool).all()


def explain(step: StepFn, replay: Replay, feed: Feed, begin: TrainState, done: int, bad: int) -> DivergedError:
    """Finds the step that did it, by doing the epoch's steps again from a state in which all was well.

    Args:
        step: one update.
        replay: carries out steps of this epoch as they were carried out before, to the bit.
        feed: the examples.
        begin: the state from which the epoch was gone on with.
        done: how many updates it has had.
        bad: the number of a step, from 0, after which something is known not to be finite.
    """
    epoch = bad // feed.n_steps
    if any(leaf.is_deleted() for leaf in jax.tree.leaves(begin)):  # the caller has donated it
        return DivergedError(f"training diverged: at step {bad + 1} or before, a number is not finite", bad + 1)
    # Halving: before `low` all is finite, after `high` it is not.
    low, high, good = done % feed.n_steps, bad % feed.n_steps, begin
    while low < high:
        middle = (low + high + 1) // 2
        reached = replay(good, low, middle)
        if bool(all_finite(reached)):
            low, good = middle, reached
        else:
            high = middle - 1
    batch = feed.batch(epoch, low)
    in_loss = find_origin(lambda *arguments: step(*arguments)[1], good, batch)
    origin = in_loss or find_origin(lambda *arguments: step(*arguments)[0], good, batch)
    what = _name(origin, in_loss is not None) if bool(all_finite(good)) else "a number it started from"
    number = epoch * feed.n_steps + low + 1
    where = f"step {number} (epoch {epoch + 1}, batch {low + 1} of {feed.n_steps})"
    return DivergedError(
        f"training diverged: at {where}, {what} is not finite; the learning rate is too high, or a label is no class",
        number,
        epoch=epoch + 1,
        batch=low + 1,
        rows=feed.rows(epoch, low),
        layer=origin.layer or None if origin else None,
        train_state=good,
    )


def _name(origin: Origin | None, in_loss: bool) -> str:
    if origin is None:
        return "a number"
    if origin.layer == "optimizer":
        return "the update"
    if not origin.layer:
        return f"the result of {origin.operation}"
    if origin.layer == "loss":
        return "the loss" if in_loss else "the gradient of the loss"
    return f"the output of {origin.layer}" if in_loss else f"the gradient of {origin.layer}"
