"""The gradient of a matrix waits for that of the input which the matrix was multiplied by.

A training step gives a matrix back updated, and in a loop the new numbers would take the place of the old. The gradient
of a layer's input is made of the old ones, too, and nothing says that it is computed before the update: so XLA copies
the matrix first, on one thread. Here the gradient by the matrix waits for that by the input, which is made of the same
slope, and so does whatever is made of it, such as the update. XLA can be told so only where the gradient is machine
code of our own. Each body of a loop, a branch or a call is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from fnn.lowering.placement import is_settled

_MOST = 8  # products with one factor that are looked through


class _Pair(NamedTuple):
    """Two operations, by their numbers: gradients of one product ``x w``, made of its slope ``g``.

    Attributes:
        of_input: ``g w``.
        of_matrix: ``x g``.
    """

    of_input: int
    of_matrix: int


def with_inputs_first(jaxpr: Jaxpr) -> tuple[list[JaxprEqn], dict[Var, Var]]:
    """The operations of a program in another order, and which results are to wait for which.

    Args:
        jaxpr: the program.

    Returns:
        Its operations, where gradients by the inputs of dense layers come before those by their matrices, if these are
        given; and for each of the latter the former.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> loss = lambda w, x: jnp.square(x @ w).sum()
        >>> traced = jax.make_jaxpr(jax.grad(loss, (0, 1)))(jnp.ones((3, 4)), jnp.ones((2, 3)))
        >>> eqns, waiting = with_inputs_first(traced.jaxpr)
        >>> [(gradient.aval.shape, of_input.aval.shape) for gradient, of_input in waiting.items()]
        [((4, 3), (2, 3))]
    """
    eqns = list(jaxpr.eqns)
    made: dict[Any, int] = {var: number for number, eqn in enumerate(eqns) for var in eqn.outvars}
    used = _used(jaxpr)
    moved: dict[int, int] = {}  # a gradient by an input, to before one by a matrix
    waiting: dict[Var, Var] = {}
    paired: set[int] = set()
    for pair in _pairs(eqns, made):
        of_input, of_matrix = (eqns[number] for number in pair)
        is_early = all(made.get(atom, -1) < pair.of_matrix for atom in of_input.invars)
        # Each in one role only: what is waited for is then moved, what waits is not.
        if is_early and {of_input.outvars[0], of_matrix.outvars[0]} <= used and paired.isdisjoint(pair):
            paired.update(pair)
            moved[pair.of_input] = min(pair)
            waiting[of_matrix.outvars[0]] = of_input.outvars[0]
    if not waiting:
        return eqns, waiting
    order = sorted(range(len(eqns)), key=lambda number: (moved.get(number, number), number not in moved))
    return [eqns[number] for number in order], waiting


def _used(jaxpr: Jaxpr) -> set[Any]:
    """What results are made of. What a call within gives back counts as used, if any of it is."""
    used: set[Any] = {atom for atom in jaxpr.outvars if not isinstance(atom, Literal)}
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or not used.isdisjoint(eqn.outvars):
            used.update(atom for atom in (*eqn.invars, *eqn.outvars) if not isinstance(atom, Literal))
    return used


def _pairs(eqns: list[JaxprEqn], made: Mapping[Any, int]) -> Iterator[_Pair]:
    """Of products that have a slope in common, those whose other factors are multiplied somewhere before it is made."""
    partners: dict[Any, list[tuple[int, Any]]] = {}
    for number, eqn in enumerate(eqns):
        if _is_product(eqn):
            left, right = eqn.invars
            partners.setdefault(left, []).append((number, right))
            partners.setdefault(right, []).append((number, left))
    for slope in (var for var in partners if var in made):
        of_slope = partners[slope][:_MOST]
        for of_input, w in of_slope:
            if w in made:
                continue
            # Of two that are given, the right one counts as the matrix.
            multiplied = {
                x
                for number, x in partners[w][:_MOST]
                if number < made[slope] and (x in made or eqns[number].invars[1] is w)
            }
            for of_matrix, x in of_slope:
                if of_matrix != of_input and x in multiplied and _sizes(eqns[of_matrix].outvars[0]) == _sizes(w):
                    yield _Pair(of_input, of_matrix)


def _is_product(eqn: JaxprEqn) -> bool:
    """Whether it is one of two matrices, or of what counts as one, of sizes that are known."""
    if eqn.primitive.name != "dot_general" or any(eqn.params["dimension_numbers"][1]):
        return False
    return all(not isinstance(atom, Literal) and is_settled(atom.aval) and len(_sizes(atom)) > 1 for atom in eqn.invars)


def _sizes(atom: Any) -> list[int]:
    return sorted(atom.aval.shape)
