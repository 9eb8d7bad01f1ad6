"""Where in a computation the first number was born that is not finite: the operation, and the layer it belongs to.

The computation is carried out once more, operation by operation. From a result that is not finite the way leads back
through operands that are not, until an operation is met all of whose operands are finite. Infinities that a model uses
on purpose, such as the -inf of an attention mask, lead nowhere and are not blamed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var


class Origin(NamedTuple):
    """Where a number stopped being finite.

    Attributes:
        layer: the names that were in scope, outermost first, joined by ``/``; ``""`` for none. For models of
            :func:`fnn.serial` they are those of the parameters, ``"02_dense"``.
        operation: the JAX primitive, such as ``"log"``.
    """

    layer: str
    operation: str


class _Result(NamedTuple):
    value: Any
    scopes: str
    operation: str
    operands: tuple[_Result, ...]


def find_origin(function: Callable[..., Any], *arguments: Any) -> Origin | None:
    """The operation of ``function`` that first gives a number that is not finite, from operands that are.

    Args:
        function: what is computed; its results are examined in order.
        *arguments: its arguments.

    Returns:
        The operation, or ``None`` if all results are finite or an argument is not.

    Example:
        >>> def model(x):
        ...     with jax.named_scope("scale"):
        ...         x = 2 * x
        ...     with jax.named_scope("logarithm"):
        ...         return jnp.log(x).sum()
        >>> find_origin(model, jnp.array([1.0, 0.0]))
        Origin(layer='logarithm', operation='log')
    """
    closed = jax.make_jaxpr(function)(*arguments)
    inputs = [_Result(value, "", "", ()) for value in jax.tree.leaves(arguments)]
    results = _evaluate(closed.jaxpr, closed.consts, inputs, "")
    for result in results:
        if not _is_finite(result.value):
            return _trace_back(result)
    return None


def _trace_back(result: _Result) -> Origin | None:
    while True:
        # A NaN has its cause in a NaN if there is one among the operands, else in an infinity.
        culprits = [operand for operand in result.operands if not _is_finite(operand.value)]
        if not culprits:
            return _origin(result) if result.operation else None
        # A constant infinity is meant; what turned it into a NaN is to blame.
        made = [culprit for culprit in culprits if culprit.operation and not _is_constant(culprit)]
        if not made:
            return _origin(result)
        result = next((culprit for culprit in made if _has_nan(culprit.value)), made[0])


def _is_constant(result: _Result) -> bool:
    """Whether it is made of literal numbers only."""
    return bool(result.operation) and all(
        (not operand.operation and operand.scopes == "literal") or _is_constant(operand) for operand in result.operands
    )


def _origin(result: _Result) -> Origin:
    names = [_strip(part) for part in result.scopes.split("/")]
    return Origin("/".join(name for name in names if name), result.operation)


def _strip(name: str) -> str:
    """``transpose(jvp(02_dense))`` is ``02_dense``."""
    while name.endswith(")") and "(" in name:
        name = name[name.index("(") + 1 : -1]
    return name


_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat": "jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Any], inputs: Sequence[_Result], scopes: str) -> list[_Result]:
    known: dict[Var, _Result] = {}
    known.update(zip(jaxpr.invars, inputs, strict=True))
    known.update((var, _Result(value, "literal", "", ())) for var, value in zip(jaxpr.constvars, consts, strict=True))

    def read(atom: Any) -> _Result:
        return _Result(atom.val, "literal", "", ()) if isinstance(atom, Literal) else known[atom]

    for eqn in jaxpr.eqns:
        operands = tuple(read(atom) for atom in eqn.invars)
        here = "/".join(part for part in (scopes, str(eqn.source_info.name_stack)) if part)
        inner = eqn.params.get(_CALLS.get(eqn.primitive.name, ""))
        if inner is not None:
            body, inner_consts = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
            results = _evaluate(body, inner_consts, operands, here)
        else:
            values = _bind(eqn, [operand.value for operand in operands])
            results = [_Result(value, here, eqn.primitive.name, operands) for value in values]
        known.update(zip(eqn.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _bind(eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    bind: Any = eqn.primitive.bind
    outputs = bind(*values, **eqn.params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def _is_finite(value: Any) -> bool:
    return not _is_float(value) or bool(jnp.isfinite(value).all())


def _has_nan(value: Any) -> bool:
    return _is_float(value) and bool(jnp.isnan(value).any())


def _is_float(value: Any) -> bool:
    return hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.inexact)
