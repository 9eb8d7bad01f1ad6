"""Conditions on several comparisons, in loops and branches and as products of masks: driven, or told."""

import jax
import jax.numpy as jnp
from jax import lax

from verify.gradients.choices import choices
from verify.gradients.prove import prove_gradient
from verify.gradients.trace import trace


def sine(factor):
    """The sine, with a rule that takes ``factor`` of the cosine."""
    f = jax.custom_vjp(jnp.sin)
    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (ct * jnp.cos(x) * factor(x),))
    return f


def band(x):
    return jnp.where((x > 5) & (x < 5.5), 0.0, 1.0)


def summed(f):
    return lambda x: lax.scan(lambda total, v: (total + f(v), None), 0.0, x)[0]


def test_a_band_inside_a_scan_is_driven():
    assert prove_gradient(summed(sine(band)), jnp.ones(3)).verdict == "WRONG"
    right = prove_gradient(summed(jnp.sin), jnp.ones(3))
    assert right.verdict == "PROVED"
    assert "in the branches reached" not in str(right)


def test_a_band_inside_a_while_loop_is_driven():
    def factor(x):
        return lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] * band(x)), (0, 1.0))[1]

    assert prove_gradient(sine(factor), 1.0).verdict == "WRONG"


def test_a_condition_carried_through_a_loop_is_found():
    def f(x):
        last, _ = lax.scan(lambda inside, v: (inside & (v < 5.5), None), x[0] > 5, x)
        return jnp.where(last, x, 0.0)

    assert choices(trace(f, jnp.ones(3))).conditions


def test_a_loop_that_only_counts_has_no_conditions():
    def f(x):
        return lax.fori_loop(0, 3, lambda i, y: jnp.where((i > 0) & (i < 2), y, 2 * y), x)

    study = choices(trace(f, 1.0))
    assert not study.conditions
    assert not study.products


def test_a_comparison_in_a_branch_that_is_met_once_is_driven_or_told():
    def factor(upper):
        def inner(x):
            return lax.cond(x < upper, lambda: 0.0, lambda: 1.0)

        return lambda x: lax.cond(x > 5, inner, lambda x: 1.0, x)

    wide, narrow = (prove_gradient(sine(factor(upper)), 1.0) for upper in (5.5, 5.0625))
    for proof in (wide, narrow):
        assert proof.verdict == "WRONG" or (proof.unseen and "in the branches reached" in str(proof)), str(proof)


def test_masks_that_are_multiplied_are_told_with_their_line():
    def masks(x):
        return 1 - jnp.where(x > 5, 1.0, 0.0) * jnp.where(x < 5.05, 1.0, 0.0)

    proof = prove_gradient(sine(masks), 1.0)
    assert proof.verdict == "WRONG" or "in the branches reached" in str(proof), str(proof)
    assert "masks are multiplied at" in str(proof)
    assert "are not driven jointly" in str(proof)


def test_a_long_exponent_is_a_literal_rounding():
    f = jax.custom_vjp(lambda x: x ** (1 / 3))
    third, rest = jnp.float32(1 / 3), jnp.float32(-2 / 3)
    f.defvjp(lambda x: (x ** (1 / 3), x), lambda x, ct: (ct * third * x**rest,))
    proof = prove_gradient(f, 1.0)
    assert proof.verdict == "PROVED", str(proof)
    assert "literal rounding: 3.3333334e-01 is read as 1/3" in str(proof)
