"""An epoch's examples, in the order they are seen, in contiguous chunks that a compiled loop can walk through.

A chunk holds the batches of some steps, one after the other along its first axis. All chunks of a training have one
shape, so that one program serves them all; where an epoch ends before its last chunk does, the rest stays unused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnn.data.sources import ArraySource, Source
from fnn.types import Batch, KeyArray

# Large enough to hide the cost of a call, small enough that a few of them beside the data are no burden, and that a
# signal, which is heard between two calls, is heard soon.
_CHUNK_BYTES = 4 * 2**20
_CHUNK_BYTES_TO_ACCELERATOR = 32 * 2**20
# On a CPU a call gets its memory anew from the system, page by page: for two CNNs 6 and 10 % of the time in calls of
# 4 MiB, 10 and 3 steps, and 4 % in calls of so many steps, which may take so many bytes.
_LONG_STEPS, _LONG_BYTES = 16, 16 * 2**20
_SPEC: Any = jax.ShapeDtypeStruct  # has no annotations of its own
_DEVICE_SHARE = 0.25  # of the free memory of an accelerator, for the data and as much again for a chunk


class Chunk(NamedTuple):
    """Some steps of an epoch.

    Attributes:
        batches: leaves of shape ``(n_steps, batch_size, ...)``.
        first: the step of the epoch, from 0, that its first batch is for.
        last: one past the step that its last used batch is for.
    """

    batches: Batch
    first: int
    last: int


class Feed:
    """Gives out epochs in chunks.

    Attributes:
        batch_size: examples per step.
        n_steps: steps per epoch.
        chunk_steps: steps per chunk.
    """

    def __init__(
        self, source: Source, batch_size: int, order_key: KeyArray | None, *, in_long_calls: bool = False
    ) -> None:
        """Prepares to feed.

        Args:
            source: the examples.
            batch_size: how many a step sees, at most all of them.
            order_key: the order of epoch ``n``, from 0, is drawn from ``fold_in(order_key, n)``; ``None`` for the order
                of the source. A full batch is always in the order of the source.
            in_long_calls: whether a call of the program is to do a whole chunk, not a piece of it.
        """
        self._source, self._count = source, len(source)
        self._order_key = None if batch_size == self._count else order_key
        self.batch_size = batch_size
        self.n_steps = -(-self._count // batch_size)
        self._missing = -self._count % batch_size
        self._example = self._weighted(source.take(np.zeros(1, np.int64)))
        n_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(self._example))
        share = _DEVICE_SHARE * _free_bytes()
        on_device = isinstance(source, ArraySource) and self._count * n_bytes <= share
        is_cpu = jax.default_backend() == "cpu"
        long = min(_LONG_STEPS * batch_size * n_bytes, _LONG_BYTES) if in_long_calls else 0
        most = share if on_device else max(_CHUNK_BYTES, long) if is_cpu else _CHUNK_BYTES_TO_ACCELERATOR
        n_chunks = math.ceil(self.n_steps * batch_size * n_bytes / most)
        self.chunk_steps = -(-self.n_steps // min(n_chunks, self.n_steps))
        self._resident = jax.device_put(source.whole) if on_device and isinstance(source, ArraySource) else None
        self._repeated: Batch | None = None

    def spec(self) -> Batch:
        """Shapes and dtypes of one batch."""
        size = (self.batch_size,)
        return _mapped(
            lambda leaf: _SPEC(size + leaf.shape[1:], jax.dtypes.canonicalize_dtype(leaf.dtype)), self._example
        )

    def chunks(self, epoch: int, first: int = 0, last: int | None = None) -> Iterator[Chunk]:
        """The steps ``first`` to before ``last`` of an epoch, counted from 0."""
        last = self.n_steps if last is None else last
        order = self._order(epoch)
        for begin in range(first - first % self.chunk_steps, last, self.chunk_steps):
            batches = self._repeated
            if batches is None:
                batches = self._gather(*self._rows(order, begin))
            if self._order_key is None and self.chunk_steps == self.n_steps:
                self._repeated = batches  # the same in every epoch
            yield Chunk(batches, begin, min(begin + self.chunk_steps, self.n_steps))

    def rows(self, epoch: int, step: int) -> np.ndarray:
        """Which examples step ``step`` of an epoch sees, padding excluded."""
        begin = step * self.batch_size
        return self._order(epoch)[begin : min(begin + self.batch_size, self._count)]

    def batch(self, epoch: int, step: int) -> Batch:
        """What step ``step`` of an epoch sees, as NumPy arrays."""
        begin = step - step % self.chunk_steps
        chunk = next(self.chunks(epoch, step, step + 1))
        return _mapped(lambda leaf: np.asarray(leaf[step - begin]), chunk.batches)

    def _order(self, epoch: int) -> np.ndarray:
        if self._order_key is None:
            return np.arange(self._count)
        return np.asarray(_permutation(self._order_key, epoch, self._count))

    def _rows(self, order: np.ndarray, begin: int) -> tuple[np.ndarray, np.ndarray]:
        """The examples of a chunk, and which of them are there: the last batch is filled up with the epoch's first."""
        places = np.arange(begin * self.batch_size, (begin + self.chunk_steps) * self.batch_size)
        return order[places % self._count], places < self._count

    def _gather(self, rows: np.ndarray, present: np.ndarray) -> Batch:
        shape = (self.chunk_steps, self.batch_size)
        if self._resident is not None:
            on_device: Batch = _on_device(self._resident, rows, present if self._missing else None, shape)
            return on_device
        batch = self._weighted(self._source.take(rows))
        if self._missing:
            batch = batch._replace(weights=np.where(present, batch.weights, 0).astype(batch.weights.dtype))
        return _mapped(lambda leaf: leaf.reshape(shape + leaf.shape[1:]), batch)

    def _weighted(self, batch: Batch) -> Batch:
        if self._missing and batch.weights is None:
            return batch._replace(weights=np.ones(len(jax.tree.leaves(batch)[0]), np.float32))
        return batch


def _mapped(function: Callable[[Any], Any], batch: Batch) -> Batch:
    mapped: Batch = jax.tree.map(function, batch)
    return mapped


@partial(jax.jit, static_argnums=2)
def _permutation(key: KeyArray, epoch: Any, count: int) -> Any:
    return jax.random.permutation(jax.random.fold_in(key, epoch), count)


@partial(jax.jit, static_argnums=3)
def _on_device(arrays: Batch, rows: Any, present: Any, shape: tuple[int, int]) -> Batch:
    batch = _mapped(lambda leaf: jnp.take(leaf, rows, axis=0), arrays)
    if present is not None:
        weights = jnp.ones(rows.shape, jnp.float32) if batch.weights is None else batch.weights
        batch = batch._replace(weights=jnp.where(present, weights, 0))
    return _mapped(lambda leaf: leaf.reshape(shape + leaf.shape[1:]), batch)


def _free_bytes() -> int:
    """Free memory of an accelerator; 0 on CPU, where examples are gathered from the host's memory."""
    device = jax.local_devices()[0]
    stats = None if device.platform == "cpu" else device.memory_stats()
    return int(stats["bytes_limit"] - stats["bytes_in_use"]) if stats else 0
