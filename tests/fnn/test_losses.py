from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import (
    InputError,
    accuracy,
    half_squared_error,
    mean_squared_error,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)

LOSSES = [
    mean_squared_error,
    half_squared_error,
    softmax_cross_entropy,
    sigmoid_binary_cross_entropy,
]
EXTREME = [-3e38, -1e4, -100.0, 0.0, 100.0, 1e4, 3e38]


@partial(jax.jit, static_argnums=0)
def losses_and_slope(loss, outputs, targets):
    """The loss of each example, and the gradient of their sum; compiled as one, which is quicker than step by step."""
    return loss(outputs, targets), jax.grad(lambda outputs: loss(outputs, targets).sum())(outputs)


def test_squared_errors_by_hand():
    outputs, targets = jnp.array([[1.0, 2.0], [0.0, -1.0]]), jnp.array([[0.0, 4.0], [3.0, -1.0]])
    np.testing.assert_array_equal(mean_squared_error(outputs, targets), [2.5, 4.5])
    np.testing.assert_array_equal(half_squared_error(outputs, targets), [2.5, 4.5])
    np.testing.assert_array_equal(mean_squared_error(outputs[:, 0], targets[:, 0]), [1, 9])
    np.testing.assert_array_equal(half_squared_error(outputs[:, :, None], targets[:, :, None]), [2.5, 4.5])


def test_cross_entropies_by_hand():
    logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
    expected = [np.log(4), -np.log(0.7)]
    np.testing.assert_allclose(
        softmax_cross_entropy_with_integer_labels(logits, jnp.array([1, 2])), expected, rtol=1e-6
    )
    np.testing.assert_allclose(softmax_cross_entropy(logits, jnp.eye(3)[jnp.array([1, 2])]), expected, rtol=1e-6)
    soft = softmax_cross_entropy(logits[:1], jnp.array([[0.5, 0.5, 0.0]]))
    np.testing.assert_allclose(soft, [(np.log(2) + np.log(4)) / 2], rtol=1e-6)
    # sigmoid(log 3) = 3/4
    logits, targets = jnp.log(jnp.array([[3.0, 3.0]])), jnp.array([[1.0, 0.0]])
    np.testing.assert_allclose(sigmoid_binary_cross_entropy(logits, targets), [-np.log(0.75) - np.log(0.25)], rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_agrees_with_differences(loss, check_gradient):
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(4, 3))
    check_gradient(lambda outputs: loss(outputs, jnp.asarray(rng_targets, outputs.dtype)), outputs)


rng_targets = np.random.default_rng(1).dirichlet(np.ones(3), size=4)


def test_gradient_with_integer_labels(check_gradient):
    labels = np.array([0, 2, 1, 2])
    outputs = np.random.default_rng(0).normal(size=(4, 3))
    check_gradient(lambda outputs: softmax_cross_entropy_with_integer_labels(outputs, labels), outputs)


def test_softmax_cross_entropy_for_every_finite_logit():
    # At -20 a plain log-sum-exp of float32 gives 0 for a loss of 2e-9.
    values = np.array([*EXTREME[1:-1], -40.0, -20.0, -8.0, -1e-3, 1e-3, 8.0, 20.0], np.float32)
    logits = jnp.stack([values, jnp.zeros_like(values)], axis=1)
    # log(1 + e^value) in double precision, the loss of the second class
    exact = np.logaddexp(0.0, values.astype(np.float64))
    p = np.exp(values - exact)
    second = jnp.ones(len(values), int)
    for loss, targets in (
        (softmax_cross_entropy_with_integer_labels, second),
        (softmax_cross_entropy, jnp.stack([1 - second, second], axis=1).astype(jnp.float32)),
    ):
        losses, slope = losses_and_slope(loss, logits, targets)
        np.testing.assert_allclose(losses, exact, rtol=1e-6, atol=1e-37)
        np.testing.assert_allclose(slope, np.stack([p, -p], axis=1), atol=1e-7)


