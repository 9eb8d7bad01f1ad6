"""Losses, one number per example; the objective takes their mean.

Every loss is a function ``(outputs, targets) -> (batch,)``. Shapes must agree exactly: a loss never broadcasts, because
outputs of shape (n, 1) against targets of shape (n,) would quietly become n by n errors. Cross-entropies take logits,
the inputs of softmax or sigmoid; however far these are apart, the loss has a small relative error and its gradient a
small absolute one.

Sources: deck "Réseaux de neurones", slides 68 and 69; the half squared error is from slides 41 to 56.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from fnn.errors import expect
from fnn.precision import at_least_int32


def mean_squared_error(
    outputs: Float[Array, batch * outputs], targets: Float[Array, batch * outputs]
) -> Float[Array, " batch"]:
    """(1/n) sum_i (outputs_i - targets_i)^2 over the n outputs of an example. Slide 68.

    Raises:
        InputError: shapes differ, or a dtype is not floating-point.

    Example:
        >>> mean_squared_error(jnp.array([[1.0, 3.0]]), jnp.array([[0.0, 1.0]])).tolist()
        [2.5]
    """
    _check_same("mean_squared_error", "outputs", outputs, targets)
    return _per_example(jnp.mean, jnp.square(outputs - targets))


def half_squared_error(
    outputs: Float[Array, batch * outputs], targets: Float[Array, batch * outputs]
) -> Float[Array, " batch"]:
    """sum_i (outputs_i - targets_i)^2 / 2 over the outputs of an example; its derivative is outputs - targets.

    Raises:
        InputError: shapes differ, or a dtype is not floating-point.

    Example:
        >>> half_squared_error(jnp.array([[1.0, 3.0]]), jnp.array([[0.0, 1.0]])).tolist()
        [2.5]
    """
    _check_same("half_squared_error", "outputs", outputs, targets)
    return _per_example(jnp.sum, jnp.square(outputs - targets)) / 2


def softmax_cross_entropy(
    logits: Float[Array, "batch classes"], targets: Float[Array, "batch classes"]
) -> Float[Array, " batch"]:
    """-sum_k targets_k log softmax(logits)_k, targets being one-hot or any distribution over the classes. Slide 68.

    A class of target 0 counts as 0 even where its logit is -inf.

    Raises:
        InputError: shapes differ, are not two-dimensional, or a dtype is not floating-point.

    Example:
        >>> loss = softmax_cross_entropy(jnp.array([[2.0, 1.0, 0.1]]), jnp.array([[1.0, 0.0, 0.0]]))
        >>> round(float(loss[0]), 4)
        0.417
    """
    _check_same("softmax_cross_entropy", "logits", logits, targets)
    _check_classes("softmax_cross_entropy", logits)
    counts = targets != 0
    return jnp.sum(targets * jnp.where(counts, _negative_log_softmax(logits), 0), axis=-1)


def softmax_cross_entropy_with_integer_labels(
    logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """-log softmax(logits)_label: :func:`softmax_cross_entropy` for the number of the right class, from 0.

    A label that is no class gives NaN; a compiled function cannot raise, and a wrong number would go unnoticed.

    Raises:
        InputError: ``logits`` is not two-dimensional and floating-point, or ``labels`` not one integer per example.

    Example:
        >>> loss = softmax_cross_entropy_with_integer_labels(jnp.array([[2.0, 1.0, 0.1]]), jnp.array([0]))
        >>> round(float(loss[0]), 4)
        0.417
        >>> float(softmax_cross_entropy_with_integer_labels(jnp.array([[2.0, 1.0, 0.1]]), jnp.array([3]))[0])
        nan
    """
    where = "softmax_cross_entropy_with_integer_labels"
    _check_classes(where, logits)
    _check_labels(where, logits, labels)
    labels = at_least_int32(labels)
    chosen = jnp.take_along_axis(_negative_log_softmax(logits), labels[:, None], axis=-1, mode="clip")[:, 0]
    valid = (labels >= 0) & (labels < logits.shape[-1])
    return jnp.where(valid, chosen, jnp.nan)


def sigmoid_binary_cross_entropy(
    logits: Float[Array, batch * outputs], targets: Float[Array, batch * outputs]
) -> Float[Array, " batch"]:
    """-sum_i (t_i log y_i + (1 - t_i) log(1 - y_i)) with y = sigmoid(logits): independent yes-or-no outputs. Slide 68.

    The deck leaves out the minus sign, without which training would go uphill. Targets lie in [0, 1]. The sum over the
    outputs of an example is its negative log-likelihood; with one output it is that output's loss.

    Raises:
        InputError: shapes differ, or a dtype is not floating-point.

    Example:
        >>> round(float(sigmoid_binary_cross_entropy(jnp.array([0.0]), jnp.array([1.0]))[0]), 4)
        0.6931
        >>> sigmoid_binary_cross_entropy(jnp.array([100.0, -100.0]), jnp.array([0.0, 0.0])).tolist()[0]
        100.0
    """
    _check_same("sigmoid_binary_cross_entropy", "logits", logits, targets)
    # log y = -softplus(-z) and log(1 - y) = -softplus(z): accurate at both ends, where 1 - sigmoid(z) rounds away.
    losses = targets * jax.nn.softplus(-logits) + (1 - targets) * jax.nn.softplus(logits)
    return _per_example(jnp.sum, losses)


def accuracy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, " batch"]:
    """1 where the largest logit is that of the right class, else 0: a metric. Of equals, the first wins.

    Raises:
        InputError: ``logits`` is not two-dimensional and floating-point, or ``labels`` not one integer per example.

    Example:
        >>> accuracy(jnp.array([[0.1, 0.9], [0.8, 0.2]]), jnp.array([1, 1])).tolist()
        [1.0, 0.0]
    """
    _check_classes("accuracy", logits)
    _check_labels("accuracy", logits, labels)
    labels = at_least_int32(labels)
    # The index comes in the dtype of the labels, so that no promotion is needed to compare them.
    return (jax.lax.argmax(logits, 1, labels.dtype) == labels).astype(logits.dtype)


def _negative_log_softmax(logits: Float[Array, "batch classes"]) -> Float[Array, "batch classes"]:
    """-log softmax(logits), to a rounding error of each entry: nothing cancels, as it does in log(1 + tiny).

    With the largest logit z_m, it is (z_m - z_k) + log1p(sum over j != m of exp(z_j - z_m)): no term is negative.
    """
    at_top = jnp.argmax(logits, axis=-1, keepdims=True) == jnp.arange(logits.shape[-1])[None]
    top = jnp.sum(jnp.where(at_top, logits, 0), axis=-1, keepdims=True)
    below = jnp.broadcast_to(top, logits.shape) - logits
    others = jnp.sum(jnp.where(at_top, 0, jnp.exp(-below)), axis=-1, keepdims=True)
    return below + jnp.broadcast_to(jnp.log1p(others), logits.shape)


def _per_example(reduce: Any, values: Array) -> Array:
    # The size is computed and not left to -1, which an empty batch does not determine.
    return reduce(values.reshape(values.shape[0], math.prod(values.shape[1:])), axis=-1) if values.ndim > 1 else values


def _check_same(where: str, name: str, outputs: Any, targets: Any) -> None:
    expect(jnp.ndim(outputs) >= 1, where, f"{name} with a batch axis", f"{name}.shape == {jnp.shape(outputs)}")
    expect(
        jnp.shape(outputs) == jnp.shape(targets),
        where,
        f"targets.shape == {jnp.shape(outputs)} ({name}.shape)",
        f"targets.shape == {jnp.shape(targets)}",
    )
    for label, array in ((name, outputs), ("targets", targets)):
        dtype = jnp.result_type(array)
        expect(jnp.issubdtype(dtype, jnp.floating), where, f"{label} of a floating-point dtype", f"{dtype}")


def _check_classes(where: str, logits: Any) -> None:
    dtype, shape = jnp.result_type(logits), jnp.shape(logits)
    expect(len(shape) == 2 and shape[-1] >= 1, where, "logits of shape (batch, classes)", f"logits.shape == {shape}")
    expect(jnp.issubdtype(dtype, jnp.floating), where, "logits of a floating-point dtype", f"{dtype}")


def _check_labels(where: str, logits: Any, labels: Any) -> None:
    dtype, shape = jnp.result_type(labels), jnp.shape(labels)
    expect(jnp.issubdtype(dtype, jnp.integer), where, "labels of an integer dtype", f"{dtype}")
    expect(
        shape == logits.shape[:1],
        where,
        f"labels.shape == {logits.shape[:1]} (one per example)",
        f"labels.shape == {shape}",
    )
