"""What a primitive's handler is given: the algebra, the step, and the helpers that all families use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from verify.algebra.plain import Algebra, Rearrangement
from verify.gradients.trace import Program, Step, Type

Observer = Callable[[Step, str, Any, Any], None]
"""Called with every comparison: the step, the relation or "order", and what is compared (algebra arrays); and with
every integer or condition that a step is given: the step, "choice" and the input's position, its value, None."""


@dataclass(frozen=True)
class Call:
    """One step about to be run.

    Attributes:
        known: for each input, the rational number that all its entries are, where that is known.
        run_body: interprets a body of the step.
    """

    algebra: Algebra
    step: Step
    in_types: Sequence[Type]
    out_types: Sequence[Type]
    known: Sequence[Fraction | None]
    run_body: Callable[[Program, Sequence[Any]], list[Any]]
    observer: Observer | None

    @property
    def params(self) -> Mapping[str, Any]:
        """The primitive's parameters."""
        return self.step.params

    @property
    def floating(self) -> bool:
        """Is the (first) result an array of the algebra?"""
        return self.out_types[0].floating

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The shape of the (first) result."""
        return self.out_types[0].shape

    def rearrange(self, fn: Rearrangement, *xs: Any) -> Any:
        """``fn`` of arrays of the algebra, or of NumPy arrays, whichever the (first) result is."""
        if self.floating:
            return self.algebra.rearrange(fn, *xs)
        if any(is_key(x) for x in xs):
            return _rearrange_keys(fn, xs)
        return fn(*[np.asarray(x) for x in xs])

    def compare(self, relation: str, x: Any, y: Any) -> NDArray[Any]:
        """A comparison of arrays of the algebra, observed."""
        if self.observer is not None:
            self.observer(self.step, relation, x, y)
        return self.algebra.compare(relation, x, y)

    def larger(self, x: Any, y: Any) -> Any:
        """The entrywise maximum (x where they are equal)."""
        return self.algebra.select(self.compare("lt", x, y), [x, y])

    def smaller(self, x: Any, y: Any) -> Any:
        """The entrywise minimum (x where they are equal)."""
        return self.algebra.select(self.compare("gt", x, y), [x, y])

    def zero(self) -> Any:
        """0 as an array of shape ()."""
        return self.algebra.constant(np.array(0))


def is_key(x: Any) -> bool:
    """Whether x holds typed random keys, which are no numbers and which NumPy refuses."""
    return isinstance(x, jax.Array) and bool(jnp.issubdtype(x.dtype, jax.dtypes.prng_key))


def _rearrange_keys(fn: Rearrangement, xs: Sequence[Any]) -> Any:
    """``fn`` of the keys' positions says which key comes where."""
    ends = np.cumsum([x.size for x in xs])
    places = [np.arange(end - x.size, end).reshape(x.shape) for x, end in zip(xs, ends, strict=True)]
    return jnp.concatenate([jnp.ravel(x) for x in xs])[np.asarray(fn(*places))]


Handler = Callable[..., Any]
"""``handler(call, *inputs)`` returns the result, or a list of results."""


def tree(combine: Callable[[Any, Any], Any], take: Callable[[Any, slice], Any], x: Any, length: int) -> Any:
    """Reduce the leading axis of ``x`` by pairs, so that it takes log2(length) rounds of whole-array work."""
    while length > 1:
        half = length // 2
        paired = combine(take(x, slice(0, half)), take(x, slice(half, 2 * half)))
        if length % 2:
            return combine(tree(combine, take, paired, half), tree(combine, take, take(x, slice(2 * half, length)), 1))
        x, length = paired, half
    return take(x, slice(0, 1))
