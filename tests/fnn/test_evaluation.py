import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import InputError, accuracy, dense, dropout, evaluate, predict, serial
from fnn.losses import softmax_cross_entropy_with_integer_labels as cross_entropy


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(23, 4)).astype(np.float32), rng.integers(0, 3, 23).astype(np.int32)
    model = serial(dropout(0.9), dense(3))
    return (model, *model.init(jax.random.key(0), x), x, y)


@pytest.mark.parametrize("batch_size", [1, 7, 23, 512])
def test_outputs_and_means_do_not_depend_on_the_batch_size(trained, batch_size):
    model, params, state, x, y = trained
    logits = x @ np.asarray(params["01_dense"]["w"]) + np.asarray(params["01_dense"]["b"])
    np.testing.assert_allclose(predict(model, params, state, x, batch_size=batch_size), logits, rtol=1e-5, atol=1e-6)
    means = evaluate(model, params, state, (x, y), {"loss": cross_entropy, "accuracy": accuracy}, batch_size=batch_size)
    assert means["accuracy"] == pytest.approx(np.mean(logits.argmax(1) == y), abs=1e-12)
    assert means["loss"] == pytest.approx(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(23), y]), rel=1e-5)


def test_weights_make_a_weighted_mean(trained):
    model, params, state, x, y = trained
    weights = np.r_[np.ones(10), np.zeros(13)].astype(np.float32)
    some = evaluate(model, params, state, (x[:10], y[:10]), {"loss": cross_entropy})
    assert evaluate(model, params, state, (x, y, weights), {"loss": cross_entropy}) == pytest.approx(some, rel=1e-6)


def test_what_is_no_metric_and_no_weight(trained):
    model, params, state, x, y = trained
    with pytest.raises(InputError, match=r"^evaluate: expected mean to give one number per example, got \(\)"):
        evaluate(model, params, state, (x, y), {"mean": lambda outputs, y: outputs.mean()})
    with pytest.raises(InputError, match=r"^evaluate: expected weights of at least 0 and not all 0"):
        evaluate(model, params, state, (x, y, np.zeros(23, np.float32)), {"loss": cross_entropy})
    with pytest.raises(InputError, match=r"^evaluate: expected one weight per example"):
        evaluate(model, params, state, (x, y, np.ones((23, 2), np.float32)), {"loss": cross_entropy})


def test_no_examples_and_unfit_examples(trained):
    model, params, state, *_ = trained
    with pytest.raises(InputError, match=r"^data: expected at least one example, got none$"):
        predict(model, params, state, jnp.ones((0, 4)))
    with pytest.raises(InputError, match=r"^dense: expected x.shape"):
        predict(model, params, state, jnp.ones((2, 5)))
