"""The oracle on the library: the gradient of each layer that adds up or loops, proved to be its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn.lowering import canonical
from verify import prove_gradient

RNG = np.random.default_rng(0)
VECTORS, SEQUENCES, IMAGES = (
    jnp.asarray(RNG.normal(size=shape), jnp.float32) for shape in ((3, 4), (2, 3, 4), (2, 2, 2, 4))
)
MASK = jnp.array([[True, True, False], [True, True, True]])

CASES = {
    "layer_norm": (fnn.layer_norm(), VECTORS, False),
    "group_norm": (fnn.group_norm(2), VECTORS, False),
    "batch_norm, training": (fnn.batch_norm(), VECTORS, True),
    "batch_norm, evaluation": (fnn.batch_norm(), VECTORS, False),
    "parametric_relu": (fnn.parametric_relu(), VECTORS, False),
    "global_average_pool": (fnn.global_average_pool(), IMAGES, False),
    "global_max_pool": (fnn.global_max_pool(), IMAGES, False),
    "conv": (fnn.conv(2, (2, 2)), IMAGES, False),
    "conv, few taps": (fnn.conv(17, (2, 2)), IMAGES[..., :1], False),
    "max_pool": (fnn.max_pool((2, 1)), IMAGES, False),
    "average_pool": (fnn.average_pool((1, 2)), IMAGES, False),
    "upsample": (fnn.upsample(), IMAGES, False),
    "residual": (fnn.residual(fnn.dense(4), fnn.tanh), VECTORS, False),
    "parallel": (fnn.parallel(fnn.dense(2), fnn.relu), VECTORS, False),
    "position_embedding": (fnn.position_embedding(3), SEQUENCES, False),
    "lstm": (fnn.lstm(2), SEQUENCES, False),
    "gru": (fnn.gru(2), SEQUENCES, False),
    "self_attention": (fnn.self_attention(2, causal=True), SEQUENCES, False),
}


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_proved(name):
    model, x, train = CASES[name]
    params, state = model.init(jax.random.key(0), x)
    proof = prove_gradient(lambda p, x: model.apply(p, state, x, train=train)[0], params, x, argnums=(0, 1))
    assert proof.verdict == "PROVED", proof


def test_masked_attention_and_embedding_are_proved():
    attention = fnn.self_attention(1)
    params, state = attention.init(jax.random.key(0), SEQUENCES)
    proof = prove_gradient(lambda p, x: attention.apply(p, state, (x, MASK))[0], params, SEQUENCES, argnums=(0, 1))
    assert proof.verdict == "PROVED", proof
    lookup, tokens = fnn.embedding(3, 2), jnp.array([[2, 0], [2, 1]])
    params, state = lookup.init(jax.random.key(0), tokens)
    proof = prove_gradient(lambda p: lookup.apply(p, state, tokens)[0], params)
    assert proof.verdict == "PROVED", proof


@pytest.mark.parametrize("name", ["conv", "conv, few taps", "lstm", "batch_norm, training"])
def test_gradient_as_training_on_a_cpu_computes_it_is_proved(name):
    # fit carries out each step in another form; the gradient of that form is the one that is proved here.
    model, x, train = CASES[name]
    params, state = model.init(jax.random.key(0), x)

    def forward(params, x):
        return model.apply(params, state, x, train=train)[0]

    rule = jax.custom_vjp(forward)
    rule.defvjp(
        lambda *inputs: (forward(*inputs), inputs),
        lambda inputs, g: canonical(lambda inputs, g: jax.vjp(forward, *inputs)[1](g))(inputs, g),
    )
    proof = prove_gradient(rule, params, x, argnums=(0, 1))
    assert proof.verdict == "PROVED", proof
