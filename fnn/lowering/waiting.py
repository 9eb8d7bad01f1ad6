"""The gradient of a matrix comes after everything else that is made of the matrix.

A training step gives a matrix back updated, and in a loop the new numbers would take the place of the old. The gradient
of a layer's input is made of the old ones, too, and nothing says that it is computed before the update: so XLA copies
the matrix first, on one thread. Here the gradient by the matrix waits for that by the input, which is made of the same
slope, and so does whatever is made of it, such as the update. XLA can be told so only where the gradient is machine
code of our own.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var


def with_inputs_first(jaxpr: Jaxpr) -> tuple[list[JaxprEqn], dict[Var, Var]]:
    """The operations of a program in another order, and which results are to wait for which.

    Args:
        jaxpr: the program.

    Returns:
        Its operations, where gradients by the inputs of dense layers come before those by their matrices; and for each
        of the latter the former.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> loss = lambda w, x: jnp.square(x @ w).sum()
        >>> traced = jax.make_jaxpr(jax.grad(loss, (0, 1)))(jnp.ones((3, 4)), jnp.ones((2, 3)))
        >>> eqns, waiting = with_inputs_first(traced.jaxpr)
        >>> [(gradient.aval.shape, of_input.aval.shape) for gradient, of_input in waiting.items()]
        [((4, 3), (2, 3))]
    """
    eqns = list(jaxpr.eqns)
    made = {var: number for number, eqn in enumerate(eqns) for var in eqn.outvars}
    moved: dict[int, int] = {}  # a gradient by an input, to before one by a matrix
    waiting: dict[Var, Var] = {}
    for before, after in _pairs(eqns, made, {*jaxpr.invars, *jaxpr.constvars}):
        of_input, of_matrix = (eqns[number] for number in (before, after))
        sources = (made.get(atom, -1) for atom in of_input.invars if not isinstance(atom, Literal))
        if before not in moved and all(source < after for source in sources):
            moved[before] = min(before, after)
            waiting[of_matrix.outvars[0]] = of_input.outvars[0]
    order = sorted(range(len(eqns)), key=lambda number: (moved.get(number, number), number not in moved))
    return [eqns[number] for number in order], waiting


def _pairs(eqns: Sequence[JaxprEqn], made: Mapping[Var, int], given: Container[Any]) -> Iterator[tuple[int, int]]:
    """Gradients of one product by its input and by its matrix, which is given, from what is made of the same slope."""
    of_inputs: dict[Var, int] = {}
    of_matrices: dict[Var, int] = {}
    for number, eqn in enumerate(eqns):
        if eqn.primitive.name != "dot_general" or any(eqn.params["dimension_numbers"][1]):
            continue
        for atom, axes in zip(eqn.invars, eqn.params["dimension_numbers"][0], strict=True):
            if isinstance(atom, Literal):
                continue
            n_axes = len(_shape(atom))
            if tuple(axes) == (n_axes - 1,):
                of_inputs.setdefault(atom, number)
            elif tuple(axes) == tuple(range(n_axes - 1)):
                of_matrices.setdefault(atom, number)
    for slope, number in of_inputs.items():
        gradient = of_matrices.get(slope, number)
        if gradient == number:
            continue
        matrix = _other(eqns[number], slope)
        if matrix not in given or _sizes(matrix) != _sizes(eqns[gradient].outvars[0]):
            continue
        # A product itself has the same input as the gradient by its matrix, whose slope is made of it.
        if made.get(_other(eqns[gradient], slope), -1) < number:
            yield number, gradient


def _other(eqn: JaxprEqn, factor: Var) -> Any:
    return next((atom for atom in eqn.invars if atom is not factor), factor)


def _sizes(atom: Any) -> list[int]:
    return sorted(_shape(atom))


def _shape(atom: Any) -> tuple[int, ...]:
    return tuple(atom.aval.shape)