def test_sigmoid_binary_cross_entropy_for_every_finite_logit():
    logits = jnp.array(EXTREME)
    double = np.asarray(logits, np.float64)
    for target in (0.0, 1.0, 0.3):
        targets = jnp.full(logits.shape, target)
        exact = target * np.logaddexp(0, -double) + (1 - target) * np.logaddexp(0, double)
        losses, slope = losses_and_slope(sigmoid_binary_cross_entropy, logits, targets)
        np.testing.assert_allclose(losses, exact, rtol=1e-6, atol=1e-37)
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(slope, 1 / (1 + np.exp(-double)) - target, atol=1e-7)


def test_a_class_of_target_zero_may_be_ruled_out():
    logits, targets = jnp.array([[0.0, -jnp.inf, 0.0]]), jnp.array([[1.0, 0.0, 0.0]])
    loss, slope = jax.value_and_grad(lambda z: softmax_cross_entropy(z, targets)[0])(logits)
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(slope, [[-0.5, 0, 0.5]], rtol=1e-6)


@pytest.mark.parametrize("label", [-1, 3, 2**31 - 1])
def test_a_class_out_of_range_is_not_a_number(label):
    losses = softmax_cross_entropy_with_integer_labels(jnp.zeros((2, 3)), jnp.array([1, label]))
    assert jnp.isfinite(losses[0])
    assert jnp.isnan(losses[1])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("outputs", "targets"),
    [((5, 1), (5,)), ((5,), (5, 1)), ((5, 3), (3,)), ((5, 3), (1, 3)), ((5, 3), (5, 1)), ((), ())],
)
def test_never_broadcasts(loss, outputs, targets):
    with pytest.raises(InputError, match=rf"^{loss.__name__}: expected .*shape|batch axis"):
        loss(jnp.zeros(outputs), jnp.zeros(targets))


@pytest.mark.parametrize("function", [softmax_cross_entropy_with_integer_labels, accuracy])
@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (
            jnp.zeros((5, 3)),
            jnp.zeros(4, int),
            r"labels.shape == \(5,\) \(one per example\), got labels.shape == \(4,\)",
        ),
        (jnp.zeros((5, 3)), jnp.zeros((5, 1), int), r"labels.shape == \(5,\) .*, got labels.shape == \(5, 1\)"),
        (jnp.zeros((5, 3)), jnp.zeros(5), "labels of an integer dtype, got float32"),
        (jnp.zeros(5), jnp.zeros(5, int), r"logits of shape \(batch, classes\), got logits.shape == \(5,\)"),
        (jnp.zeros((5, 0)), jnp.zeros(5, int), r"logits of shape \(batch, classes\), got logits.shape == \(5, 0\)"),
        (jnp.zeros((5, 3), int), jnp.zeros(5, int), "logits of a floating-point dtype, got int32"),
    ],
)
def test_unfit_labels_and_logits(function, logits, labels, message):
    with pytest.raises(InputError, match=f"^{function.__name__}: expected {message}$"):
        function(logits, labels)


def test_integer_targets_of_an_error_are_refused():
    with pytest.raises(
        InputError, match=r"^mean_squared_error: expected targets of a floating-point dtype, got int32$"
    ):
        mean_squared_error(jnp.zeros(3), jnp.zeros(3, int))


def test_accuracy_by_hand():
    hits = accuracy(jnp.array([[1.0, 2.0], [5.0, 5.0], [0.0, 1.0]]), jnp.array([1, 0, 0], jnp.uint8))
    np.testing.assert_array_equal(hits, [1, 1, 0])


@pytest.mark.parametrize(("dtype", "n_classes"), [(jnp.uint8, 256), (jnp.uint8, 300), (jnp.int8, 128)])
def test_small_integers_name_any_class(dtype, n_classes):
    top = int(jnp.iinfo(dtype).max)
    logits = jnp.zeros((2, n_classes)).at[0, min(top + 4, n_classes - 1)].set(9.0).at[1, top].set(9.0)
    labels = jnp.array([3, top])
    narrow = labels.astype(dtype)
    np.testing.assert_array_equal(accuracy(logits, narrow), accuracy(logits, labels))
    function = softmax_cross_entropy_with_integer_labels
    np.testing.assert_array_equal(function(logits, narrow), function(logits, labels))
    assert np.isfinite(function(logits, labels)).all()


def test_a_batch_of_none_has_no_losses():
    assert mean_squared_error(jnp.ones((0, 3)), jnp.ones((0, 3))).shape == (0,)
