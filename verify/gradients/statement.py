"""What is to be decided: the claimed derivative and the true one, as two programs over the same inputs.

The claimed side is the program that JAX makes of ``jax.vjp`` (``jax.jvp``, a Hessian-vector product), custom rules
applied. The true side is the forward program, custom rules opened, run over dual numbers with the checker's own rules.
Both are linear in one more input, the *seed* (a cotangent, a tangent, a vector), and both are compared after a
projection on *weights*: one number a side, so that one dual run is enough however many parameters there are.

    kind    seed             claimed(seed)    weights on      truth
    vjp     cotangent c      J^T c            the leaves      c . (J weights)
    jvp     tangent t        J t              the results     weights . (J t)
    hvp     vector v         H v              the leaves      d^2 f [v, weights]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from verify.algebra.dual import Dual, DualArray
from verify.algebra.plain import Algebra
from verify.gradients.interpret import Observer, interpret
from verify.gradients.trace import Program, Type, trace, trace_jvp, trace_vjp

Kind = Literal["vjp", "jvp", "hvp"]


@dataclass(frozen=True)
class Leaf:
    """One floating array among the arguments (or the results), as a reader would name it: ``args[0]['w']``."""

    name: str
    type: Type
    given: NDArray[Any] | None = None


@dataclass(frozen=True)
class Statement:
    """The two programs, and what their inputs are called.

    Attributes:
        leaves: every floating leaf of the arguments; they are the inputs of ``forward``.
        chosen: positions of the leaves that are differentiated with respect to.
        held: positions of the leaves that keep the value given.
        results: the floating leaves of the result.
        forward: leaves -> results.
        claimed: leaves, then seeds -> what ``kind`` says, then (vjp, jvp) the results once more.
        compares_results: the rules' forward passes can be held against ``forward`` (there is no reference).
        integers: the leaves that are no real numbers, by name: they keep their values.
        run: calls the function itself: leaves -> results (for a witness to be checked by).
        run_claimed: calls JAX's derivative: leaves, seeds -> outputs.
    """

    kind: Kind
    name: str
    leaves: Sequence[Leaf]
    chosen: Sequence[int]
    held: Sequence[int]
    results: Sequence[Leaf]
    forward: Program
    claimed: Program
    integers: Sequence[str]
    compares_results: bool
    run: Callable[..., Any]
    run_claimed: Callable[..., Any]

    @property
    def seeds(self) -> list[Leaf]:
        """What the seed's arrays look like."""
        return list(self.results) if self.kind == "vjp" else [self.leaves[i] for i in self.chosen]

    @property
    def targets(self) -> list[Leaf]:
        """What the claimed side's outputs are, and so the weights."""
        return list(self.results) if self.kind == "jvp" else [self.leaves[i] for i in self.chosen]

    def claim(
        self, algebra: Algebra, leaves: Sequence[Any], seeds: Sequence[Any], observer: Observer | None = None
    ) -> list[Any]:
        """The claimed side's arrays, one a target."""
        return self.claim_and_results(algebra, leaves, seeds, observer)[0]

    def claim_and_results(
        self, algebra: Algebra, leaves: Sequence[Any], seeds: Sequence[Any], observer: Observer | None = None
    ) -> tuple[list[Any], list[Any]]:
        """The claimed side's arrays, and the function's results as JAX's derivative computes them on the way."""
        outputs = interpret(self.claimed, algebra, [*leaves, *seeds], observer)
        return outputs[: len(self.targets)], outputs[len(self.targets) :]

    def truth(
        self,
        algebra: Algebra,
        leaves: Sequence[Any],
        seeds: Sequence[Any],
        weights: Sequence[Any],
        hold_stopped: bool = True,
        observer: Observer | None = None,
    ) -> Any:
        """The true side, projected on ``weights`` (None for a target that is left out), as an array of shape ()."""
        return self.truth_and_results(algebra, leaves, seeds, weights, hold_stopped, observer)[0]

    def truth_and_results(
        self,
        algebra: Algebra,
        leaves: Sequence[Any],
        seeds: Sequence[Any],
        weights: Sequence[Any],
        hold_stopped: bool = True,
        observer: Observer | None = None,
    ) -> tuple[Any, list[Any]]:
        """The true side, and the function's results."""
        directions = dict(zip(self.chosen, seeds if self.kind == "jvp" else weights, strict=True))
        dual = Dual(algebra, hold_stopped)
        if self.kind != "hvp":
            inputs = [DualArray(dual, leaf, directions.get(i)) for i, leaf in enumerate(leaves)]
            results = interpret(self.forward, dual, inputs, observer)
            tangents = [y.tangent for y in results]
            return project(algebra, tangents, weights if self.kind == "jvp" else seeds), [y.primal for y in results]
        outer = Dual(dual, hold_stopped)
        vectors = dict(zip(self.chosen, seeds, strict=True))
        nested = []
        for i, leaf in enumerate(leaves):
            inner = DualArray(dual, leaf, directions.get(i))
            nested.append(DualArray(outer, inner, DualArray(dual, vectors[i]) if i in vectors else None))
        results = interpret(self.forward, outer, nested, observer)
        second = [None if y.tangent is None else y.tangent.tangent for y in results]
        ones = [algebra.constant(np.ones(leaf.type.shape, np.int64)) for leaf in self.results]
        return project(algebra, second, ones), [y.primal.primal for y in results]


