"""Gradient descent as a deck writes it, in the words of Optax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optax

from fnn.errors import expect
from fnn.partial import path_mask
from fnn.types import Params


def inertial_descent(
    learning_rate: float | Callable[[Any], Any],
    *,
    beta: float = 0.1,
    weight_decay: float = 0.0,
    decayed: Callable[[Params], Any] | None = None,
) -> optax.GradientTransformation:
    """W(t+1) = W(t) - beta alpha (grad E + lambda W(t)) + (1 - beta) (W(t) - W(t-1)).

    The last term is the inertia of the descent ("inertie"); lambda W is the gradient of (lambda/2) |W|^2. The deck has
    + alpha lambda W, which would let the weights grow; the sign is mended here. With a constant alpha it is
    ``optax.chain(optax.add_decayed_weights(lambda), optax.sgd(alpha * beta, momentum=1 - beta))``.

    Args:
        learning_rate: alpha, or a schedule: the count of updates to alpha.
        beta: in (0, 1]; 1 is descent without inertia. The momentum of other books is 1 - beta.
        weight_decay: lambda, at least 0.
        decayed: which parameters decay, as a mask for Optax; ``None`` for those whose path ends in ``w``: the sum of
            the deck runs over the weights, not the biases.

    Raises:
        InputError: an argument is out of range; in use, with decay, no parameter's path ends in ``w``.

    Source: deck "Backpropagation algorithm and auto-encoders", remark 3.

    Example:
        >>> import numpy as np
        >>> optimizer = inertial_descent(0.5, beta=0.2, weight_decay=0.1)
        >>> params = {"w": np.ones(1, np.float32)}
        >>> updates, state = optimizer.update({"w": np.full(1, 2, np.float32)}, optimizer.init(params), params)
        >>> round(float(updates["w"][0]), 6)  # -0.2 * 0.5 * (2 + 0.1)
        -0.21
    """
    expect(0 < beta <= 1, "inertial_descent", "0 < beta <= 1", f"beta == {beta}")
    expect(weight_decay >= 0, "inertial_descent", "weight_decay >= 0", f"weight_decay == {weight_decay}")
    decay = (
        optax.add_decayed_weights(weight_decay, mask=decayed or path_mask("*w")) if weight_decay else optax.identity()
    )
    return optax.chain(
        decay,  # grad E + lambda W
        optax.scale_by_learning_rate(learning_rate),  # times -alpha
        optax.scale(beta),
        optax.trace(decay=1 - beta),  # + (1 - beta) times the last step
    )
