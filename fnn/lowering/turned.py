"""Matrices with few columns, kept transposed while a training step is repeated.

A dense layer of 784 inputs and 30 outputs has a matrix whose rows are short. XLA's CPU compiler gets its gradient
quickest as a product of 30 rows with 784 columns, and makes vector operations of an update only along long rows: in the
other order the two take up to twice as long, Adam's divisions and roots most of all. So a loop carries such a matrix,
and what an optimizer keeps of it, as 30 rows of 784 numbers. The step is traced, and what it does to them number by
number it does in that order; a matrix product takes its factor from either, and a sum over all of it is one in either.
Before and after the loop they are as ever.

A matrix with which the step does anything else, in which it looks up rows say, stays as it is, and so does what is
updated with it.

In the gradient of a step outside of a loop, a product with a narrow matrix is one with its transpose, too. It costs
such a step a tenth or more, and a loop written by hand comes to the bits of one that is carried out here; not so with
batches of one example, or where an update sums over such a matrix, as clipping by the global norm does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from fnn.lowering.apart import barrier
from fnn.lowering.evaluating import bound, evaluate
from fnn.lowering.matrices import product_by_kernel
from fnn.lowering.placement import is_settled
from fnn.lowering.walking import CALLS

# Tried in float32 with matrices of 64 to 3136 rows of 10 to 256 numbers and 10 to 128 examples, on two cores: product,
# gradient and update together are 1.0 to 2.4 times as fast up to 48 columns, beyond 64 up to 1.5 times as slow. With 2
# to 8 columns, 1.0 to 1.4 times; there the compiler rounds an update otherwise in the one order than in the other.
# Smaller matrices, of many networks side by side, lose. To turn them takes as long as some forty steps gain, and
# training begins a loop for each chunk of its data, which holds fewer of larger examples: larger matrices lose too.
_FEWEST_ROWS, _MOST_ROWS, _MOST_NUMBERS = 64, 1024, 2**15
_FEWEST_COLUMNS, _MOST_COLUMNS = 9, 48

# What computes each number of its result from the numbers in the same place.
_NUMBER_BY_NUMBER = frozenset(
    {
        *("abs", "add", "add_any", "and", "cbrt", "ceil", "clamp", "convert_element_type", "copy", "cos", "div", "eq"),
        *("erf", "exp", "exp2", "expm1", "floor", "ge", "gt", "integer_pow", "is_finite", "le", "log", "log1p"),
        *("logistic", "lt", "max", "min", "mul", "ne", "neg", "not", "or", "pow", "round", "rsqrt", "select_n", "sign"),
        *("sin", "sqrt", "square", "sub", "tanh", "xor"),
    }
)
_REDUCTIONS = frozenset({"reduce_and", "reduce_max", "reduce_min", "reduce_or", "reduce_sum"})

Step = Callable[[Any, Any], tuple[Any, Any]]
"""``(carry, x) -> (carry, y)``, as for ``jax.lax.scan``."""


class Repeated(NamedTuple):
    """A step, and what a loop that repeats it carries.

    Attributes:
        step: of the carry that ``turned`` gives.
        turned: brings a carry into the order of the loop.
        turned_back: brings it back.
    """

    step: Step
    turned: Callable[[Any], Any]
    turned_back: Callable[[Any], Any]


def repeated(step: Step, carry: Any, x: Any) -> Repeated:
    """A step in the form in which a loop repeats it quickest: the same numbers, up to the order of summation.

    Args:
        step: a function of pytrees of arrays.
        carry: what the loop begins with; its shapes are enough.
        x: what one step is given; its shapes are enough.

    Returns:
        ``step`` itself, where nothing is gained.

    Example:
        >>> loss = lambda w, x: jnp.square(x @ w).mean()
        >>> step = lambda w, x: (w - 0.1 * jax.grad(loss)(w, x), loss(w, x))
        >>> w, x = jnp.ones((100, 20)), jnp.ones((3, 100))
        >>> loop = repeated(step, w, x)
        >>> loop.turned(w).shape, loop.turned_back(loop.step(loop.turned(w), x)[0]).shape
        ((20, 100), (100, 20))
    """
    leaves, tree = jax.tree.flatten(carry)
    if jax.default_backend() != "cpu" or not any(map(is_narrow, map(jax.typeof, leaves))):
        return _as_it_is(step)
    closed, ends = jax.make_jaxpr(step, return_shape=True)(carry, x)
    trees: Any = tuple(map(jax.tree.structure, ends))
    which = _which(closed.jaxpr, len(leaves))
    # Where what comes out is of another type than what goes in, a loop traces its step again.
    before, after = ([_type(aval) for aval in avals[: len(leaves)]] for avals in (closed.in_avals, closed.out_avals))
    if not any(which) or trees[0] != tree or before != after:
        return _as_it_is(step)
    shapes = {leaf.shape for leaf, is_turned in zip(leaves, which, strict=True) if is_turned}

    def turned_step(carry: Any, x: Any) -> tuple[Any, Any]:
        inputs = [*map(_enter, jax.tree.leaves(carry), which), *jax.tree.leaves(x)]
        results = evaluate(closed.jaxpr, closed.consts, inputs, lambda eqn, read: _compute(eqn, read, shapes))
        after = zip(results[: len(which)], which, strict=True)
        leaves = [_transposed(value) if is_turned else _plain(value) for value, is_turned in after]
        others = map(_plain, results[len(which) :])
        return jax.tree.unflatten(tree, leaves), jax.tree.unflatten(trees[1], others)

    def flip(carry: Any) -> Any:
        pairs = zip(jax.tree.leaves(carry), which, strict=True)
        return jax.tree.unflatten(tree, [leaf.T if is_turned else leaf for leaf, is_turned in pairs])

    return Repeated(turned_step, flip, flip)


def _type(aval: Any) -> tuple[Any, ...]:
    return aval.shape, aval.dtype, aval.weak_type


def _as_it_is(step: Step) -> Repeated:
    return Repeated(step, lambda carry: carry, lambda carry: carry)


def is_narrow(array: Any) -> bool:
    """Whether an array is a matrix that a loop carries transposed, if the step does nothing with it that forbids it.

    Args:
        array: or its type.

    Example:
        >>> is_narrow(jnp.ones((784, 30))), is_narrow(jnp.ones((30, 784)))
        (True, False)
    """
    is_matrix = len(array.shape) == 2 and is_settled(jax.typeof(array) if isinstance(array, jax.Array) else array)
    is_real = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize <= 4
    if not (is_matrix and is_real):
        return False
    n_rows, n_columns = array.shape
    is_between = _FEWEST_ROWS <= n_rows <= _MOST_ROWS and _FEWEST_COLUMNS <= n_columns <= _MOST_COLUMNS
    return bool(is_between and n_rows * n_columns <= _MOST_NUMBERS)


def product_with_transpose(left: Any, right: Any, *, dimension_numbers: Any, **params: Any) -> Any:
    """A product with a narrow matrix, as a loop that carries its transpose computes it.

    Args:
        left: the left factor of a ``dot_general``.
        right: the right factor.
        dimension_numbers: of the ``dot_general``, as are the other ``params``.

    Returns:
        The product; ``None`` if it has another form, such as that of a gradient.
    """
    (left_axes, right_axes), batch = dimension_numbers
    if any(batch) or not is_narrow(right) or left.ndim < 2 or tuple(left_axes) != (left.ndim - 1,):
        return None
    numbers = (left_axes, (1 - right_axes[0],)), batch
    transpose = barrier(right.T)
    product = product_by_kernel(left, transpose, dimension_numbers=numbers, **params)
    if product is not None:
        return product
    return jax.lax.dot_general_p.bind(left, transpose, dimension_numbers=numbers, **params)


def _which(jaxpr: Jaxpr, n_carried: int) -> list[bool]:
    """Which of the first inputs are narrow matrices that the step multiplies by or transposes, or updates with one."""
    carried = jaxpr.invars[:n_carried]
    met = _Met({}, set(), set())
    _look(jaxpr, {var: var for var in carried if is_narrow(var.aval)}, met)
    fit = {met.root(var) for var in met.factors} - {met.root(var) for var in met.unfit}
    return [met.root(var) in fit for var in carried]


class _Met(NamedTuple):
    """What a step does with the narrow matrices that it is given.

    Attributes:
        parents: leads from each that is computed with others, number by number, to one that stands for all of them.
        factors: those that it multiplies by.
        unfit: those with which it does what has no counterpart in the other order.
    """

    parents: dict[Var, Var]
    factors: set[Var]
    unfit: set[Var]

    def root(self, var: Var) -> Var:
        while var in self.parents:
            var = self.parents[var]
        return var

    def join(self, one: Var, other: Var) -> None:
        one, other = self.root(one), self.root(other)
        if one is not other:
            self.parents[other] = one


def _look(jaxpr: Jaxpr, known: dict[Any, Var], met: _Met) -> None:
    """Follows matrices through a program. ``known`` says from which of the step's inputs a variable comes."""
    for eqn in jaxpr.eqns:
        sources = [None if isinstance(atom, Literal) else known.get(atom) for atom in eqn.invars]
        matrices = [source for source in sources if source is not None]
        if not matrices:
            continue
        if eqn.primitive.name in _NUMBER_BY_NUMBER:
            for other in matrices[1:]:
                met.join(matrices[0], other)
            known[eqn.outvars[0]] = matrices[0]
        elif _is_inlined(eqn):
            inner = eqn.params["jaxpr"].jaxpr
            within = {var: source for var, source in zip(inner.invars, sources, strict=True) if source is not None}
            _look(inner, within, met)
            ends = zip(eqn.outvars, inner.outvars, strict=True)
            known.update({var: within[end] for var, end in ends if not isinstance(end, Literal) and end in within})
        elif _is_flip(eqn) or (_is_product(eqn) and sources[0] is None):
            met.factors.update(matrices)
        elif not _is_whole_reduction(eqn):
            met.unfit.update(matrices)


