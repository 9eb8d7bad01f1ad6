import jax.numpy as jnp
import numpy as np
import pytest

from fnn import DataError, InputError
from fnn.data import as_source
from fnn.types import Batch

X = np.arange(12, dtype=np.uint8).reshape(4, 3)


def test_rows_in_the_order_asked_for_in_their_own_dtype():
    source = as_source(({"a": X, "b": 2.0 * X}, X[:, 0], np.ones(4, np.float32)))
    assert len(source) == 4
    batch = source.take(np.array([3, 0, 3]))
    assert isinstance(batch, Batch)
    np.testing.assert_array_equal(batch.x["a"], X[[3, 0, 3]])
    np.testing.assert_array_equal(batch.x["b"], 2.0 * X[[3, 0, 3]])
    assert (batch.x["a"].dtype, batch.y.tolist(), batch.weights.tolist()) == (np.uint8, [9, 0, 9], [1, 1, 1])


def test_what_is_taken_is_a_copy():
    source = as_source((X,))
    source.take(np.arange(4)).x[:] = 0
    np.testing.assert_array_equal(source.take(np.arange(4)).x, X)


def test_transposed_and_device_arrays_serve():
    source = as_source((X.T, jnp.arange(3)))
    np.testing.assert_array_equal(source.take(np.array([2])).x, X.T[[2]])
    assert source.whole.x.flags.c_contiguous


def test_a_source_is_taken_as_it_is():
    source = as_source((X,))
    assert as_source(source) is source


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X, r"^fit: expected a tuple \(x, y\) or \(x, y, weights\), or a source, got ndarray$"),
        (jnp.zeros(3), r"or a source, got ArrayImpl"),
        ([X, X], r"or a source, got list$"),
        ((X[:0], X[:0]), r"at least one example, got none$"),
        ((X, X[:2]), r"the same number of examples"),
        ((X, X, -np.ones(4)), r"^fit: expected weights of at least 0"),
    ],
)
def test_refusals(data, message):
    with pytest.raises(InputError, match=message):
        as_source(data, "fit")


def test_nan_and_empty_sources_are_refused():
    with pytest.raises(DataError, match=r"^fit: expected finite numbers, got nan at x\[1, 0\]$"):
        as_source((np.array([[1.0], [np.nan]]),), "fit")

    class Empty:
        def __len__(self):
            return 0

        def take(self, rows):
            return Batch(rows)

    with pytest.raises(InputError, match=r"^data: expected at least one example, got none$"):
        as_source(Empty())
