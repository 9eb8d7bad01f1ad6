"""Choices of a program: the conditions, made from the inputs, that decide what a number is.

A comparison is not yet a choice: ``(x > 5) & (x < 5.05)`` has both comparisons driven both ways long before it is true,
and ``floor(x) == 3`` or ``argmax(x) == 7`` are decided by integers. What counts is the condition that a selection, a
branch or a mask is given. Conditions that hold only on a set of measure zero (``x == 0.5``) are no choices: nothing can
be claimed about them.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp

from verify.trace import MOVES, Program, Step

Choice = tuple[int, int]
"""A step's id, and which of its inputs."""

_NONE, _DISCRETE, _COMPARED, _NULL, _CONTINUOUS = range(5)
"""What a value is made of: constants; whole numbers that the inputs decide; one comparison of real numbers, which
:mod:`verify.branches` drives by itself; an equality of such; real numbers that move with the inputs."""

_INTEGRAL = frozenset(["floor", "ceil", "round", "sign", "argmax", "argmin", "is_finite"])
_COMPARISONS = frozenset(["lt", "le", "gt", "ge"])
_EQUALITIES = frozenset(["eq", "ne", "eq_to"])


def choices(program: Program) -> frozenset[Choice]:
    """The conditions that depend on the program's inputs and are given to a step that makes numbers.

    Left out are a comparison by itself, which is driven as such, and conditions inside loops and branches: what those
    depend on changes from one iteration to the next.

    Example:
        >>> from verify.trace import trace
        >>> len(choices(trace(lambda x: jnp.where((x > 1) & (x < 2), x, 0), 1.0)))
        1
        >>> len(choices(trace(lambda x: jnp.where(x == 1, x, 0), 1.0)))
        0
    """
    made = dict.fromkeys(program.constants, _NONE) | dict.fromkeys(program.inputs, _CONTINUOUS)
    found: set[Choice] = set()
    for step in program.steps:
        kinds = [made[slot] for slot in step.inputs]
        found.update(
            (id(step), position)
            for position, (slot, kind) in enumerate(zip(step.inputs, kinds, strict=True))
            if kind == _DISCRETE and _condition(program, slot) and _decides(program, step)
        )
        made.update(dict.fromkeys(step.outputs, _kind(program, step, kinds)))
    return frozenset(found)


def _decides(program: Program, step: Step) -> bool:
    """Does the step make something that is no condition?"""
    return not all(_condition(program, slot) for slot in step.outputs)


def _condition(program: Program, slot: int) -> bool:
    return bool(jnp.issubdtype(program.types[slot].dtype, jnp.bool_))


def _kind(program: Program, step: Step, kinds: Sequence[int]) -> int:
    highest = max(kinds, default=_NONE)
    if highest < _CONTINUOUS:
        moved = step.primitive in MOVES or step.primitive == "not"
        return highest if moved or highest in (_NONE, _NULL) else _DISCRETE
    if step.primitive in _COMPARISONS:
        return _COMPARED
    to_condition = step.primitive == "convert_element_type" and _condition(program, step.outputs[0])
    if to_condition or step.primitive in _EQUALITIES or (_NULL in kinds and step.primitive in _INTEGRAL):
        return _NULL
    if step.primitive in _INTEGRAL or not program.types[step.outputs[0]].floating:
        return _DISCRETE
    return _CONTINUOUS
