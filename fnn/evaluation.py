"""What a trained model does on data: its outputs, and means of losses and metrics over all examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from fnn.compilation import use_cache
from fnn.data.batching import batches, check_weights, count_examples, effective_size, to_host
from fnn.errors import expect
from fnn.lowering import canonical, compiler_options
from fnn.types import ExampleLoss, Model, Params, State


def predict(model: Model, params: Params, state: State, x: Any, *, batch_size: int = 512) -> Any:
    """The outputs for every example, the model not in training.

    Args:
        model: the model.
        params: its parameters.
        state: its state.
        x: inputs, an array (or a pytree of arrays) with the examples along axis 0.
        batch_size: how many examples are computed at a time; it changes the memory needed, not the meaning.

    Returns:
        A NumPy array (or a pytree of them) with the examples along axis 0.

    Raises:
        InputError: there are no examples, or ``x`` does not fit the model.

    Example:
        >>> from fnn import dense
        >>> predict(dense(1, bias=False), {"w": np.ones((2, 1), np.float32)}, {}, np.ones((3, 2), np.float32)).tolist()
        [[2.0], [2.0], [2.0]]
    """
    use_cache()
    wrong = [type(leaf).__name__ for leaf in jax.tree.leaves(x) if not hasattr(leaf, "shape")]
    expect(not wrong, "predict", "x to be an array, or a pytree of arrays", f"a {type(x).__name__} of {wrong[:1]}")
    data = to_host((x,))
    count = count_examples(data)
    forward = _forward(model)
    # All parts are sent off before the first is waited for.
    parts = [forward(params, state, batch.x) for batch in batches(data, effective_size(batch_size, count))]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *jax.device_get(parts))


def evaluate(
    model: Model,
    params: Params,
    state: State,
    data: Any,
    metrics: Mapping[str, ExampleLoss],
    *,
    batch_size: int = 512,
) -> dict[str, float]:
    """The mean of each metric over the examples, the model not in training.

    Args:
        model: the model.
        params: its parameters.
        state: its state.
        data: ``(x, y)`` or ``(x, y, weights)``, arrays with the examples along axis 0.
        metrics: functions ``(outputs, y) -> (batch,)`` by name: losses, :func:`fnn.accuracy`, your own.
        batch_size: how many examples are computed at a time.

    Returns:
        The means by name, added up in float64; with weights, weighted means.

    Raises:
        InputError: there are no examples, shapes do not fit, a metric does not give one number per example, or the
            weights are no weights.

    Example:
        >>> from fnn import dense, mean_squared_error
        >>> data = np.ones((3, 2), np.float32), np.full((3, 1), 4, np.float32)
        >>> params = {"w": np.ones((2, 1), np.float32)}
        >>> evaluate(dense(1, bias=False), params, {}, data, {"error": mean_squared_error})
        {'error': 4.0}
    """
    use_cache()
    whole = to_host(data)
    count = count_examples(whole)
    check_weights(whole, "evaluate")
    score = _score(model, tuple(metrics.items()))
    size = effective_size(batch_size, count)
    parts = jax.device_get([score(params, state, batch.x, batch.y) for batch in batches(whole[:2], size)])
    weights = np.ones(count) if whole.weights is None else whole.weights.astype(np.float64)
    values = {name: np.concatenate([part[name] for part in parts])[:count] for name in metrics}
    return {name: float(np.average(value.astype(np.float64), weights=weights)) for name, value in values.items()}


@lru_cache(maxsize=64)
def _forward(model: Model) -> Callable[..., Any]:
    # One compiled function per model, so that a second call compiles nothing.
    return _jitted(lambda params, state, x: model.apply(params, state, x)[0])


@lru_cache(maxsize=64)
def _score(model: Model, metrics: tuple[tuple[str, ExampleLoss], ...]) -> Callable[..., dict[str, Any]]:
    def score(params: Params, state: State, x: Any, y: Any) -> dict[str, Any]:
        outputs, _ = model.apply(params, state, x)
        n_examples = jax.tree.leaves(x)[0].shape[:1]
        values = {name: metric(outputs, y) for name, metric in metrics}
        for name, value in values.items():
            expect(value.shape == n_examples, "evaluate", f"{name} to give one number per example", f"{value.shape}")
        return values

    return _jitted(score)


def _jitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """In the forms that a CPU is quick at, as in training; of bfloat16, ``fit`` tells the compiler more."""
    is_cpu = jax.default_backend() == "cpu"
    return jax.jit(canonical(function) if is_cpu else function, compiler_options=compiler_options())
