"""What looks at training after each epoch, and may change it: pure pairs of functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fnn.types import TrainState


class Event(NamedTuple):
    """What a callback is told after an epoch.

    Attributes:
        epoch: from 1.
        metrics: those of the epoch, validation included.
        train_state: what training would go on with.
    """

    epoch: int
    metrics: Mapping[str, float]
    train_state: TrainState


class Decision(NamedTuple):
    """What a callback decides.

    Attributes:
        train_state: what training goes on with.
        stop: whether it ends here.
    """

    train_state: TrainState
    stop: bool = False


class Callback(NamedTuple):
    """A pure pair.

    Attributes:
        name: what it is called.
        init: ``train_state -> state``, a pytree of arrays.
        update: ``(state, event) -> (state, decision)``.
    """

    name: str
    init: Callable[[TrainState], Any]
    update: Callable[[Any, Event], tuple[Any, Decision]]


def init_all(callbacks: Sequence[Callback], train_state: TrainState) -> tuple[Any, ...]:
    """The first states, in order."""
    return tuple(callback.init(train_state) for callback in callbacks)


def update_all(callbacks: Sequence[Callback], states: Sequence[Any], event: Event) -> tuple[tuple[Any, ...], Decision]:
    """Asks each in turn; each sees the train state that the one before it decided on."""
    after, stop = [], False
    for callback, state in zip(callbacks, states, strict=True):
        state, decision = callback.update(state, event)
        after.append(state)
        event = event._replace(train_state=decision.train_state)
        stop = stop or decision.stop
    return tuple(after), Decision(event.train_state, stop)
