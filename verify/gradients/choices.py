"""Choices of a program: the conditions, made from the inputs, that decide what a number is.

A comparison is not yet a choice: ``(x > 5) & (x < 5.05)`` has both comparisons driven both ways long before it is true,
and ``floor(x) == 3`` or ``argmax(x) == 7`` are decided by integers. What counts is the condition that a selection, a
branch or a mask is given. Conditions that hold only on a set of measure zero (``x == 0.5``) are no choices: nothing can
be claimed about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp

from verify.gradients.trace import MOVES, Program, Step

Choice = tuple[int, int]
"""A step's id, and which of its inputs."""

_NONE, _DISCRETE, _COMPARED, _NULL, _CONTINUOUS = range(5)
"""What a value is made of: constants; whole numbers that the inputs decide; one comparison of real numbers, which
:mod:`verify.gradients.branches` drives by itself; an equality of such; real numbers that move with the inputs."""

_INTEGRAL = frozenset(["floor", "ceil", "round", "sign", "argmax", "argmin", "is_finite"])
_COMPARISONS = frozenset(["lt", "le", "gt", "ge"])
_PRODUCTS = frozenset(["mul", "min", "max", "dot_general"])
_EQUALITIES = frozenset(["eq", "ne", "eq_to"])


@dataclass(frozen=True)
class Study:
    """What decides the numbers of a program.

    Attributes:
        conditions: those that are given to a step that makes numbers, loops and branches included; not a comparison by
            itself, which is driven as such. In a loop, a condition is one, whichever iteration it is met in.
        moving: the ids of the steps that are given real numbers that the inputs decide.
        products: where masks that have become real numbers are multiplied: such conditions are not driven.
    """

    conditions: frozenset[Choice] = frozenset()
    moving: frozenset[int] = frozenset()
    products: tuple[str, ...] = ()

    def __or__(self, other: Study) -> Study:
        products = tuple(dict.fromkeys((*self.products, *other.products)))
        return Study(self.conditions | other.conditions, self.moving | other.moving, products)


def choices(program: Program) -> Study:
    """The conditions that depend on the program's inputs and are given to a step that makes numbers.

    Example:
        >>> from verify.gradients.trace import trace
        >>> len(choices(trace(lambda x: jnp.where((x > 1) & (x < 2), x, 0), 1.0)).conditions)
        1
        >>> len(choices(trace(lambda x: jnp.where(x == 1, x, 0), 1.0)).conditions)
        0
    """
    return _study(program, [_CONTINUOUS] * len(program.inputs))[1]


def _study(program: Program, given: Sequence[int]) -> tuple[list[int], Study]:
    """What the outputs are made of, and what decides inside, the inputs being made of ``given``."""
    made = dict.fromkeys(program.constants, _NONE) | dict(zip(program.inputs, given, strict=True))
    found = Study()
    for step in program.steps:
        kinds = [made[slot] for slot in step.inputs]
        found |= Study(
            frozenset(
                (id(step), position)
                for position, (slot, kind) in enumerate(zip(step.inputs, kinds, strict=True))
                if kind == _DISCRETE and _condition(program, slot) and _decides(program, step)
            ),
            frozenset([id(step)] if _CONTINUOUS in kinds else []),
            (step.source or step.primitive,) if _multiplies_masks(program, step, kinds) else (),
        )
        if step.bodies:
            outputs, inner = _BODIES[step.primitive](step, kinds)
            found |= inner
            made.update(zip(step.outputs, outputs, strict=True))
        else:
            made.update(dict.fromkeys(step.outputs, _kind(program, step, kinds)))
    return [made[slot] for slot in program.outputs], found


def _join(x: int, y: int) -> int:
    """What a value is made of that is now x, now y."""
    if x == y:
        return x
    if _CONTINUOUS in (x, y):
        return _CONTINUOUS
    return _NULL if {x, y} == {_NONE, _NULL} else _DISCRETE


def _cond(step: Step, kinds: Sequence[int]) -> tuple[list[int], Study]:
    studies = [_study(body, kinds[1:]) for body in step.bodies]
    made, found = studies[0]
    for outputs, inner in studies[1:]:
        made, found = [_join(x, y) for x, y in zip(made, outputs, strict=True)], found | inner
    return [_decided(kind, kinds[0]) for kind in made], found


def _decided(kind: int, by: int) -> int:
    """What a value is made of that is one thing or another, as a condition made of ``by`` has it."""
    if by == _NONE or kind == _CONTINUOUS:
        return kind
    return kind if by == _NULL and kind != _NONE else _join(by, kind) if by == _NULL else _DISCRETE


def _scan(step: Step, kinds: Sequence[int]) -> tuple[list[int], Study]:
    (body,) = step.bodies
    first = step.params["num_consts"]
    last = first + step.params["num_carry"]
    carry = list(kinds[first:last])
    while True:
        outputs, found = _study(body, [*kinds[:first], *carry, *kinds[last:]])
        grown = [_join(x, y) for x, y in zip(carry, outputs, strict=False)]
        if grown == carry:
            return [*carry, *outputs[len(carry) :]], found
        carry = grown


def _while(step: Step, kinds: Sequence[int]) -> tuple[list[int], Study]:
    condition, body = step.bodies
    first = step.params["cond_nconsts"]
    last = first + step.params["body_nconsts"]
    carry = list(kinds[last:])
    while True:
        (by,), seen = _study(condition, [*kinds[:first], *carry])
        outputs, found = _study(body, [*kinds[first:last], *carry])
        grown = [_join(x, _decided(y, by)) for x, y in zip(carry, outputs, strict=True)]
        if grown == carry:
            return carry, seen | found
        carry = grown


_BODIES = {"cond": _cond, "scan": _scan, "while": _while}


def _multiplies_masks(program: Program, step: Step, kinds: Sequence[int]) -> bool:
    masks = {
        slot
        for slot, kind in zip(step.inputs, kinds, strict=True)
        if kind in (_DISCRETE, _COMPARED) and program.types[slot].floating
    }
    return step.primitive in _PRODUCTS and len(masks) > 1


def _decides(program: Program, step: Step) -> bool:
    """Does the step make something that is no condition?"""
    return not all(_condition(program, slot) for slot in step.outputs)


def _condition(program: Program, slot: int) -> bool:
    return bool(jnp.issubdtype(program.types[slot].dtype, jnp.bool_))


def _kind(program: Program, step: Step, kinds: Sequence[int]) -> int:
    highest = max(kinds, default=_NONE)
    if highest < _CONTINUOUS:
        moved = step.primitive in MOVES or step.primitive == "not"
        return highest if moved or set(kinds) <= {_NONE, _NULL} else _DISCRETE
    if step.primitive in _COMPARISONS:
        return _COMPARED
    to_condition = step.primitive == "convert_element_type" and _condition(program, step.outputs[0])
    if to_condition or step.primitive in _EQUALITIES or (_NULL in kinds and step.primitive in _INTEGRAL):
        return _NULL
    if step.primitive in _INTEGRAL or not program.types[step.outputs[0]].floating:
        return _DISCRETE
    return _CONTINUOUS
