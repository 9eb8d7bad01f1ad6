import grain
import jax
import numpy as np
import optax
import pytest

from fnn import DataError, InputError, dense, fit, mean_squared_error, supervised
from fnn.data import as_source, from_grain


@pytest.fixture
def squares():
    return grain.MapDataset.range(10).map(lambda i: {"x": np.full(2, i, np.float32), "y": np.float32([i * i])})


def test_records_of_grain_by_number(squares):
    source = as_source(from_grain(squares))
    assert len(source) == 10
    batch = source.take(np.array([7, 2]))
    assert (batch.x.tolist(), batch.y.tolist(), batch.weights) == ([[7, 7], [2, 2]], [[49], [4]], None)
    shuffled = from_grain(squares.shuffle(seed=1))
    rows = np.arange(10)
    assert sorted(shuffled.take(rows).x[:, 0].tolist()) == rows.tolist()


def test_trains_as_arrays_do(squares):
    whole = from_grain(squares).take(np.arange(10))
    model = dense(1)
    start = model.init(jax.random.key(0), whole.x)
    objective = supervised(model, mean_squared_error)
    trained = [
        fit(objective, optax.sgd(1e-3), *start, data, key=jax.random.key(1), n_epochs=2, batch_size=4).params
        for data in (from_grain(squares), (whole.x, whole.y))
    ]
    jax.tree.map(np.testing.assert_array_equal, *trained)


def test_tuples_weights_and_inputs_alone():
    batch = from_grain([(1.0, 2.0, 0.5), (3.0, 4.0, 1.0)]).take(np.array([1, 0]))
    assert [part.tolist() for part in batch] == [[3, 1], [4, 2], [1, 0.5]]
    alone = from_grain([{"image": np.zeros(3), "w": 2}], x="image", y=None, weights="w").take(np.array([0]))
    assert (alone.x.shape, alone.y, alone.weights.tolist()) == ((1, 3), None, [2])


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"x": 1, "label": 2}], r"^record 0: no 'y'; it has 'x', 'label'$"),
        ([1.0], r"^record 0: expected \(x, y\), \(x, y, weight\) or a mapping, got float$"),
        ([(np.zeros(2), 1), (np.zeros(3), 1)], r"^record 1: expected shapes \(\(2,\), \(\), .* like record 0, got"),
        ([({"a": 1}, 1), ({"b": 1}, 1)], r"^record 1: expected"),
        ([("cat", 1), ("dog", 1)], r"^record 0: expected numbers as x, got <U3$"),
    ],
)
def test_bad_records_are_named(records, message):
    with pytest.raises(DataError, match=message):
        from_grain(records).take(np.arange(len(records)))


def test_refusals(squares):
    with pytest.raises(DataError, match=r"^record 0: .* got nothing; a filtered data set has gaps$"):
        from_grain(squares.filter(lambda record: record["x"][0] > 4)).take(np.array([0]))
    with pytest.raises(InputError, match=r"is it repeated without end\?$"):
        from_grain(squares.repeat())
    with pytest.raises(InputError, match=r"^from_grain: expected from 1 to 2147483647 records, got none$"):
        from_grain([])
    with pytest.raises(InputError, match=r"records with a length, by number, got \w*IterDataset$"):
        from_grain(squares.to_iter_dataset())
