"""Pictures: what is drawn in them, read back from the figures; and that a training's are all written."""

import sys

import jax
import numpy as np
import pytest

from fnn import InputError, cnn, load_digits, mlp
from fnn.data import toy
from fnn.data.dataset import Dataset
from fnn.plots import (
    confusion_matrix,
    decision_boundary,
    first_layer_filters,
    learning_curves,
    learning_rate_curve,
    misclassified,
    save,
    sweep_curve,
    write_plots,
)
from fnn.sweeping import Swept


def test_learning_curves_by_metric():
    history = [{"loss": 2.0, "accuracy": 0.5, "validation_loss": 3.0}, {"loss": 1.0, "accuracy": 0.75}]
    loss, accuracy = learning_curves(history).axes
    assert (loss.get_xlabel(), loss.get_ylabel(), accuracy.get_ylabel()) == ("epoch", "loss", "accuracy")
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [[1, 2.0], [2, 1.0]])
    np.testing.assert_array_equal(loss.lines[1].get_xydata(), [[1, 3.0]])  # what was not measured is not drawn


def test_learning_curves_of_several_runs_have_mean_and_spread():
    (axes,) = learning_curves({"loss": np.array([[1.0, 2.0], [3.0, np.nan]])}).axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [2.0, 2.0])
    corners = axes.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [2 - 2**0.5, 2 + 2**0.5])


def test_sweep_curve_leaves_diverged_runs_out_and_says_so():
    settings = {
        "learning_rate": np.array([0.1, 0.1, 1, 1, 10, 10]),
        "seed": np.array([0, 1] * 3),
    }
    swept = Swept(settings, {"loss": np.array([1.0, 2.0, 0.5, 0.5, 4.0, np.nan])}, 6)
    (axes,) = sweep_curve(swept, "loss").axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[0.1, 1.5], [1, 0.5], [10, 4.0]])
    assert len(axes.collections[1].get_offsets()) == 5
    assert axes.get_title() == "mean and standard deviation over 2 seeds; 1 diverged runs left out"
    assert axes.get_xscale() == "log"
    for arguments in (("los",), ("loss", "momentum")):
        with pytest.raises(InputError, match="sweep_curve: expected a "):
            sweep_curve(swept, *arguments)


def test_confusion_matrix_counts():
    labels, predicted = np.array([0, 0, 2, 2, 2]), np.array([0, 2, 2, 2, 0])
    axes = confusion_matrix(labels, predicted, ["a", "b", "c"]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["1", "0", "1", "0", "0", "0", "1", "0", "2"]
    np.testing.assert_allclose(axes.images[0].get_array()[2], [1 / 3, 0, 2 / 3])
    assert axes.get_title() == "2 of 5 wrong (40.00%)"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b", "c"]


def test_misclassified_shows_the_surest_first():
    images = np.arange(3 * 4 * 4, dtype=np.float32).reshape(3, 4, 4, 1)
    probabilities = np.array([[0.4, 0.6], [0.1, 0.9], [0.8, 0.2]])
    figure = misclassified(images, np.array([0, 0, 0]), probabilities, ["cat", "dog"])
    assert [axes.get_title() for axes in figure.axes] == ["cat, taken for dog\n90 %", "cat, taken for dog\n60 %"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), images[1, :, :, 0] / 47)
    right = misclassified(images, np.array([1, 1, 0]), probabilities)
    assert right.texts[0].get_text() == "None of 3 examples is misclassified."


def test_filters_of_dense_and_convolution():
    w = np.arange(12, dtype=np.float32).reshape(6, 2)
    figure = first_layer_filters({"00_dense": {"w": w}}, (3, 2, 1))
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), [[1, 3], [5, 7], [9, 11]])
    colours = np.zeros((3, 3, 3, 5), np.float32)
    colours[0, 1, 2, 4] = 1  # row 0, column 1 of the third channel
    drawn = first_layer_filters({"00_conv": {"w": colours}}, (8, 8, 3)).axes[4].images[0].get_array()
    assert drawn.shape == (3, 9)
    assert np.argwhere(drawn).tolist() == [[0, 2 * 3 + 1]]
    with pytest.raises(InputError, match=r"first_layer_filters: .* got shape \(5, 2\)"):
        first_layer_filters({"00_dense": {"w": np.ones((5, 2))}}, (3, 2, 1))


def test_decision_boundary_is_where_the_classes_are_equally_likely():
    def by_sum(x):
        p = 1 / (1 + np.exp(-4 * (x.sum(axis=1) - 0.5)))
        return np.stack([1 - p, p], axis=1)

    x, y, _ = toy.gauss(jax.random.key(0), 40, noise=0.1)
    axes = decision_boundary(by_sum, x, y, feature_names=("width", "height")).axes[0]
    lines = [path.vertices for part in axes.collections for path in part.get_paths() if len(path.vertices) > 50]
    assert lines
    for line in lines:
        np.testing.assert_allclose(line.sum(axis=1), 0.5, atol=1e-3)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")


def test_the_finders_curve_is_not_flattened_by_what_diverges():
    rates = np.geomspace(1e-4, 10, 6)
    axes = learning_rate_curve(rates, np.array([2.3, 2.2, 1.0, 1.5, 1e9, np.inf]), 1e-2).axes[0]
    assert 2.3 < axes.get_ylim()[1] < 10
    assert len(axes.lines[0].get_xdata()) == 5
    assert axes.get_legend().get_texts()[0].get_text() == "suggested: 0.01"


def test_a_training_writes_what_applies(tmp_path):
    digits = load_digits()
    model = cnn(10, n_channels=(4,), n_hidden=8)
    params, state = model.init(jax.random.key(0), digits.test.x)
    written = write_plots(tmp_path / "new", [{"loss": 1.0}], model, params, state, digits, suffix=".svg")
    names = ["learning_curves", "confusion_matrix", "misclassified", "first_layer_filters"]
    assert written == [tmp_path / "new" / f"{name}.svg" for name in names]
    assert all(b"<svg" in path.read_bytes() for path in written)
    points = toy.moons(jax.random.key(0), 20)
    moons = Dataset("moons", points, points, 2, 1.0)
    flat = mlp([4], 2)
    params, state = flat.init(jax.random.key(0), points.x)
    written = write_plots(tmp_path, [], flat, params, state, moons)
    assert [path.name for path in written] == ["confusion_matrix.png", "decision_boundary.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_bad_input(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"save: expected a path that ends in .png or .svg, got 'a.gif'"):
        save(learning_curves([{"loss": 1.0}]), "a.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="save: expected a path that can be written"):
        save(learning_curves([{"loss": 1.0}]), tmp_path / "file" / "a.png")
    with pytest.raises(InputError, match="learning_curves: expected at least one epoch"):
        learning_curves([])
    with pytest.raises(InputError, match="as many predictions as labels"):
        confusion_matrix(np.array([0, 1]), np.array([0]))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"^plots: expected matplotlib to be installed \(pip install 'fnn\[plot\]'\)"):
        learning_curves([{"loss": 1.0}])
