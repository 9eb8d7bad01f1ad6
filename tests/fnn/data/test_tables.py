import numpy as np
import pytest

from fnn import DataError
from fnn.data import standardize
from fnn.data.tables import make_table

X = np.random.default_rng(0).normal([5, -1, 7], [2, 0.1, 0], (20, 3))
Y = np.arange(20) % 2


def test_standardized_by_the_training_part_alone():
    plain = make_table("t", (X, Y), (X[:4] + 1, Y[:4]), task="single-label", held_out=0.2, seed=0)
    data, standard = standardize(plain)
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(data.train.x.std(axis=0), [1, 1, 0], atol=1e-5)
    np.testing.assert_array_equal(data.test.x, standard.apply(plain.test.x))
    np.testing.assert_allclose(data.test.x[:, 2], 1)  # a constant column is only shifted


def test_shares_of_the_classes_are_kept():
    data = make_table("t", (X, Y), None, task="single-label", held_out=0.2, seed=0)
    assert np.bincount(data.test.y).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("x", "y", "task", "message"),
    [
        (X, Y[:5], "single-label", r"^t: expected as many inputs as targets, got shapes \(20, 3\) and \(5,\)$"),
        (X[:0], Y[:0], "single-label", r"^t: expected at least one example"),
        (X[:1], X[:1, 0], "regression", r"^t: expected at least two examples, to learn from and to test with"),
        (X, Y * np.nan, "regression", r"^t: expected finite numbers, got nan at y\[0\]$"),
        (X, 0 * Y, "single-label", r"^t: expected at least two classes, got only 0$"),
        (X, Y + 0.0, "single-label", r"^t: expected one integer per example as class, got float64"),
        (X, Y * 1000, "single-label", r"got class 1000 among 20 examples; to predict a number, set the task to regr"),
        (X, X[:, :1] * 1e300, "regression", r"^t, training data: expected finite numbers, got -?inf at y\["),
    ],
)
def test_refusals(x, y, task, message):
    with pytest.raises(DataError, match=message):
        make_table("t", (x, y), None, task=task, held_out=0.2, seed=0)
