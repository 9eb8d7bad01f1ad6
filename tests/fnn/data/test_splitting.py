import jax
import numpy as np
import pytest

from fnn import InputError
from fnn.data import from_grain, split

KEY = jax.random.key(3)
X = np.arange(103)
Y = np.repeat([0, 1, 2], [70, 30, 3])


@pytest.mark.parametrize("stratify", [False, True])
def test_parts_are_disjoint_cover_all_and_repeat(stratify):
    kept, held = split((X, Y), 0.25, KEY, stratify=stratify)
    assert len(held.x) == 26
    np.testing.assert_array_equal(np.sort(np.concatenate([kept.x, held.x])), X)
    assert (np.diff(kept.x) > 0).all()  # in the order of the data
    np.testing.assert_array_equal(held.y, Y[held.x])
    again, other = (split((X, Y), 0.25, key, stratify=stratify)[1].x for key in (KEY, jax.random.key(4)))
    np.testing.assert_array_equal(again, held.x)
    assert set(other) != set(held.x)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_stratified_shares_are_exact_up_to_one(share):
    _, held = split((X, Y), share, KEY, stratify=True)
    counts, exact = np.bincount(held.y, minlength=3), len(held.x) * np.bincount(Y) / len(Y)
    assert counts.sum() == round(share * 103)
    assert (np.abs(counts - exact) < 1).all()


def test_sources_give_sources():
    kept, held = split(from_grain([(x, y) for x, y in zip(X, Y, strict=True)]), 0.25, KEY, stratify=Y)
    whole_kept, whole_held = split((X, Y), 0.25, KEY, stratify=True)
    np.testing.assert_array_equal(held.take(np.arange(len(held))).x, whole_held.x)
    np.testing.assert_array_equal(kept.take(np.array([5, 1])).y, whole_kept.y[[5, 1]])


def test_refusals():
    for share in (0.0, 1.0, np.nan):
        with pytest.raises(InputError, match=r"^split: expected 0 < held_out < 1, got"):
            split((X,), share, KEY)
    with pytest.raises(InputError, match=r"^split: expected examples in both parts, got 0 held out of 103$"):
        split((X,), 0.001, KEY)
    with pytest.raises(InputError, match=r"103 integer classes to stratify by, got float64 of shape \(103,\)"):
        split((X, 0.5 * Y), 0.5, KEY, stratify=True)
    with pytest.raises(InputError, match=r"this source does not list its labels$"):
        split(from_grain([(1, 2)] * 9), 0.5, KEY, stratify=True)
