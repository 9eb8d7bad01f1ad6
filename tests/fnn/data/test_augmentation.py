import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import ndimage

from fnn import InputError, dense, fit, flatten, mean_squared_error, serial, supervised
from fnn.data import (
    augmented,
    compose,
    cutout,
    random_affine,
    random_crop,
    random_flip,
    random_rotation,
    random_shift,
)

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.uniform(1, 2, (200, 6, 5, 2)).astype(np.float32)
BYTES = RNG.integers(1, 256, (200, 6, 5, 2), np.uint8)


def places(original, result, room):
    """Where each result is a window of its image, put into a frame of zeros: exactly one place each."""
    n, height, width, _ = result.shape
    frame = np.pad(original, ((0, 0), (room, room), (room, room), (0, 0)))
    found = []
    for image, window in zip(frame, result, strict=True):
        rows, columns = image.shape[0] - height + 1, image.shape[1] - width + 1
        match = [
            (i, j)
            for i in range(rows)
            for j in range(columns)
            if np.array_equal(image[i : i + height, j : j + width], window)
        ]
        assert len(match) == 1
        found += match
    assert len(found) == n
    return found


@pytest.mark.parametrize("x", [X, BYTES])
def test_shift_moves_each_image_by_itself_and_all_ways(x):
    shifted = jax.jit(random_shift(1))(KEY, jnp.asarray(x))
    assert shifted.dtype == x.dtype
    found = places(x, np.asarray(shifted), 1)
    counts = [found.count((i, j)) for i in range(3) for j in range(3)]
    assert min(counts) > 10
    assert max(counts) < 40  # 22 each is expected


def test_shift_of_rows_alone_and_its_fill():
    shifted = np.asarray(jax.jit(random_shift((0, 2), fill=9.0))(KEY, X))
    columns = (shifted == 9).all(axis=(1, 3)).sum(axis=1)
    assert set(columns.tolist()) == {0, 1, 2}
    assert (shifted == 9).sum() == 12 * columns.sum()


def test_crop_takes_windows_of_all_places():
    cropped = np.asarray(jax.jit(random_crop((4, 3)))(KEY, X))
    assert set(places(X, cropped, 0)) == {(i, j) for i in range(3) for j in range(3)}
    padded = np.asarray(jax.jit(random_crop(6, padding=1))(KEY, X))
    assert set(places(X, padded, 1)) == {(i, j) for i in range(3) for j in range(2)}


@pytest.mark.parametrize(("vertical", "mirrored"), [(False, X[:, :, ::-1]), (True, X[:, ::-1])])
def test_flip_mirrors_about_half(vertical, mirrored):
    flipped = np.asarray(jax.jit(random_flip(vertical=vertical))(KEY, X))
    changed = np.array([np.array_equal(f, m) for f, m in zip(flipped, mirrored, strict=True)])
    np.testing.assert_array_equal(flipped, np.where(changed[:, None, None, None], mirrored, X))
    assert 70 < changed.sum() < 130


def test_cutout_covers_one_rectangle():
    covered = np.asarray(jax.jit(cutout((2, 3), fill=-1.0))(KEY, X)) == -1
    assert (covered[..., 0] == covered[..., 1]).all()
    hits = covered[..., 0]
    rows, columns = hits.any(axis=2).sum(axis=1), hits.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(hits.sum(axis=(1, 2)), rows * columns)
    assert (set(rows.tolist()), set(columns.tolist())) == ({1, 2}, {2, 3})
    assert hits.any(axis=0).all()


def test_affine_equals_scipy():
    augment = random_affine(degrees=30, scale=(0.8, 1.25), shear=20, shift=1.5, fill=0.5)
    result = np.asarray(jax.jit(augment)(KEY, X[:20]))
    draws = np.asarray(jax.random.uniform(KEY, (5, 20, 1, 1), jnp.float32, -1, 1), np.float64)[:, :, 0, 0]
    middle = np.array([2.5, 2.0])
    for image, got, (turn, slant, row, column, size) in zip(X, result, draws.T, strict=False):
        a, s = np.deg2rad(30 * turn), 1.025 + 0.225 * size
        slope = np.tan(np.deg2rad(20 * slant))
        matrix = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) @ [[1, 0], [slope, 1]] / s
        offset = middle - matrix @ middle - 1.5 * np.array([row, column])
        for c in range(2):
            expected = ndimage.affine_transform(
                image[..., c].astype(np.float64), matrix, offset, order=1, mode="grid-constant", cval=0.5
            )
            np.testing.assert_allclose(got[..., c], expected, atol=1e-5)


