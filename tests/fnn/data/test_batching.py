import jax
import numpy as np
import pytest

from fnn import InputError, batches
from fnn.data.batching import count_examples, to_host

X = np.arange(10, dtype=np.float32)


def test_every_example_once_in_an_order_of_the_key():
    seen = [np.concatenate([b.x for b in batches((X, X), 5, jax.random.key(seed))]) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(np.sort(seen[0]), X)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != seen[2]).any()
    assert (seen[0] != X).any()


def test_inputs_and_targets_stay_together():
    for batch in batches(({"a": X, "b": -X}, 2 * X), 3, jax.random.key(0)):
        np.testing.assert_array_equal(batch.y, 2 * batch.x["a"])
        np.testing.assert_array_equal(batch.x["b"], -batch.x["a"])


def test_the_last_batch_is_filled_up_with_weight_0():
    all_batches = list(batches((X, X), 4, jax.random.key(0)))
    assert [b.x.shape for b in all_batches] == [(4,)] * 3
    assert [b.weights.tolist() for b in all_batches] == [[1] * 4, [1] * 4, [1, 1, 0, 0]]
    counted = np.concatenate([b.x[b.weights > 0] for b in all_batches])
    np.testing.assert_array_equal(np.sort(counted), X)


def test_given_weights_are_kept_and_not_written_to():
    weights = np.full(10, 0.5, np.float32)
    *_, last = batches((X, X, weights), 4)
    np.testing.assert_array_equal(last.weights, [0.5, 0.5, 0, 0])
    np.testing.assert_array_equal(weights, np.full(10, 0.5))


@pytest.mark.parametrize("batch_size", [None, 10, 11])
def test_a_full_batch_is_the_data_in_their_order(batch_size):
    (batch,) = batches((X, X), batch_size, jax.random.key(0))
    np.testing.assert_array_equal(batch.x, X)
    assert batch.weights is None


def test_without_a_key_the_order_is_that_of_the_data():
    np.testing.assert_array_equal(np.concatenate([b.x for b in batches((X,), 5)]), X)


def test_refusals():
    with pytest.raises(
        InputError, match=r"^data: expected a whole number batch_size >= 1, or None for all, got batch_size == -3$"
    ):
        next(batches((X, X), -3))
    with pytest.raises(InputError, match=r"number of examples, got '\.x': \(10,\), '\.y': \(9,\)$"):
        count_examples(to_host((X, X[:9])))
    with pytest.raises(InputError, match=r"with the same number of examples"):
        count_examples(to_host((np.float32(3.0),)))
    with pytest.raises(InputError, match=r"^data: expected a tuple"):
        to_host((X, X, X, X))