def project(algebra: Algebra, arrays: Sequence[Any], weights: Sequence[Any]) -> Any:
    """The sum of all products of entries; None counts as zero."""
    total = algebra.constant(np.array(0))
    for array, weight in zip(arrays, weights, strict=True):
        if array is not None and weight is not None:
            product = array * weight
            axes = tuple(range(len(getattr(product, "shape", ()))))
            total = total + (algebra.sum(product, axes) if axes else product)
    return total


def state(
    kind: Kind,
    f: Callable[..., Any],
    args: Sequence[Any],
    argnums: int | Sequence[int],
    hold: Sequence[int],
    reference: Callable[..., Any] | None,
) -> Statement:
    """Trace both sides.

    Raises:
        TypeError: an argument that JAX does not take, no floating leaf to differentiate, no floating result.
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for what, positions in (("argnums", numbers), ("hold", tuple(hold))):
        for number in positions:
            if not -len(args) <= number < len(args):
                raise TypeError(f"prove: {what} names argument {number}, but {len(args)} arguments were given")
    numbers = tuple(number % len(args) for number in numbers)
    held_arguments = {number % len(args) for number in hold}
    flat, structure = jax.tree_util.tree_flatten_with_path(tuple(args))
    arrays = [_array(jax.tree_util.keystr(path), value) for path, value in flat]
    floating = [i for i, a in enumerate(arrays) if jnp.issubdtype(a.dtype, jnp.floating)]
    leaves = [_leaf(flat[i][0], arrays[i]) for i in floating]
    argument_of = [flat[i][0][0].idx for i in floating]
    chosen = [j for j, number in enumerate(argument_of) if number in numbers]
    held = [j for j, number in enumerate(argument_of) if number in held_arguments and j not in chosen]
    if not chosen:
        raise TypeError(f"prove: argnums={argnums} holds no floating-point array to differentiate with respect to")

    def over_leaves(function: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
        def run(*values: Any) -> tuple[Any, ...]:
            everything = list(arrays)
            for position, value in zip(floating, values, strict=True):
                everything[position] = value
            result = function(*jax.tree_util.tree_unflatten(structure, everything))
            return tuple(
                y for y in jax.tree_util.tree_leaves(result) if jnp.issubdtype(jnp.result_type(y), jnp.floating)
            )

        return run

    run = over_leaves(f)
    primals = [_like(leaf) for leaf in leaves]
    shapes = jax.eval_shape(f, *args)
    outputs = [
        Leaf("f(...)" + jax.tree_util.keystr(path), Type(tuple(y.shape), y.dtype))
        for path, y in jax.tree_util.tree_flatten_with_path(shapes)[0]
        if jnp.issubdtype(y.dtype, jnp.floating)
    ]
    if not outputs:
        raise TypeError("prove: the function returns no floating-point array")
    cotangents = [_like(leaf) for leaf in outputs]
    vectors = [primals[i] for i in chosen]
    n = len(leaves)
    if kind == "vjp":
        claimed = trace_vjp(run, primals, cotangents, chosen, with_results=True)

        def run_claimed(*values: Any) -> Any:
            return jax.vjp(_chosen(run, values[:n], chosen), *[values[i] for i in chosen])[1](tuple(values[n:]))

    elif kind == "jvp":
        claimed = trace_jvp(run, primals, vectors, chosen, with_results=True)

        def run_claimed(*values: Any) -> Any:
            return jax.jvp(_chosen(run, values[:n], chosen), tuple(values[i] for i in chosen), tuple(values[n:]))[1]

    else:
        if len(outputs) != 1 or outputs[0].type.shape != ():
            raise TypeError("prove_hvp: the function must return one number, " + ", ".join(map(str, outputs)))

        def run_claimed(*values: Any) -> Any:
            restricted = _chosen(run, values[:n], chosen)
            gradient = jax.grad(lambda *some: restricted(*some)[0], argnums=tuple(range(len(chosen))))
            return jax.jvp(gradient, tuple(values[i] for i in chosen), tuple(values[n:]))[1]

        claimed = trace(run_claimed, *primals, *vectors)
    return Statement(
        kind=kind,
        name=getattr(f, "__name__", type(f).__name__),
        leaves=leaves,
        chosen=chosen,
        held=held,
        results=outputs,
        forward=trace(run if reference is None else over_leaves(reference), *primals),
        claimed=claimed,
        compares_results=reference is None and kind != "hvp",
        integers=[f"args{jax.tree_util.keystr(flat[i][0])}" for i in range(len(flat)) if i not in floating],
        run=run if reference is None else over_leaves(reference),
        run_claimed=run_claimed,
    )


def _chosen(run: Callable[..., Any], values: Sequence[Any], chosen: Sequence[int]) -> Callable[..., Any]:
    def restricted(*some: Any) -> Any:
        full = list(values)
        for position, value in zip(chosen, some, strict=True):
            full[position] = value
        return run(*full)

    return restricted


def _array(name: str, value: Any) -> Any:
    try:
        return value if isinstance(value, jax.Array | jax.ShapeDtypeStruct) else jnp.asarray(value)
    except TypeError:
        raise TypeError(f"prove: argument {name} is not an array but {type(value).__name__}") from None


def _like(leaf: Leaf) -> Any:
    shape_of: Any = jax.ShapeDtypeStruct  # its constructor is not annotated
    return shape_of(leaf.type.shape, leaf.type.dtype)


def _leaf(path: Any, array: Any) -> Leaf:
    given = None if isinstance(array, jax.ShapeDtypeStruct) else np.asarray(array)
    return Leaf(f"args{jax.tree_util.keystr(path)}", Type(tuple(array.shape), array.dtype), given)