def test_no_angle_changes_nothing_and_bytes_stay_bytes():
    np.testing.assert_array_equal(jax.jit(random_affine(scale=(1, 1)))(KEY, X[:20]), X[:20])
    turned = jax.jit(random_rotation(20))(KEY, jnp.full((4, 9, 9, 1), 200, jnp.uint8))
    assert (turned.dtype, int(turned[0, 4, 4, 0])) == (jnp.uint8, 200)


def test_mapped_over_keys_each_has_its_own():
    keys = jax.random.split(KEY, 2)
    augment = jax.jit(compose(random_shift(1), random_rotation(20)))
    mapped = jax.vmap(augment, (0, None))(keys, X[:8])
    np.testing.assert_allclose(mapped, jnp.stack([augment(key, X[:8]) for key in keys]), atol=1e-5)


def test_composed_in_order_and_repeatable():
    augment = jax.jit(compose(random_flip(1.0), random_crop((6, 1)), random_shift((1, 0))))
    once = augment(KEY, X)
    assert once.shape == (200, 6, 1, 2)
    np.testing.assert_array_equal(augment(KEY, X), once)
    assert (augment(jax.random.key(1), X) != once).any()
    plain = compose(random_flip(1.0), random_flip(1.0))(KEY, X)
    np.testing.assert_array_equal(plain, X)


def test_each_of_a_composition_draws_for_itself():
    twice = jax.jit(compose(random_flip(), random_flip()))(KEY, X)
    changed = (np.asarray(twice) != X).any(axis=(1, 2, 3)).sum()
    assert 70 < changed < 130  # with one draw for both, none would be


def test_augmented_draws_from_the_key_of_the_step():
    seen = []

    def objective(params, state, batch, key):
        seen.append(key)
        return jnp.sum(params * batch.x) + jnp.sum(batch.weights), (state, {})

    run = augmented(objective, lambda key, x: x + jax.random.uniform(key, x.shape))
    batch = (jnp.zeros(3), None, jnp.ones(3))
    losses = [float(run(jnp.ones(()), {}, batch, key)[0]) for key in (KEY, KEY, jax.random.key(1))]
    assert losses[0] == losses[1] != losses[2]
    assert losses[0] > 3
    assert (jax.random.key_data(seen[0]) != jax.random.key_data(KEY)).any()


def test_trains_within_fit():
    x, y = X[:10, :, :, :1], X[:10, :1, 0, 0]
    model = serial(flatten(), dense(1))
    objective = augmented(supervised(model, mean_squared_error), random_shift(1))
    arguments = objective, optax.sgd(1e-2), *model.init(KEY, x), (x, y)
    fitted = [fit(*arguments, key=KEY, n_epochs=3, batch_size=4) for _ in range(2)]
    jax.tree.map(np.testing.assert_array_equal, fitted[0].params, fitted[1].params)
    assert fitted[0].history[-1]["loss"] < fitted[0].history[0]["loss"]


def test_refusals():
    for make in (
        lambda: random_shift(-1),
        lambda: random_crop(0),
        lambda: random_crop(3, padding=-1),
        lambda: random_flip(1.5),
        lambda: cutout(0),
        lambda: random_rotation(-3),
        lambda: random_affine(scale=(1.1, 0.9)),
        lambda: random_affine(shear=90),
        lambda: random_affine(shift=float("nan")),
        lambda: random_rotation(float("inf")),
    ):
        with pytest.raises(InputError, match=r"^(random_\w+|cutout): expected .*, got \w+ == "):
            make()
    for augment in (random_shift(1), random_flip(), cutout(2), random_rotation(3), random_crop(2)):
        with pytest.raises(InputError, match=r"expected images of shape .*, got x.shape == \(200, 6, 5\)$"):
            augment(KEY, X[..., 0])
    with pytest.raises(InputError, match=r"^random_crop: expected images with their padding of at least \(7, 7\), got"):
        random_crop(7)(KEY, X)
