"""What others wrote and is right is never called wrong: a part of benchmarks/gradient_coverage.py."""

import importlib.util
from pathlib import Path

import flax.linen as nn
import pytest

from verify.gradients.prove import prove_gradient

SOURCE = Path(__file__).parents[2] / "benchmarks" / "gradient_coverage.py"


@pytest.fixture(scope="module")
def coverage():
    spec = importlib.util.spec_from_file_location("gradient_coverage", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unproved(cases):
    proofs = {name: prove_gradient(f, *args, **options) for name, f, args, options in cases}
    return {name: proof.verdict for name, proof in proofs.items() if proof.verdict != "PROVED"}


@pytest.mark.parametrize("group", ["jax.nn", "fnn"])
def test_every_function_is_proved(coverage, group):
    assert unproved(coverage.GROUPS[group]()) == {}


def test_losses_of_optax(coverage):
    few = {
        "log_cosh",
        "poly_loss_cross_entropy",
        "sigmoid_focal_loss",
        "multiclass_hinge_loss",
        "triplet_margin_loss",
        "cosine_similarity",
    }
    cases = [case for case in coverage.optax_losses() if case[0] in few]
    assert len(cases) == len(few)
    assert unproved(cases) == {}


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv(4, (3, 3), strides=2, kernel_dilation=2), (2, 6, 6, 3)),
        (nn.BatchNorm(use_running_average=False), (2, 3, 3, 2)),
        (nn.GroupNorm(2), (2, 3, 3, 4)),
        (nn.MultiHeadDotProductAttention(2, qkv_features=4), (1, 4, 4)),
        (nn.RNN(nn.LSTMCell(3)), (2, 3, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers_of_flax(coverage, layer, shape):
    assert unproved([coverage.module_case("layer", layer, coverage.normal(*shape))]) == {}
