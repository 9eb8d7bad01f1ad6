"""What a program consists of, the bodies of its loops and calls included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jax.extend.core import Jaxpr


def multiplications(jaxpr: Any) -> Iterator[Any]:
    """The matrix products and convolutions of a program.

    Example:
        >>> import jax
        >>> traced = jax.make_jaxpr(jax.jit(jax.numpy.dot))(jax.numpy.ones(2), jax.numpy.ones(2))
        >>> [eqn.primitive.name for eqn in multiplications(traced)]
        ['dot_general']
    """
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in ("dot_general", "conv_general_dilated"):
            yield eqn
        for value in eqn.params.values():
            for part in value if isinstance(value, tuple) else (value,):
                body = getattr(part, "jaxpr", part)  # closed over constants or not
                if isinstance(body, Jaxpr):
                    yield from multiplications(body)
