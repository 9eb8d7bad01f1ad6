"""Updates of matrices with short rows, as updates of one long row.

XLA's CPU compiler writes a loop over the rows and one over their numbers, of which it makes vector operations only
where they are many: with 30 of them, Adam's divisions and roots are carried out one by one. Seen as one row, the same
784 x 30 numbers are updated in half the time. The gradient has to come in that order, so its product is one with few
columns (:mod:`fnn.lowering.products`); with many examples that costs more than is gained. Where the product sums over
more than the batch, over the places of a sequence say, it comes in the other order all the same; it is then what takes
the time, not the update.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from fnn.lowering.apart import barrier, barriers_are_heeded
from fnn.lowering.placement import is_settled

# Tried with matrices of 64 to 784 rows of 10 to 100 numbers in float32 and 10 to 128 examples, on one core. Within
# these bounds product and update together are 1.2 to 1.9 times as fast with Adam, 1.0 to 1.5 times with SGD; beyond
# them there is nothing to be had, or less than nothing.
_SHORTEST, _LONGEST = 16, 32
_FEW_EXAMPLES = 32

Tree = TypeVar("Tree")


def updated_as_one_row(shape: tuple[int, ...], n_examples: int) -> bool:
    """Whether a matrix is updated as one row.

    Args:
        shape: of an array.
        n_examples: over how many its gradient is a sum.

    Example:
        >>> updated_as_one_row((784, 30), 128)
        False
    """
    is_matrix = len(shape) == 2 and prod(shape) > 0 and _SHORTEST <= shape[-1] <= _LONGEST
    return is_matrix and n_examples <= _FEW_EXAMPLES and jax.default_backend() == "cpu" and barriers_are_heeded()


def in_one_row(tree: Tree, batch: Any) -> Tree:
    """The same numbers, of which small batches' matrices with short rows are computed as if they had but one, on a CPU.

    Args:
        tree: what an update gives: parameters, the state of an optimizer.
        batch: what it was made from, arrays with the examples along axis 0.

    Example:
        >>> in_one_row({"w": jnp.ones((3, 16))}, (jnp.ones((10, 3)), jnp.ones((10, 16))))["w"].shape
        (3, 16)
    """
    sizes = [jnp.shape(leaf)[0] for leaf in jax.tree.leaves(batch) if jnp.ndim(leaf) > 0]
    n_examples = max((size for size in sizes if isinstance(size, int)), default=_FEW_EXAMPLES + 1)

    def of_leaf(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array) or leaf.dtype != jnp.float32 or not is_settled(jax.typeof(leaf)):
            return leaf
        return barrier(leaf.ravel()).reshape(leaf.shape) if updated_as_one_row(leaf.shape, n_examples) else leaf

    same: Tree = jax.tree.map(of_leaf, tree)
    return same
