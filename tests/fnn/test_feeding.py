"""How many steps a chunk holds, on a CPU."""

import numpy as np
import pytest

from fnn.feeding import Feed
from fnn.types import Batch

MIB = 2**20


class Rows:
    """Some examples of so many bytes, made when they are asked for."""

    def __init__(self, count, n_bytes):
        self.count, self.n_bytes = count, n_bytes

    def __len__(self):
        return self.count

    def take(self, rows):
        return Batch(np.zeros((len(rows), self.n_bytes), np.uint8), None)


@pytest.mark.parametrize(
    ("n_bytes", "batch_size", "in_pieces", "in_long_calls"),
    [
        (31, 10, 13_530, 13_530),  # 4 MiB of small steps are many
        (3 * 2**10, 128, 10, 16),  # so many steps, more than 4 MiB
        (16 * 2**10, 128, 2, 8),  # 16 MiB, fewer steps
        (20 * MIB, 1, 1, 1),  # a step alone is more
    ],
)
def test_a_chunk_holds_4_MiB_or_where_calls_are_long_16_steps_up_to_16_MiB(
    n_bytes, batch_size, in_pieces, in_long_calls
):
    n_chunks = 6
    for expected, long in ((in_pieces, False), (in_long_calls, True)):
        feed = Feed(Rows(n_chunks * expected * batch_size, n_bytes), batch_size, None, in_long_calls=long)
        assert feed.chunk_steps == expected
        chunks = list(feed.chunks(0)) if n_bytes < MIB else [next(feed.chunks(0))]
        assert chunks[0].batches.x.shape == (expected, batch_size, n_bytes)
        assert [chunk.first for chunk in chunks] == [i * expected for i in range(len(chunks))]


def test_an_epoch_that_is_short_is_one_chunk():
    assert Feed(Rows(7, 100), 2, None, in_long_calls=True).chunk_steps == 4
