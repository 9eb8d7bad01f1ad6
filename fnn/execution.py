"""How steps are carried out: one compiled program that walks through a chunk of batches, as far as it is told.

Because its bounds are arguments, a chunk at once, in pieces, or step by step are runs of the same machine code, and
give the same bits. So do chunks of another length, with a program of their own, in which each step is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from fnn.compilation import unkept
from fnn.errors import InputError, expect
from fnn.lowering import Options, repeated
from fnn.types import Batch, Metrics, Objective, TrainState

StepFn = Callable[[TrainState, Any], tuple[TrainState, Metrics]]


class Tally(NamedTuple):
    """What an epoch adds up on the device, so that no step has to wait for its numbers to be read.

    Attributes:
        sums: metrics times the number of examples.
        examples: how many examples there were, padding excluded.
        first_bad: the first step whose loss was not finite, -1 for none.
    """

    sums: Metrics
    examples: Float[Array, ""]
    first_bad: Int[Array, ""]


class Carry(NamedTuple):
    """What the program hands from step to step."""

    train_state: TrainState
    tally: Tally


Advance = Callable[[Carry, Batch, Any, Any], tuple[Carry, Any]]
"""``(carry, batches, first, last) -> (carry, step)``: the steps ``first`` to before ``last`` of a chunk.

``carry`` is donated, given and got; ``step`` is the number of updates done, to wait for.
"""


class Program(NamedTuple):
    """A training step, and what repeats it.

    Attributes:
        step: the step, as a function of ``jax.jit``, so that it is traced once to be looked at and to be repeated.
        compiled_with: makes the compiled program that repeats it, from the options for the compiler.
    """

    step: Any
    compiled_with: Callable[[Options], Advance]


def program_for(make_step: Callable[..., StepFn], objective: Objective, optimizer: Any) -> Program:
    """The step for an objective and an optimizer, and the program; a second training with the same two compiles none.

    What an objective closes over is read when it is traced, as everywhere in JAX.
    """
    known: Any = (make_step, objective, optimizer)
    try:
        hash(known)
    except TypeError:  # an objective that is an object of its own kind
        return _advance(*known)
    return _remembered(*known)


def _advance(make_step: Callable[..., StepFn], objective: Objective, optimizer: Any) -> Program:
    traced_once = jax.jit(make_step(objective, optimizer), inline=True)
    step = tallied(traced_once)

    def advance(carry: Carry, batches: Batch, first: Any, last: Any) -> tuple[Carry, Any]:
        def batch(i: Any) -> Any:
            return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, i, keepdims=False), batches)

        loop = repeated(lambda carry, batch: (step(carry, batch), ()), carry, jax.eval_shape(batch, 0))
        end = jax.lax.fori_loop(first, last, lambda i, carry: loop.step(carry, batch(i))[0], loop.turned(carry))
        carry = loop.turned_back(end)
        return carry, carry.train_state.step + 0

    @cache
    def compiled(options: Options) -> Advance:
        program = jax.jit(advance, donate_argnums=0, compiler_options=dict(options.given) or None)
        if options.is_kept:
            return program

        def run(*arguments: Any) -> tuple[Carry, Any]:
            with unkept():
                done: tuple[Carry, Any] = program(*arguments)
            return done

        return run

    return Program(traced_once, compiled)


_remembered: Callable[..., Program] = lru_cache(maxsize=8)(_advance)


def tallied(step: StepFn) -> Callable[[Carry, Any], Carry]:
    """``step``, adding its metrics to the tally."""

    def run(carry: Carry, batch: Any) -> Carry:
        train_state, metrics = step(carry.train_state, batch)
        tally = carry.tally
        x, _, weights = Batch(*batch)
        dtype = tally.examples.dtype
        n = (
            jnp.sum(weights.astype(dtype))
            if weights is not None
            else jnp.full((), jax.tree.leaves(x)[0].shape[0], dtype)
        )
        # A batch whose examples all have the weight 0 has the loss 0, and so adds nothing.
        sums = {name: tally.sums[name] + n * value.astype(dtype) for name, value in metrics.items()}
        is_first = (tally.first_bad < 0) & ~jnp.isfinite(metrics["loss"])
        first_bad = jnp.where(is_first, train_state.step, tally.first_bad)
        return Carry(train_state, Tally(sums, tally.examples + n, first_bad))

    return run


def empty_tally(names: list[str]) -> Tally:
    """Nothing added up yet."""
    zero: Any = np.zeros((), np.float32)
    none: Any = np.full((), -1, np.int32)
    return Tally(dict.fromkeys(names, zero), zero, none)


def read_means(tally: Tally) -> dict[str, float]:
    """The epoch's metrics, the loss first."""
    host = jax.device_get(tally)
    names = ["loss", *(name for name in host.sums if name != "loss")]
    return {name: float(host.sums[name] / host.examples) for name in names}


def check_step(before: Any, after: Any, metrics: Mapping[str, Any]) -> list[str]:
    """The names of the metrics, after a look at whether the step leaves shapes and dtypes as they are.

    Args:
        before: the training state that goes into the step, or the shapes of one.
        after: the shapes of what comes out.
        metrics: those of its metrics.

    Raises:
        InputError: an update changes the shape or dtype of a parameter or state, so that it could not be repeated.
    """
    before = jax.eval_shape(lambda tree: tree, before)
    structures: list[Any] = [jax.tree.structure(tree) for tree in (after, before)]
    if structures[0] != structures[1]:
        raise InputError("fit: expected a model that returns its state in the structure in which it was given")
    for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            name = jax.tree_util.keystr(path).lstrip(".")
            raise InputError(
                f"fit: expected an update to leave shapes and dtypes as they are, "
                f"got {name} from {old.dtype}{list(old.shape)} to {new.dtype}{list(new.shape)}"
            )
    for name, value in metrics.items():
        expect(value.shape == (), "fit", f"the objective to give one number as {name!r}", f"shape {value.shape}")
    return ["loss", *(name for name in metrics if name != "loss")]
