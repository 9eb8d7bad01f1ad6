"""What looks at training after each epoch, and may change it: pure pairs of functions.

Their states are pytrees of arrays of fixed shapes, so that they are kept and resumed like everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fnn.errors import expect, is_real, is_whole
from fnn.types import TrainState

Mode = Literal["min", "max"]


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


def early_stopping(metric: str, *, patience: int, min_delta: float = 0.0, mode: Mode = "min") -> Callback:
    """Ends training when ``metric`` has not improved for ``patience`` epochs, as Keras and Lightning count them.

    Args:
        metric: a name among the metrics of an epoch, such as one of ``validate``.
        patience: how many epochs in a row without improvement end it, at least 1.
        min_delta: what counts as an improvement is better than the best so far by more than this.
        mode: whether lower (``"min"``) or higher (``"max"``) is better.

    Returns:
        A callback whose state is ``{"best", "waited"}``.

    Raises:
        InputError: an argument is out of range; in use, there is no such metric.

    Example:
        >>> callback = early_stopping("loss", patience=2)
        >>> state, stops = callback.init(None), []
        >>> for epoch, loss in enumerate([1.0, 0.5, 0.6, 0.7], start=1):
        ...     state, decision = callback.update(state, Event(epoch, {"loss": loss}, None))
        ...     stops.append(decision.stop)
        >>> stops
        [False, False, False, True]
    """
    _check_count("early_stopping", "patience", patience, 1)
    better = _better("early_stopping", metric, min_delta, mode)

    def init(train_state: TrainState) -> Any:
        return {"best": np.float32(np.nan), "waited": np.int32(0)}

    def update(state: Any, event: Event) -> tuple[Any, Decision]:
        value = better.value(event)
        if better.than(value, state["best"]):
            return {"best": np.float32(value), "waited": np.int32(0)}, Decision(event.train_state)
        waited = int(state["waited"]) + 1
        return {"best": state["best"], "waited": np.int32(waited)}, Decision(event.train_state, waited >= patience)

    return Callback("early_stopping", init, update)


def keep_best(metric: str, *, mode: Mode = "min") -> Callback:
    """Remembers the parameters of the epoch whose ``metric`` is best.

    Args:
        metric: a name among the metrics of an epoch.
        mode: whether lower or higher is better.

    Returns:
        A callback whose state is ``{"params", "state", "value", "epoch"}``: parameters and model state after that
        epoch, the metric, and the number of the epoch from 1, 0 if there was none. It is found in
        :class:`fnn.Fitted`'s ``callbacks``, at the place that the callback was given.

    Raises:
        InputError: in use, there is no such metric.

    Example:
        >>> import jax, optax
        >>> from fnn import dense, fit, mean_squared_error, supervised
        >>> x = np.ones((4, 1), np.float32)
        >>> model = dense(1)
        >>> params, state = model.init(jax.random.key(0), x)
        >>> fitted = fit(
        ...     supervised(model, mean_squared_error), optax.sgd(0.1), params, state, (x, x), key=jax.random.key(1),
        ...     n_epochs=3, callbacks=[keep_best("loss")],
        ... )
        >>> (best,) = fitted.callbacks
        >>> int(best["epoch"]), bool((best["params"]["w"] == fitted.params["w"]).all())
        (3, True)
    """
    better = _better("keep_best", metric, 0.0, mode)

    def init(train_state: TrainState) -> Any:
        params, state = jax.tree.map(jnp.copy, (train_state.params, train_state.state))
        return {"params": params, "state": state, "value": np.float32(np.nan), "epoch": np.int32(0)}

    def update(state: Any, event: Event) -> tuple[Any, Decision]:
        value = better.value(event)
        if better.than(value, state["value"]):
            # A copy: what the event has belongs to whoever is given it next.
            params, model_state = jax.tree.map(jnp.copy, (event.train_state.params, event.train_state.state))
            epoch = np.int32(event.epoch)
            state = {"params": params, "state": model_state, "value": np.float32(value), "epoch": epoch}
        return state, Decision(event.train_state)

    return Callback("keep_best", init, update)


def reduce_on_plateau(
    metric: str,
    *,
    factor: float = 0.5,
    patience: int = 3,
    min_delta: float = 0.0,
    cooldown: int = 0,
    min_rate: float = 0.0,
    mode: Mode = "min",
) -> Callback:
    """Multiplies the learning rate by ``factor`` when ``metric`` has not improved for ``patience`` epochs.

    The optimizer has to have its rate in its state, as a number and not as a schedule, which would set it anew at each
    step: ``optax.inject_hyperparams(optax.adam)(learning_rate=1e-3)``, alone or anywhere in a chain.

    Args:
        metric: a name among the metrics of an epoch.
        factor: between 0 and 1.
        patience: how many epochs in a row without improvement lower the rate, at least 1.
        min_delta: what counts as an improvement is better than the best so far by more than this.
        cooldown: epochs after a reduction in which none is counted.
        min_rate: the rate never falls below this.
        mode: whether lower or higher is better.

    Returns:
        A callback whose state is ``{"best", "waited", "resting"}``.

    Raises:
        InputError: an argument is out of range; in use, there is no such metric or no such learning rate.

    Example:
        >>> import optax
        >>> from fnn import start
        >>> optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=0.8)
        >>> train_state = start(optimizer, {"w": jnp.ones(1)}, {}, jax.random.key(0))
        >>> callback = reduce_on_plateau("loss", patience=1)
        >>> state = callback.init(train_state)
        >>> for epoch in (1, 2, 3):
        ...     state, (train_state, _) = callback.update(state, Event(epoch, {"loss": 1.0}, train_state))
        >>> round(float(train_state.opt_state.hyperparams["learning_rate"]), 3)
        0.2
    """
    between = is_real(factor) and 0 < factor < 1
    expect(between, "reduce_on_plateau", "factor between 0 and 1", f"factor == {factor!r}")
    _check_count("reduce_on_plateau", "patience", patience, 1)
    _check_count("reduce_on_plateau", "cooldown", cooldown, 0)
    expect(is_real(min_rate), "reduce_on_plateau", "min_rate to be a number", f"min_rate == {min_rate!r}")
    better = _better("reduce_on_plateau", metric, min_delta, mode)

    def init(train_state: TrainState) -> Any:
        _rate_of(train_state)
        return {"best": np.float32(np.nan), "waited": np.int32(0), "resting": np.int32(0)}

    def update(state: Any, event: Event) -> tuple[Any, Decision]:
        value, train_state = better.value(event), event.train_state
        improved = better.than(value, state["best"])
        best = np.float32(value) if improved else state["best"]
        resting = max(0, int(state["resting"]) - 1)
        waited = 0 if improved or state["resting"] > 0 else int(state["waited"]) + 1
        if waited >= patience:
            rate = _rate_of(train_state)
            lower = jnp.asarray(max(float(rate) * factor, min_rate), rate.dtype)
            lower = jnp.minimum(lower, rate)  # a rate below the least one is left alone
            changed = optax.tree_utils.tree_set(train_state.opt_state, learning_rate=lower)
            train_state, waited, resting = train_state._replace(opt_state=changed), 0, cooldown
        return {"best": best, "waited": np.int32(waited), "resting": np.int32(resting)}, Decision(train_state)

    return Callback("reduce_on_plateau", init, update)


def _check_count(where: str, what: str, value: Any, least: int) -> None:
    sound = is_whole(value) and value >= least
    expect(sound, where, f"a whole number {what} >= {least}", f"{what} == {value!r}")


def _rate_of(train_state: TrainState) -> Any:
    found = optax.tree_utils.tree_get_all_with_path(train_state.opt_state, "learning_rate")
    rates = [value for _, value in found if hasattr(value, "dtype")]
    is_number = len(rates) == len(found)  # of a schedule there is a state as well
    expect(is_number, "reduce_on_plateau", "a learning_rate that is a number", "a schedule, which sets it at each step")
    made = "optax.inject_hyperparams(optax.adam)(learning_rate=...) makes one"
    expect(len(rates) == 1, "reduce_on_plateau", f"one learning_rate in the optimizer's state; {made}", f"{len(rates)}")
    return rates[0]


class _Better(NamedTuple):
    """How values of a metric compare."""

    value: Callable[[Event], float]
    than: Callable[[float, Any], bool]


def _better(where: str, metric: str, min_delta: float, mode: Mode) -> _Better:
    expect(mode in ("min", "max"), where, 'mode "min" or "max"', f"mode == {mode!r}")
    expect(is_real(min_delta) and min_delta >= 0, where, "min_delta >= 0", f"min_delta == {min_delta!r}")

    def value(event: Event) -> float:
        known = ", ".join(event.metrics)
        expect(metric in event.metrics, where, f"a metric among {known}", repr(metric))
        return float(np.float32(event.metrics[metric]))  # as it will be kept

    def than(new: float, best: Any) -> bool:
        # The best of nothing is NaN: everything is better; a NaN never is.
        if np.isnan(new) or np.isnan(best):
            return bool(np.isnan(best) and not np.isnan(new))
        gain = best - new if mode == "min" else new - best
        return bool(gain > min_delta)

    return _Better(value, than)
