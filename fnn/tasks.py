"""Which output and which loss a task asks for: the table of deck "Réseaux de neurones", slide 69, as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from fnn.activations import sigmoid, softmax
from fnn.errors import InputError
from fnn.losses import (
    accuracy,
    mean_squared_error,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from fnn.types import ExampleLoss


class Task(NamedTuple):
    """What goes with one kind of task.

    The model's last layer is linear in every case. The losses take its outputs as they are, logits where there is an
    activation in the table, because a loss that knows the activation is accurate where the two apart are not.

    Attributes:
        activation: turns the outputs of the model into what is asked for: a value or probabilities.
        loss: ``(outputs, targets) -> (batch,)``, the table's loss of ``activation(outputs)``.
        metrics: what tells a person how good it is, for :func:`fnn.supervised` and :func:`fnn.evaluate`.
    """

    activation: Callable[[Any], Any]
    loss: ExampleLoss
    metrics: Mapping[str, ExampleLoss]


def for_task(task: str) -> Task:
    """Output activation and loss for a task. Slide 69.

    ============== ============ =========================== =================================================
    task           activation   loss                        targets
    ============== ============ =========================== =================================================
    regression     linear       mean squared error          numbers, of the shape of the outputs
    binary         sigmoid      binary cross-entropy        0.0 or 1.0, of the shape of the outputs
    single-label   softmax      categorical cross-entropy   the number of the class, an integer per example
    multi-label    sigmoid      binary cross-entropy        0.0 or 1.0 for each class, (batch, classes)
    ============== ============ =========================== =================================================

    The binary cross-entropy of several labels is their sum, the negative log-likelihood of the example.

    Args:
        task: ``"regression"``, ``"binary"``, ``"single-label"`` or ``"multi-label"``.

    Raises:
        InputError: there is no such task.

    Example:
        >>> task = for_task("binary")
        >>> logits, targets = jnp.array([[0.0], [2.0]]), jnp.array([[1.0], [1.0]])
        >>> [round(p, 3) for p in task.activation(logits)[:, 0].tolist()]
        [0.5, 0.881]
        >>> [round(e, 3) for e in task.loss(logits, targets).tolist()]  # -log 0.5, -log 0.881
        [0.693, 0.127]
    """
    if task not in _TASKS:
        near = get_close_matches(task, _TASKS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"for_task: expected one of {', '.join(_TASKS)}, got {task!r}{hint}")
    return _TASKS[task]


def label_accuracy(
    logits: Float[Array, batch * outputs], targets: Float[Array, batch * outputs]
) -> Float[Array, " batch"]:
    """Of an example's yes-or-no outputs, the share that is right: logit positive where the target exceeds 1/2.

    Raises:
        InputError: shapes differ, or a dtype is not floating-point.

    Example:
        >>> label_accuracy(jnp.array([[2.0, -1.0]]), jnp.array([[1.0, 1.0]])).tolist()
        [0.5]
    """
    # mean_squared_error of ones and zeros is the share that differs, and it checks shapes and dtypes.
    return 1 - mean_squared_error((logits > 0).astype(logits.dtype), (targets > 0.5).astype(targets.dtype))


def _linear(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return jnp.asarray(x)


_TASKS = {
    "regression": Task(_linear, mean_squared_error, {}),
    "binary": Task(sigmoid, sigmoid_binary_cross_entropy, {"accuracy": label_accuracy}),
    "single-label": Task(softmax, softmax_cross_entropy_with_integer_labels, {"accuracy": accuracy}),
    "multi-label": Task(sigmoid, sigmoid_binary_cross_entropy, {"accuracy": label_accuracy}),
}
