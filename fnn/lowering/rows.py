"""Updates of matrices with short rows, as updates of one long row.

XLA's CPU compiler writes a loop over the rows and one over their numbers, of which it makes vector operations only
where they are many: with 30 of them, Adam's divisions and roots are carried out one by one. Seen as one row, the same
784 x 30 numbers are updated in half the time. The gradient has to come in that order, so its product is one with few
columns (:mod:`fnn.lowering.products`); with many examples that costs more than is gained.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from fnn.lowering.apart import barrier, is_heeded
from fnn.lowering.placement import is_distributed

# Lengths of rows, and examples up to which this pays: measured with SGD and Adam, matrices of 64 to 784 rows of 10 to
# 100 numbers, and 10 to 128 examples, on one core: 1.1 to 1.9 times as fast.
_LEAST, _MOST = 16, 32
_FEW_EXAMPLES = 32

Tree = TypeVar("Tree")


def pays(shape: tuple[int, ...], n_examples: int) -> bool:
    """Whether a matrix is updated as one row.

    Args:
        shape: of an array.
        n_examples: over how many its gradient is a sum.

    Example:
        >>> pays((784, 30), 128)
        False
    """
    is_matrix = len(shape) == 2 and prod(shape) > 0 and _LEAST <= shape[-1] <= _MOST
    return is_matrix and n_examples <= _FEW_EXAMPLES and jax.default_backend() == "cpu" and is_heeded()


def in_one_row(tree: Tree, batch: Any) -> Tree:
    """The same arrays; matrices with short rows are computed as if they had but one.

    Args:
        tree: what an update gives: parameters, the state of an optimizer.
        batch: what it was made from, arrays with the examples along axis 0.

    Example:
        >>> in_one_row({"w": jnp.ones((3, 16))}, (jnp.ones((10, 3)), jnp.ones((10, 16))))["w"].shape
        (3, 16)
    """
    n_examples = max((jnp.shape(leaf)[0] for leaf in jax.tree.leaves(batch) if jnp.ndim(leaf) > 0), default=1)

    def of_leaf(leaf: Any) -> Any:
        is_floating = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        if not is_floating or not pays(jnp.shape(leaf), n_examples) or is_distributed(leaf):
            return leaf
        return barrier(jnp.ravel(leaf)).reshape(jnp.shape(leaf))

    rows: Tree = jax.tree.map(of_leaf, tree)
    return rows
