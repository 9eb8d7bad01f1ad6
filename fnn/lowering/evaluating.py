"""A program carried out operation by operation, some of them in another form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import jax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

Compute = Callable[[JaxprEqn, Callable[[Any], Any]], Sequence[Any]]
"""``(operation, read) -> results``; ``read`` gives the value of a variable or a literal."""


def evaluate(jaxpr: Jaxpr, consts: Iterable[Any], inputs: Iterable[Any], compute: Compute) -> list[Any]:
    """The results of a program whose operations ``compute`` carries out, under the names that they have in it.

    Args:
        jaxpr: the program.
        consts: what it closes over.
        inputs: what it is given; of any kind that ``compute`` knows.
        compute: see :data:`Compute`.

    Example:
        >>> closed = jax.make_jaxpr(lambda x: jax.numpy.sin(x) + 1)(0.0)
        >>> (end,) = evaluate(closed.jaxpr, closed.consts, [0.0], lambda eqn, read: bound(eqn, map(read, eqn.invars)))
        >>> float(end)
        1.0
    """
    known: dict[Var, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    known.update(zip(jaxpr.invars, inputs, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for eqn in jaxpr.eqns:
        scopes = str(eqn.source_info.name_stack)
        with eqn.ctx.manager, jax.named_scope(scopes) if scopes else nullcontext():
            results = compute(eqn, read)
        known.update(zip(eqn.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def bound(eqn: JaxprEqn, operands: Iterable[Any], params: dict[str, Any] | None = None) -> Sequence[Any]:
    """The results of an operation on other operands, with other parameters if they are given.

    Example:
        >>> (eqn,) = jax.make_jaxpr(jax.numpy.cos)(0.0).eqns
        >>> [float(result) for result in bound(eqn, [0.0])]
        [1.0]
    """
    primitive: Any = eqn.primitive
    results = primitive.bind(*operands, **primitive.get_bind_params(eqn.params if params is None else params))
    return list(results) if primitive.multiple_results else [results]