def _is_product(eqn: JaxprEqn) -> bool:
    if eqn.primitive.name != "dot_general":
        return False
    contracted, batch = eqn.params["dimension_numbers"]
    return not any(batch) and all(len(axes) == 1 for axes in contracted)


def _is_flip(eqn: JaxprEqn) -> bool:
    return eqn.primitive.name == "transpose" and tuple(eqn.params["permutation"]) == (1, 0)


def _is_whole_reduction(eqn: JaxprEqn) -> bool:
    return eqn.primitive.name in _REDUCTIONS and len(eqn.params["axes"]) == 2


def _is_inlined(eqn: JaxprEqn) -> bool:
    """Whether an operation is a call of which nothing is said but what it computes."""
    if eqn.primitive.name not in CALLS:
        return False
    shardings = (*eqn.params.get("in_shardings", ()), *eqn.params.get("out_shardings", ()))
    return all(type(sharding).__name__ == "UnspecifiedValue" for sharding in shardings)


class _Turned(NamedTuple):
    """A matrix, by its transpose."""

    transpose: Any


def _enter(leaf: Any, is_turned: bool) -> Any:
    return _Turned(leaf) if is_turned else leaf


def _plain(value: Any) -> Any:
    return value.transpose.T if isinstance(value, _Turned) else value


