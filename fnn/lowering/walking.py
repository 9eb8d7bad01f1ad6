"""What a program consists of, the bodies of its loops and calls included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fnn.kernels import OPERATIONS

CALLS = frozenset({"jit", "pjit"})
"""The names of the operation that is a call of another program."""


_MULTIPLICATIONS = frozenset({"dot_general", "conv_general_dilated", *(operation.name for operation in OPERATIONS)})


def multiplications(jaxpr: Any) -> Iterator[Any]:
    """The matrix products and convolutions of a program, those of :mod:`fnn.kernels` included.

    Example:
        >>> import jax
        >>> traced = jax.make_jaxpr(jax.jit(jax.numpy.dot))(jax.numpy.ones(2), jax.numpy.ones(2))
        >>> [eqn.primitive.name for eqn in multiplications(traced)]
        ['dot_general']
    """
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in _MULTIPLICATIONS:
            yield eqn
        for value in eqn.params.values():
            for body in bodies(value):
                yield from multiplications(body)


def bodies(value: Any) -> list[Any]:
    """The jaxprs, with constants or without, that a parameter of an operation is, or consists of.

    Example:
        >>> import jax
        >>> (call,) = jax.make_jaxpr(jax.jit(jax.numpy.sin))(0.0).eqns
        >>> {name: len(bodies(value)) for name, value in call.params.items() if name in ("jaxpr", "name")}
        {'jaxpr': 1, 'name': 0}
    """
    return [part for part in (value if isinstance(value, tuple) else (value,)) if hasattr(part, "eqns")]
