"""Samples in every branch that can be reached."""

import jax
import jax.numpy as jnp
import numpy as np

from verify.gradients.branches import cover, coverage_of, draw, short
from verify.gradients.statement import state

X = jnp.array([0.3, -1.2, 2.0])


def covered(f, *args, **options):
    statement = state("vjp", f, args, options.get("argnums", 0), options.get("hold", ()), None)
    return statement, *cover(statement, np.random.default_rng(0), most=10, tries=24)


def test_both_sides_of_every_entry():
    _, samples, coverage, _ = covered(jax.nn.relu, X)
    assert coverage.outcomes > 0
    assert coverage.unseen() == {}
    signs = np.array([sample.leaves[0] > 0 for sample in samples])
    assert signs.any(axis=0).all()
    assert not signs.all(axis=0).any()


def test_a_far_threshold_is_found():
    _, samples, coverage, _ = covered(lambda x: jnp.where(x[1] > 12345.0, x, 2 * x), X)
    assert coverage.unseen() == {}
    assert any(sample.leaves[0][1] > 12345.0 for sample in samples)


def test_what_cannot_be_reached_is_told_with_its_line():
    _, _, coverage, _ = covered(lambda x: jnp.where(jnp.exp(x) > 0, x, 2 * x), X)
    (line,) = coverage.unseen()
    assert line.startswith("test_branches.py:")


def test_constant_comparisons_do_not_count():
    _, _, coverage, _ = covered(lambda x: jnp.where(jnp.arange(3) < 1.5, x, 2 * x), X)
    assert coverage.outcomes == 0


def test_only_points_where_the_function_is_finite():
    _, samples, _, _ = covered(jnp.log, X)
    assert samples
    assert all((sample.leaves[0] > 0).all() for sample in samples)
    _, none, _, reason = covered(lambda x: jnp.sqrt(-jnp.exp(x)), X)
    assert none == []
    assert "finite at no point" in reason


def test_held_arguments_stay():
    _, samples, _, _ = covered(lambda x, y: x * jnp.maximum(y, 1.0), X, X + 1, hold=(1,))
    assert all(np.array_equal(sample.leaves[1], np.asarray(X + 1, float)) for sample in samples)


def test_samples_are_short_and_exact_in_float32():
    statement = state("vjp", jnp.sin, (X,), 0, (), None)
    for number in range(8):
        (leaf,) = draw(statement, np.random.default_rng(number), number).leaves
        assert np.array_equal(leaf, leaf.astype(np.float32).astype(float))
        assert (leaf != 0).all()
    assert short(np.array([1 / 3]), 2).tolist() == [0.375]


def test_coverage_of_fewer_samples_is_less():
    statement, samples, coverage, _ = covered(jax.nn.relu, X)
    assert sum(coverage_of(statement, samples[:1]).unseen().values()) > 0  # met once: what it is made of counts
    assert coverage_of(statement, samples).outcomes == coverage.outcomes


def test_a_narrow_band_between_two_comparisons_is_found():
    _, samples, coverage, _ = covered(lambda x: jnp.where((x > 5) & (x < 5.05), x, 2 * x), X[0])
    assert coverage.unseen() == {}
    assert any(5 < float(sample.leaves[0]) < 5.05 for sample in samples)


def test_conditions_on_whole_numbers_are_driven():
    for f in (
        lambda x: jnp.where(jnp.argmax(x) == 2, x, 2 * x),
        lambda x: jnp.where(jnp.sum(x > 0) == 3, x, 2 * x),
        lambda x: x * (jnp.floor(x) == 1.0),
    ):
        _, _, coverage, _ = covered(f, X)
        assert coverage.outcomes > 0
        assert coverage.unseen() == {}


def test_whole_numbers_are_varied():
    table = jnp.arange(8.0)
    _, samples, _, _ = covered(lambda x: table[jnp.argmax(x)] * x, jnp.linspace(1, -1, 8))
    assert len({int(np.argmax(sample.leaves[0])) for sample in samples}) >= 5


def test_a_comparison_with_a_huge_number_is_driven():
    _, samples, coverage, _ = covered(lambda x: jnp.where(x > 1e20, x, 2 * x), X)
    assert coverage.unseen() == {}
    assert any((sample.leaves[0] > 1e20).any() for sample in samples)
