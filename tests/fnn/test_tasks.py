"""The table of slide 69 against the formulas of slide 68, computed in float64 from the activation's outputs."""

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, for_task, label_accuracy

LOGITS = jnp.array([[0.5, -1.0, 2.0], [-0.25, 0.0, 1.5]])
LABELS = jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])


def outputs(name, logits=LOGITS):
    return np.asarray(for_task(name).activation(logits), np.float64)


def test_regression_is_linear_with_squares():
    np.testing.assert_array_equal(outputs("regression"), LOGITS)
    expected = ((np.asarray(LOGITS) - LABELS) ** 2).mean(axis=1)
    np.testing.assert_allclose(for_task("regression").loss(LOGITS, LABELS), expected, rtol=1e-6)


def test_binary_and_multi_label_are_sigmoid_with_binary_cross_entropy():
    for name, logits, targets in (("binary", LOGITS[:, :1], LABELS[:, :1]), ("multi-label", LOGITS, LABELS)):
        p, t = outputs(name, logits), np.asarray(targets)
        np.testing.assert_allclose(p, 1 / (1 + np.exp(-np.asarray(logits))), rtol=1e-6)
        expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum(axis=1)
        np.testing.assert_allclose(for_task(name).loss(logits, targets), expected, rtol=1e-5)


def test_single_label_is_softmax_with_cross_entropy():
    p, classes = outputs("single-label"), np.array([2, 0], np.int32)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    task = for_task("single-label")
    np.testing.assert_allclose(task.loss(LOGITS, classes), -np.log(p[[0, 1], classes]), rtol=1e-5)
    np.testing.assert_array_equal(task.metrics["accuracy"](LOGITS, classes), [1, 0])


def test_label_accuracy_by_hand():
    np.testing.assert_allclose(label_accuracy(LOGITS, LABELS), [2 / 3, 2 / 3], rtol=1e-6)  # a logit of 0 is a no
    with pytest.raises(InputError, match=r"expected targets.shape == \(2, 3\)"):
        label_accuracy(LOGITS, LABELS[:, :1])


def test_unknown_task_names_the_nearest():
    with pytest.raises(InputError, match=r"got 'multilabel'; did you mean 'multi-label'\?$"):
        for_task("multilabel")