def _transposed(value: Any) -> Any:
    return value.transpose if isinstance(value, _Turned) else value.T


def _in_other_order(value: Any) -> Any:
    """A matrix transposed; a number, which stands for all places, as it is."""
    return value if not isinstance(value, _Turned) and jnp.ndim(value) == 0 else _transposed(value)


def _compute(eqn: JaxprEqn, read: Callable[[Any], Any], shapes: set[tuple[int, ...]]) -> Sequence[Any]:
    """The results of an operation, matrices of one of ``shapes`` by their transposes where that costs nothing."""
    values = [read(atom) for atom in eqn.invars]
    if _is_flip(eqn) and not isinstance(values[0], _Turned) and jnp.shape(values[0])[::-1] in shapes:
        return [_Turned(values[0])]
    if not any(isinstance(value, _Turned) for value in values):
        return bound(eqn, values)
    if _is_flip(eqn):
        return [values[0].transpose]
    if eqn.primitive.name in _NUMBER_BY_NUMBER:
        return [*map(_Turned, bound(eqn, map(_in_other_order, values)))]
    if _is_inlined(eqn):
        body = eqn.params["jaxpr"]
        return evaluate(body.jaxpr, body.consts, values, lambda eqn, read: _compute(eqn, read, shapes))
    if _is_product(eqn) and isinstance(values[1], _Turned):
        (left, (axis,)), batch = eqn.params["dimension_numbers"]
        numbers = (left, (1 - axis,)), batch
        return bound(eqn, [_plain(values[0]), values[1].transpose], {**eqn.params, "dimension_numbers": numbers})
    if _is_whole_reduction(eqn):
        return bound(eqn, [values[0].transpose])
    return bound(eqn, map(_plain, values))
