import jax
import numpy as np
import pytest

from fnn import InputError, toy

SETS = [toy.xor, toy.circle, toy.spiral, toy.gauss, toy.moons]


@pytest.mark.parametrize("make", SETS)
def test_the_key_decides_and_classes_are_balanced(make):
    batch = make(jax.random.key(3), 40, noise=0.1)
    assert batch.x.shape == (40, 2)
    assert (batch.x.dtype, batch.y.dtype) == (np.float32, np.int32)
    assert batch.y.sum() == 20
    np.testing.assert_array_equal(batch.x, make(jax.random.key(3), 40, noise=0.1).x)
    assert not np.array_equal(batch.x, make(jax.random.key(4), 40, noise=0.1).x)


@pytest.mark.parametrize("make", SETS)
def test_noise_has_the_stated_deviation(make):
    still, moved = make(jax.random.key(0), 4000, noise=0.0), make(jax.random.key(0), 4000, noise=0.2)
    assert float((moved.x - still.x).std()) == pytest.approx(0.2, rel=0.05)
    np.testing.assert_array_equal(still.y, moved.y)


@pytest.mark.parametrize("make", SETS)
def test_unfit_arguments(make):
    name = make.__name__
    with pytest.raises(InputError, match=rf"^{name}: expected n even and at least 2, got n == 3$"):
        make(jax.random.key(0), 3)
    with pytest.raises(InputError, match=rf"^{name}: expected noise >= 0, got noise == -1$"):
        make(jax.random.key(0), 4, noise=-1)


def test_gates_are_their_definition():
    definitions = {
        "and": lambda a, b: a and b,
        "nand": lambda a, b: not (a and b),
        "or": lambda a, b: a or b,
        "nor": lambda a, b: not (a or b),
        "xor": lambda a, b: a != b,
        "xnor": lambda a, b: a == b,
    }
    for name, definition in definitions.items():
        x, y, _ = toy.logic_gate(name)
        assert [bool(out) for out in y[:, 0]] == [bool(definition(bool(a), bool(b))) for a, b in x]
    with pytest.raises(InputError, match=r"^logic_gate: expected one of and, nand, or, nor, xor, xnor, got 'not'$"):
        toy.logic_gate("not")


def test_patterns_are_what_they_are_called():
    x, y, _ = toy.patterns()
    assert len({image.tobytes() for image in x}) == 8
    for (a, b), (c, d), label in zip(x[:, 0, :, 0], x[:, 1, :, 0], y, strict=True):
        same = {"solid": a == b == c == d, "vertical": a == c != b == d, "diagonal": a == d != b == c}
        same["horizontal"] = a == b != c == d
        assert [name for name in toy.PATTERNS if same[name]] == [toy.PATTERNS[label]]
