"""Enclosures of both sides, and the search for the entry that is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb

from verify.gradients.branches import draw
from verify.gradients.enclosure import Enclosed, enclose, one
from verify.gradients.statement import state
from verify.gradients.witness import agrees_with_jax, find


def rule(backward):
    wrapped = jax.custom_vjp(lambda w, x: jnp.tanh(w @ x))
    wrapped.defvjp(lambda w, x: (jnp.tanh(w @ x), (w, x)), backward)
    return wrapped


def backward(residuals, ct, factor=1.0):
    w, x = residuals
    slope = ct * (1 - jnp.tanh(w @ x) ** 2)
    return (slope[:, None] * x).at[1, 2].multiply(factor), slope @ w


def example(factor):
    f = rule(lambda residuals, ct: backward(residuals, ct, factor))
    statement = state("vjp", f, (jnp.ones((2, 3)), jnp.ones(3)), (0, 1), (), None)
    return statement, draw(statement, np.random.default_rng(0), 1)


def test_right_sides_agree_and_wrong_ones_are_apart():
    for factor, wrong in ((1.0, False), (1.25, True), (1.0000001, True)):
        statement, sample = example(factor)
        enclosed = enclose(statement, sample, list(sample.weights), hold_stopped=True)
        assert enclosed is not None
        assert enclosed.apart is wrong
        assert enclosed.agree is not wrong


@pytest.mark.parametrize("factor", [1.25, 1.0000001, 0.0])
def test_the_wrong_entry_is_found(factor):
    statement, sample = example(factor)
    assert find(statement, sample, hold_stopped=True) == (0, (1, 2))


def test_nothing_is_found_where_nothing_is_wrong():
    statement, sample = example(1.0)
    assert find(statement, sample, hold_stopped=True) is None


def test_a_witness_must_be_borne_out_by_jax():
    statement, sample = example(1.25)
    weights = one(statement.targets, 0, (1, 2))
    enclosed = enclose(statement, sample, weights, hold_stopped=True)
    assert enclosed is not None
    assert agrees_with_jax(statement, sample, 0, (1, 2), enclosed)
    misread = Enclosed(enclosed.claimed * 2, enclosed.truth)
    assert not agrees_with_jax(statement, sample, 0, (1, 2), misread)


def test_enclosed():
    assert Enclosed(arb(1), arb(2)).apart
    assert Enclosed(arb.nan(), arb(2)).apart
    assert not Enclosed(arb(1), arb.nan()).apart
    assert not Enclosed(arb(1, 0.5), arb(1.25)).apart
    assert not Enclosed(arb(1, 0.5), arb(1.25)).agree
    assert Enclosed(arb(1), arb(1)).agree
    assert Enclosed(arb(1.5), arb(1)).bound() == pytest.approx(0.5)
