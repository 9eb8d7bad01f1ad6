"""A function, carried out with some of its operations in other forms.

The function is traced to a jaxpr; each of its operations is bound again, with its names and effects, and those that a
rule knows a faster form of are bound in that form. Bodies of loops, branches and calls are treated alike; the
derivative rules of ``custom_jvp`` and ``custom_vjp`` stay in force.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import jax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from fnn.lowering.convolutions import channels_last
from fnn.lowering.evaluating import bound, evaluate
from fnn.lowering.flattening import flattened
from fnn.lowering.halves import COMPARISONS, EXTREMA, compared_in_float32
from fnn.lowering.matrices import product_by_kernel
from fnn.lowering.placement import is_settled
from fnn.lowering.pooling import given_back
from fnn.lowering.products import plain_product
from fnn.lowering.turned import is_narrow, product_with_transpose
from fnn.lowering.waiting import with_inputs_first
from fnn.lowering.walking import CALLS, bodies

_WITH_BODIES = CALLS | frozenset(
    {
        *("closed_call", "remat", "remat2", "checkpoint", "scan", "while", "cond"),
        *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
    }
)
_KNOWN = frozenset({"dot_general", "conv_general_dilated", "select_and_scatter_add", "reshape"}) | COMPARISONS | EXTREMA


def canonical(function: Callable[..., Any], *, as_in_loop: bool = False) -> Callable[..., Any]:
    """``function`` in a form that XLA runs faster on a CPU: the same numbers, up to rounding.

    What is not finite may make more numbers so than it did: a zero times infinity is none. So may finite numbers whose
    sums of four are not finite.

    Some things that differentiation leaves behind are slow there. A weight gradient is a matrix product with its left
    factor transposed; it becomes a transposition and a plain product. The gradients of a convolution are convolutions
    with batch and channels exchanged, which within a loop run on one thread and by a naive algorithm; they become
    transpositions and a convolution with channels last, without the zeros that strides leave in between. A convolution
    with a window of one place becomes a matrix product; in groups, one of several groups, or, of single channels, a sum
    over the taps of its window, which for numbers of 16 bits is added up in 32; with few channels out, one of several
    columns at a time; with many, one by Winograd's algorithm, whose results are two to four times as far from exact
    ones. The gradient of pooling by the maximum goes window by window; it becomes comparisons of strided slices.
    Numbers of 16 bits are compared in 32. What is made flat is computed before. Everything else stays as it is, and so
    do arrays whose type names the devices that they lie on, or whose sizes are not known.

    On one CPU that fnn writes machine code for (:mod:`fnn.kernels`), it is that code that computes convolutions with up
    to 64 channels in and out, or as many pairs of them, and the gradients of their windows. Those with windows of 3 x 3
    that move by one it computes by Winograd's algorithm in two dimensions, with more channels, too, where that saves
    enough: from some 16 on (in bfloat16, 32), as long as a dozen tiles of all channels fit a core's own cache, such as
    256 in and out of images of 14 columns. Float32 results are 0.7 to 3 times as far from exact ones, and in bfloat16
    there is one rounding more; not so where a precision above the default is asked for
    (``jax.default_matmul_precision("highest")``). It computes matrix products of float32 numbers, too, with fewer than
    a million of them in each matrix, but at least 8 along each axis. There a dense layer's gradient by its input is
    computed before that by its matrix, so that a loop can update the matrix where it lies.

    Apply it to a whole training step: forward pass, gradient and update. Under ``vmap``, it belongs outside:
    ``canonical(vmap(step))`` sees the products of all members as they will be computed.

    Args:
        function: any function that JAX can trace, of pytrees of arrays.
        as_in_loop: whether products with narrow matrices are those with their transposes, which loops carry
            (:mod:`fnn.lowering.turned`): the same bits within a loop and out of it.

    Returns:
        A function of the same arguments and results, to be compiled.

    Example:
        >>> import jax.numpy as jnp
        >>> gradient = canonical(jax.grad(lambda w, x: (x @ w).sum()))
        >>> gradient(jnp.ones((2, 1)), jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[4.0], [6.0]]
    """

    @wraps(function)
    def rewritten(*args: Any, **kwargs: Any) -> Any:
        structure: list[Any] = []

        def flat(*args: Any, **kwargs: Any) -> list[Any]:
            leaves, tree = jax.tree.flatten(function(*args, **kwargs))
            structure.append(tree)
            return leaves

        closed = jax.make_jaxpr(flat)(*args, **kwargs)
        results = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves((args, kwargs)), as_in_loop)
        return jax.tree.unflatten(structure[0], results)

    return rewritten


class _Surroundings(NamedTuple):
    """How the operations of a jaxpr hang together.

    Attributes:
        transposed: what a variable is the transpose of, if it is that of a matrix.
        flipped: variables that are used only to be transposed, as matrices.
        apart: variables that are kept apart from what they come from, by a barrier or by coming from outside.
        as_in_loop: whether products with narrow matrices are those with their transposes. Not in the body of a loop, of
            a branch or of a function with a derivative of its own: a matrix that goes in there is carried as it is.
        waiting: for some variables, the one that they wait for.
    """

    transposed: dict[Var, Any]
    flipped: set[Var]
    apart: set[Var]
    as_in_loop: bool
    waiting: dict[Var, Var]


def _surroundings(jaxpr: Jaxpr, as_in_loop: bool, waiting: dict[Var, Var]) -> _Surroundings:
    transposed: dict[Var, Any] = {}
    flipped: set[Var] = set()
    used_as_is = {atom for atom in jaxpr.outvars if not isinstance(atom, Literal)}
    for eqn in jaxpr.eqns:
        is_flip = eqn.primitive.name == "transpose" and tuple(eqn.params["permutation"]) == (1, 0)
        if is_flip and not isinstance(eqn.invars[0], Literal):
            transposed[eqn.outvars[0]] = eqn.invars[0]
            flipped.add(eqn.invars[0])
        else:
            used_as_is.update(atom for atom in eqn.invars if not isinstance(atom, Literal))
    barriers = [eqn for eqn in jaxpr.eqns if eqn.primitive.name == "optimization_barrier"]
    apart = {*jaxpr.invars, *jaxpr.constvars, *(var for eqn in barriers for var in eqn.outvars)}
    return _Surroundings(transposed, flipped - used_as_is, apart, as_in_loop, waiting)


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Any], inputs: Sequence[Any], as_in_loop: bool) -> list[Any]:
    eqns, waiting = with_inputs_first(jaxpr)
    around = _surroundings(jaxpr, as_in_loop, waiting)

    def compute(eqn: JaxprEqn, read: Callable[[Any], Any]) -> Sequence[Any]:
        results = _rewrite(eqn, read, around)
        if results is None:
            return bound(eqn, map(read, eqn.invars), _with_new_bodies(eqn, as_in_loop))
        return results if eqn.primitive.multiple_results else [results]

    ordered: Any = jaxpr
    return evaluate(ordered.replace(eqns=eqns), consts, inputs, compute)


def _rewrite(eqn: JaxprEqn, read: Callable[[Any], Any], around: _Surroundings) -> Any:
    """The result in a faster form; ``None`` if there is none."""
    name = eqn.primitive.name
    if name not in _KNOWN or not all(is_settled(atom.aval) for atom in eqn.invars):
        return None
    if name == "dot_general":
        left, right = eqn.invars
        sources = tuple(None if isinstance(at, Literal) else around.transposed.get(at) for at in (left, right))
        values = [None if source is None else read(source) for source in sources]
        if around.as_in_loop and values[0] is None:
            product = product_with_transpose(read(left), read(right), **eqn.params)
            if product is not None:
                return product
        factors, flipped = (read(left), read(right)), eqn.outvars[0] in around.flipped
        after = [read(around.waiting[eqn.outvars[0]])] if eqn.outvars[0] in around.waiting else []
        product = plain_product(*factors, *values, flipped=flipped, after=after, **eqn.params)
        if product is not None:
            return product
        if around.as_in_loop and is_narrow(right.aval):
            return None  # a loop may carry the matrix transposed, and knows what to make of a product as it is
        return _product_as_is(*factors, *values, after=after, **eqn.params)
    if name == "conv_general_dilated":
        return channels_last(*map(read, eqn.invars), **eqn.params)
    if name == "select_and_scatter_add":
        return given_back(*map(read, eqn.invars), **eqn.params)
    if name == "reshape" and not isinstance(eqn.invars[0], Literal) and eqn.invars[0] not in around.apart:
        return flattened(*map(read, eqn.invars), **eqn.params)
    if name in COMPARISONS or name in EXTREMA:
        return compared_in_float32(eqn.primitive, *map(read, eqn.invars), **eqn.params)
    return None


def _product_as_is(
    left: Any, right: Any, left_source: Any, right_source: Any, *, dimension_numbers: Any, **others: Any
) -> Any:
    """A product by machine code of our own, of what a factor is the transpose of in its stead."""
    (left_axes, right_axes), batch_axes = dimension_numbers
    if left_source is not None and len(left_axes) == 1:
        left, left_axes = left_source, (1 - left_axes[0],)
    if right_source is not None and len(right_axes) == 1:
        right, right_axes = right_source, (1 - right_axes[0],)
    return product_by_kernel(left, right, dimension_numbers=((left_axes, right_axes), batch_axes), **others)


def _with_new_bodies(eqn: JaxprEqn, as_in_loop: bool) -> dict[str, Any]:
    if not _concerns(eqn):
        return eqn.params
    as_in_loop = as_in_loop and eqn.primitive.name in CALLS
    return {name: _new_body(value, as_in_loop) for name, value in eqn.params.items()}


def _new_body(value: Any, as_in_loop: bool) -> Any:
    if hasattr(value, "consts"):
        return _retraced(value.jaxpr, value.consts, as_in_loop)
    if hasattr(value, "eqns"):
        return _retraced(value, (), as_in_loop).jaxpr
    # The branches of a cond.
    return tuple(_new_body(branch, as_in_loop) for branch in value) if bodies(value) else value


def _retraced(jaxpr: Jaxpr, consts: Sequence[Any], as_in_loop: bool) -> Any:
    avals: list[Any] = [var.aval for var in jaxpr.invars]
    shape_of: Any = jax.ShapeDtypeStruct
    inputs = [shape_of(aval.shape, aval.dtype, weak_type=aval.weak_type) for aval in avals]
    return jax.make_jaxpr(lambda *inputs: _evaluate(jaxpr, consts, inputs, as_in_loop))(*inputs)


def _concerns(eqn: JaxprEqn) -> bool:
    """Whether a rule may apply to an operation, or within it; what is not concerned is left untouched."""
    if eqn.primitive.name in _KNOWN:
        return True
    if eqn.primitive.name not in _WITH_BODIES:
        return False
    return any(_concerns(inner) for value in eqn.params.values() for body in bodies(value) for inner in body.eqns)
