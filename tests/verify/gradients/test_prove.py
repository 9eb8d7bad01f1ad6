"""Verdicts: right gradients proved, wrong ones refuted with a witness, the rest told honestly."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from verify.gradients.prove import assert_gradient, prove_gradient, prove_hvp, prove_jvp

X = jnp.array([0.3, -1.2, 2.0])
SQUARE = jnp.asarray(np.random.default_rng(0).standard_normal((3, 3)), jnp.float32)


def with_rule(f, backward):
    """``f`` with a custom rule whose residuals are its arguments."""
    wrapped = jax.custom_vjp(f)
    wrapped.defvjp(lambda *args: (f(*args), args), backward)
    return wrapped


def network(params, x):
    hidden = jax.nn.relu(x @ params["w"] + params["b"])
    return -jnp.mean(jax.nn.log_softmax(hidden @ params["v"])[:, 0])


def attention(q, k, v):
    scores = jnp.where(jnp.tril(jnp.ones((3, 3), bool)), q @ k.T / jnp.sqrt(3.0), -jnp.inf)
    return jax.nn.softmax(scores) @ v


def recurrent(w, x):
    return lax.scan(lambda h, a: (jnp.tanh(w @ h + a), h), jnp.zeros(3), x)[1]


def newton_root(x):
    return lax.fori_loop(0, 4, lambda i, r: 0.5 * (r + x / r), x)


RIGHT = {
    "relu, kinked": (jax.nn.relu, X),
    "maximum with ties possible": (jnp.max, X),
    "root, steep at 0": (lambda x: jnp.sqrt(x), jnp.abs(X)),
    "norm, undefined at 0": (jnp.linalg.norm, X),
    "masked logsumexp": (lambda x: jax.nn.logsumexp(jnp.where(jnp.arange(3) < 2, x, -jnp.inf)), X),
    "absolute value": (jnp.abs, X),
    "double where": (lambda x: jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), 0.0), X),
    "median": (jnp.median, X),
    "sorted sum": (lambda x: jnp.sort(x)[1:].sum() * jnp.argmax(x), X),
    "exact gelu": (lambda x: jax.nn.gelu(x, approximate=False), X),
    "power of a variable": (lambda x: jnp.abs(x) ** x + 2.0**x, X),
    "fractional powers": (lambda x: jnp.abs(x) ** 0.7 + jnp.abs(x) ** -1.5 + jnp.cbrt(x), X),
    "layer norm": (nn.LayerNorm().bind({"params": {"scale": X, "bias": X}}), SQUARE),
    "attention": (lambda x: attention(x, 2 * x, x + 1), SQUARE),
    "recurrence": (lambda x: recurrent(x, SQUARE), SQUARE),
    "unrolled iteration": (newton_root, jnp.abs(X)),
    "branch": (lambda x: lax.cond(x[0] > 1, lambda v: v * v, jnp.sin, x), X),
    "dropout": (lambda x: x * jax.random.bernoulli(jax.random.key(0), 0.5, (3,)), X),
    "embedding": (lambda x: x[jnp.array([0, 2, 0])] ** 2, SQUARE),
    "integer steps": (lambda x: jnp.floor(x) * x + x % 2.0, X),
    "huber": (optax.losses.huber_loss, X),
    "sparsemax": (lambda x: optax.losses.sparsemax_loss(x, jnp.ones(3)), X),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_are_proved(name):
    f, x = RIGHT[name]
    proof = prove_gradient(f, x)
    assert proof.verdict == "PROVED", str(proof)
    assert proof.error is not None
    assert proof.error < 2.0**-46


WRONG = {
    "one branch": (lambda x: jnp.where(x > 2, x * x, x), lambda r, ct: (ct,)),
    "a far branch": (lambda x: jnp.where(x > 1000, x * x, x), lambda r, ct: (ct,)),
    "a branch of the rule alone": (jnp.sin, lambda r, ct: (ct * jnp.cos(r[0]) * jnp.where(r[0][1] < -40, 2.0, 1.0),)),
    "one entry": (jnp.sin, lambda r, ct: ((ct * jnp.cos(r[0])).at[1].multiply(1.1),)),
    "a tiny constant": (jnp.sin, lambda r, ct: (1.000001 * ct * jnp.cos(r[0]),)),
    "zero everywhere": (jnp.sin, lambda r, ct: (jnp.zeros(3),)),
    "no cotangent": (jnp.sin, lambda r, ct: (jnp.cos(r[0]),)),
    "only when cotangents differ": (jnp.sin, lambda r, ct: (jnp.mean(ct) * jnp.cos(r[0]),)),
    "nan behind where": (lambda x: jnp.where(x > 0, jnp.sqrt(jnp.abs(x)), 0.0), None),
    "a value for a slope": (jnp.tanh, lambda r, ct: (ct * (1 - r[0] ** 2),)),
    "loop run once too often": (
        lambda x: lax.fori_loop(0, 3, lambda i, c: c * x, x),
        lambda r, ct: (lax.fori_loop(0, 4, lambda i, c: c * r[0], ct),),
    ),
    "an approximation": (jnp.exp, lambda r, ct: (ct * (1 + r[0] + r[0] ** 2 / 2 + r[0] ** 3 / 6),)),
    "rounded": (lambda x: jnp.round(x) + 0.0 * x, lambda r, ct: (ct,)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_have_a_witness(name):
    f, backward = WRONG[name]
    proof = prove_gradient(
        lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0) if backward is None else with_rule(f, backward)(x), X
    )
    assert proof.verdict == "WRONG", str(proof)
    assert proof.witness is not None
    assert proof.witness.claimed != proof.witness.truth
    assert not proof.ok


def looks(f, backward, *args, **options):
    proof = prove_gradient(with_rule(f, backward), *args, **options)
    assert proof.witness is not None, str(proof)
    return proof.witness


def test_a_witness_names_leaf_and_entry():
    def backward(residuals, ct):
        a, b = residuals
        return ct @ b.T, (a.T @ ct).at[2, 1].set(0.0)

    witness = looks(lambda a, b: a @ b, backward, SQUARE, SQUARE + 1, argnums=(0, 1))
    assert (witness.leaf, witness.index) == ("args[1]", (2, 1))
    assert (witness.wrong, witness.looked_at) == (1, 9)
    assert (list(witness.wrong_leaves), list(witness.right_leaves)) == (["args[1]"], ["args[0]"])


@pytest.mark.parametrize(
    ("f", "backward", "x", "remark"),
    [
        (jnp.sin, lambda r, ct: (1.005 * ct * jnp.cos(r[0]),), X, "claimed / true = 201/200"),
        (jnp.sin, lambda r, ct: (-ct * jnp.cos(r[0]),), X, "claimed / true = -1"),
        (jnp.sin, lambda r, ct: (jnp.cos(r[0]),), X, "cotangent is dropped"),
        (jnp.sin, lambda r, ct: (ct**2 * jnp.cos(r[0]),), X, "not linear in the cotangent"),
        (jnp.sin, lambda r, ct: (0 * ct,), X, "is 0 at every input"),
        (jnp.sin, lambda r, ct: (ct * jnp.cos(r[0]) + 0.125,), X, "claimed - true = 1/8"),
        (lambda x: jnp.round(x), lambda r, ct: (ct,), X, "straight-through estimator"),
        (lambda x: x * 3, lambda r, ct: (3 * ct.T,), SQUARE, "transposed?"),
        (
            lambda x: jnp.exp(x) * jnp.sin(x),
            lambda r, ct: (ct * jnp.exp(r[0]) * jnp.cos(r[0]),),
            X,
            "the path through 'exp'",
        ),
    ],
)
def test_a_witness_says_what_the_error_looks_like(f, backward, x, remark):
    assert remark in "\n".join(looks(f, backward, x).looks)


def test_stopped_gradients_are_told():
    proof = prove_gradient(lambda x: x + lax.stop_gradient(jnp.round(x) - x), X)
    assert proof.verdict == "PROVED"
    assert "straight-through estimator: stop_gradient at test_prove.py" in str(proof)
    innocent = prove_gradient(lambda x: jnp.exp(x - lax.stop_gradient(x.max())) / jnp.exp(x - x.max()).sum(), X)
    assert "stop_gradient" in str(innocent)  # exp(-max) does not cancel here
    assert "stop_gradient" not in str(prove_gradient(jax.nn.logsumexp, X))


def test_a_rule_that_ignores_stop_gradient_is_told():
    def f(x):
        return x * lax.stop_gradient(x)

    proof = prove_gradient(with_rule(f, lambda r, ct: (2 * r[0] * ct,)), X)
    assert proof.verdict == "PROVED"
    assert "not obeyed" in str(proof)
    assert prove_gradient(with_rule(f, lambda r, ct: (3 * r[0] * ct,)), X).verdict == "WRONG"


def gelu(x):
    return 0.5 * x * (1 + jnp.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def gelu_backward(residuals, ct):
    (x,) = residuals
    root = jnp.sqrt(2 / jnp.pi)
    t = jnp.tanh(root * (x + 0.044715 * x**3))
    return (ct * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * root * (1 + 3 * 0.044715 * x**2)),)


def test_literal_rounding_is_not_a_bug_and_is_told():
    proof = prove_gradient(with_rule(gelu, gelu_backward), X)
    assert proof.verdict == "PROVED", str(proof)
    assert "literal rounding: 7.978846e-01 is read as sqrt(2/pi)" in str(proof)
    assert "literal rounding" not in str(prove_gradient(gelu, X))


def test_a_rounding_that_is_no_known_constant_is_certified():
    factor = float(np.float32(np.sqrt(3.7)))
    proof = prove_gradient(with_rule(lambda x: factor * x, lambda r, ct: (ct * 3.7 / factor,)), X)
    assert proof.verdict == "CERTIFIED", str(proof)
    assert "literal rounding" in str(proof)


def test_kinks_are_listed_with_their_convention():
    text = str(prove_gradient(lambda x: jax.nn.relu(x) + jnp.max(x) + jnp.abs(x), X))
    assert "kink: relu at test_prove.py" in text
    assert "JAX shares the gradient equally" in text
    assert "kink: abs" in text


def test_all_arguments_stand_for_all_values_unless_held():
    def loss(logits, labels):
        return -jnp.sum(labels * jax.nn.log_softmax(logits))

    rule = with_rule(loss, lambda r, ct: (ct * (jax.nn.softmax(r[0]) - r[1]), ct * -jax.nn.log_softmax(r[0])))
    labels = jnp.array([0.0, 1.0, 0.0])
    assert prove_gradient(rule, X, labels).verdict == "WRONG"
    held = prove_gradient(rule, X, labels, hold=(1,))
    assert held.verdict == "PROVED"
    assert "held at the values given: args[1]" in str(held)
    assert prove_gradient(rule, X, labels, argnums=1).verdict == "PROVED"


def test_a_forward_pass_that_computes_something_else_is_wrong():
    wrapped = jax.custom_vjp(lambda x: jnp.sin(x))
    wrapped.defvjp(lambda x: (jnp.sin(x) + 0.001 * x, x), lambda x, ct: (ct * jnp.cos(x),))
    proof = prove_gradient(wrapped, X)
    assert proof.verdict == "WRONG"
    assert "the rule's forward pass does not compute the function" in str(proof)
    other_formula = jax.custom_vjp(lambda x: jnp.sin(2 * x))
    other_formula.defvjp(lambda x: (2 * jnp.sin(x) * jnp.cos(x), x), lambda x, ct: (ct * 2 * jnp.cos(2 * x),))
    assert prove_gradient(other_formula, X).ok


def test_integers_are_told_to_keep_their_values():
    proof = prove_gradient(lambda x, n: x[n] ** 2, X, jnp.array([0, 2]))
    assert "held at the values given: args[1]" in str(proof)


def test_pytrees_and_argnums():
    params = {"w": SQUARE, "b": X, "v": SQUARE[:, :2]}
    proof = prove_gradient(network, params, SQUARE, argnums=(0, 1))
    assert proof.verdict == "PROVED"
    assert list(proof.leaves) == ["args[0]['b']", "args[0]['v']", "args[0]['w']", "args[1]"]
    assert prove_gradient(lambda x, n: x[n], X, 2).verdict == "PROVED"
    assert prove_gradient(lambda x: {"sum": x.sum(), "count": 3, "twice": 2 * x}, X).verdict == "PROVED"
    shapes = jax.ShapeDtypeStruct((3,), jnp.float32)
    assert prove_gradient(jnp.sin, shapes).verdict == "PROVED"


def test_bfloat16_and_float64_inputs():
    assert prove_gradient(jax.nn.gelu, X.astype(jnp.bfloat16)).verdict == "PROVED"
    with jax.enable_x64(True):
        assert prove_gradient(lambda x: jax.nn.gelu(x, approximate=False), jnp.ones(2, jnp.float64)).verdict == "PROVED"


def test_a_reference_replaces_the_forward_program():
    kernel = with_rule(lambda x: jnp.exp(2 * x), lambda r, ct: (ct * jnp.cos(r[0]),))
    assert prove_gradient(kernel, X).verdict == "WRONG"
    assert prove_gradient(kernel, X, reference=jnp.sin).verdict == "PROVED"


def test_jvp_rules():
    def rule(slope):
        f = jax.custom_jvp(lambda x, y: jnp.sin(x) * y)
        f.defjvp(lambda p, t: (f(*p), slope * jnp.cos(p[0]) * p[1] * t[0] + jnp.sin(p[0]) * t[1]))
        return f

    assert prove_jvp(rule(1.0), X, X + 1, argnums=(0, 1)).verdict == "PROVED"
    proof = prove_jvp(rule(0.5), X, X + 1, argnums=(0, 1))
    assert proof.verdict == "WRONG"
    assert proof.witness is not None
    assert proof.witness.leaf == "f(...)"


def test_hessian_vector_products():
    assert prove_hvp(lambda x: jax.nn.logsumexp(x * x[0]), X).verdict == "PROVED"

    square = jax.custom_jvp(lambda x: x**3)
    slope = jax.custom_jvp(lambda x: 3 * x**2)
    slope.defjvp(lambda p, t: (slope(*p), 5 * p[0] * t[0]))  # 6 x
    square.defjvp(lambda p, t: (square(*p), slope(*p) * t[0]))
    assert prove_jvp(square, X).verdict == "PROVED"
    proof = prove_hvp(lambda x: square(x).sum(), X)
    assert proof.verdict == "WRONG"
    assert "5/6" in str(proof)


def test_unsupported_names_the_primitive_and_the_line():
    proof = prove_gradient(lambda x: jnp.linalg.cholesky(x @ x.T), SQUARE)
    assert proof.verdict == "UNSUPPORTED"
    assert "primitive 'cholesky' at test_prove.py" in proof.reason
    assert not proof.ok


def test_what_is_finite_nowhere_is_inconclusive():
    proof = prove_gradient(lambda x: jnp.log(-jnp.abs(x)), X)
    assert proof.verdict == "INCONCLUSIVE"
    assert "finite at no point" in str(proof)


def test_a_relation_that_the_field_does_not_know_is_certified():
    proof = prove_gradient(with_rule(jnp.sin, lambda r, ct: (ct * jnp.sin(r[0] + jnp.pi / 2),)), X)
    assert proof.verdict == "CERTIFIED", str(proof)
    assert proof.bound is not None
    assert proof.bound < 2.0**-40
    assert "no relation" in str(proof)


def test_assert_gradient():
    assert_gradient(jnp.tanh, X)
    with pytest.raises(AssertionError, match="straight-through"):
        assert_gradient(with_rule(jnp.sign, lambda r, ct: (ct,)), X)
    with pytest.raises(AssertionError, match="UNSUPPORTED"):
        assert_gradient(jnp.linalg.cholesky, SQUARE)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: prove_gradient(jnp.sin, jnp.arange(3)), "no floating-point array to differentiate"),
        (lambda: prove_gradient(lambda x: x > 0, X), "returns no floating-point array"),
        (lambda: prove_gradient(jnp.sin, X, argnums=1), "names argument 1, but 1 arguments"),
        (lambda: prove_gradient(jnp.sin, "x"), "is not an array but str"),
        (lambda: prove_hvp(jnp.sin, X), "must return one number"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_the_same_call_gives_the_same_text():
    f = with_rule(jnp.sin, lambda r, ct: (ct,))
    assert str(prove_gradient(f, X)) == str(prove_gradient(f, X))


def test_a_square_under_a_root_is_positive():
    """sqrt(x^2) is |x|, also where x has a cube root of its own, and where float64 would not show it."""
    f = with_rule(
        lambda x: 1000 * jnp.cbrt(x) + 1e-3 * jnp.sqrt(x**2),
        lambda r, ct: (ct * (1000 / (3 * jnp.cbrt(r[0]) ** 2) + 1e-3),),
    )
    assert prove_gradient(f, -jnp.ones(3)).verdict == "WRONG"


def test_a_fractional_power_of_a_negative_number_is_no_number():
    f = with_rule(lambda x: 0.75 * x * jnp.cbrt(x), lambda r, ct: (ct * r[0] ** (1 / 3),))
    assert prove_gradient(f, -jnp.ones(3)).verdict == "WRONG"


def test_inputs_at_which_the_field_is_silent_are_enclosed():
    """A power with a variable exponent is formal for positive numbers only: the other branch counts all the same."""

    def forward(x, y):
        return jnp.where(x < 0, x, jnp.abs(x) ** y)

    @jax.custom_vjp
    def f(x, y):
        return forward(x, y)

    def backward(residuals, ct):
        x, y = residuals
        return jnp.where(x < 0, 2 * ct, ct * y * x ** (y - 1)), jnp.where(x < 0, 0.0, ct * x**y * jnp.log(x))

    f.defvjp(lambda x, y: (forward(x, y), (x, y)), backward)
    assert prove_gradient(f, -jnp.ones(3), jnp.array([2.1, 1.3, 0.4])).verdict == "WRONG"


def test_a_forward_pass_that_is_no_number_is_wrong():
    @jax.custom_vjp
    def f(x):
        return x * 1.0

    f.defvjp(lambda x: (x + 0 * jnp.log(-x * x), None), lambda residuals, ct: (ct,))
    assert prove_gradient(f, X).verdict == "WRONG"


def test_a_checkpointed_scan():
    @jax.checkpoint
    def f(x):
        return lax.scan(lambda carry, row: (jnp.tanh(carry * row), carry), jnp.ones(2), x)[0]

    assert prove_gradient(f, jnp.ones((3, 2))).verdict == "PROVED"


def test_what_whole_numbers_decide_is_told():
    table = jnp.arange(20.0)
    proof = prove_gradient(lambda x: table[jnp.clip(jnp.floor(x).astype(int), 0, 19)] * x, X)
    assert proof.verdict == "PROVED"
    assert "whole numbers computed from the inputs decide" in str(proof)


def test_a_proof_says_when_a_branch_was_not_reached():
    proof = prove_gradient(lambda x: jnp.where(jnp.exp(x) > 0, x, 2 * x), X)
    assert "is the derivative in the branches reached" in str(proof)
    assert "not reached" in str(proof)


def test_a_rule_wrong_in_a_band_or_for_one_winner_is_found():
    for wrong in (lambda x: (x > 5) & (x < 5.05), lambda x: jnp.argmax(x) == 2, lambda x: jnp.floor(x) == 3.0):
        f = with_rule(lambda x: x * 1.0, lambda r, ct, wrong=wrong: (jnp.where(wrong(r[0]), 2 * ct, ct),))
        assert prove_gradient(f, X).verdict == "WRONG"


def test_the_exponential_of_a_logarithm_is_positive():
    f = with_rule(lambda x: 1000 * x + 1e-3 * jnp.exp(jnp.log(-x)), lambda r, ct: (ct * (1000 + 1e-3),))
    assert prove_gradient(f, -jnp.ones(3)).verdict == "WRONG"
    f = with_rule(lambda x: 1000 * x + 1e-3 * jnp.exp(jnp.log(-x)), lambda r, ct: (ct * (1000 - 1e-3),))
    assert prove_gradient(f, -jnp.ones(3)).verdict == "PROVED"


def test_a_sample_on_a_kink_is_no_witness():
    """Short samples of a wide maximum are often equal somewhere; there JAX shares the gradient out."""
    x = jnp.ones((4, 500))
    for seed in range(3):
        assert prove_gradient(lambda x: jnp.max(x, axis=1) ** 2, x, seed=seed).verdict in ("PROVED", "INCONCLUSIVE")
