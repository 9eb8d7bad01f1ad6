import numpy as np
import pytest

from fnn import DataError, load_digits
from fnn.data.dataset import make_dataset, to_inputs

IMAGES, LABELS = np.arange(32, dtype=np.uint8).reshape(4, 2, 4), np.array([0, 1, 2, 1], np.uint8)


def make(images=IMAGES, labels=LABELS, test_images=IMAGES, test_labels=LABELS, **options):
    return make_dataset("toy", (images, labels), (test_images, test_labels), **options)


def test_scaled_with_a_channel_axis_and_counted():
    data = make()
    assert data.train.x.shape == (4, 2, 4, 1)
    assert data.train.x.dtype == np.float32
    assert data.train.y.dtype == np.int32
    np.testing.assert_allclose(data.train.x[0, 0, :, 0], np.arange(4) / 255, rtol=1e-6)
    assert (data.n_classes, data.scale) == (3, 255.0)


def test_scale_of_numbers_that_are_no_bytes():
    assert make(images=IMAGES * np.float64(-2)).scale == 62.0
    assert make(images=IMAGES * np.int32(0)).scale == 1.0
    assert make(images=np.full(IMAGES.shape, -128, np.int8)).scale == 128.0
    assert to_inputs(np.ones((2, 5), np.uint8), 1.0).shape == (2, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": LABELS[:3]}, "toy, training data: expected as many labels as images, got 4 images and 3 labels"),
        ({"test_labels": LABELS[:1]}, "toy, test data: expected as many labels as images, got 4 images and 1 labels"),
        ({"labels": LABELS[:, None]}, "expected one label per image, got labels of shape (4, 1)"),
        ({"labels": LABELS.astype(float)}, "expected integer labels, got float64"),
        ({"images": IMAGES[0, 0]}, "expected images of shape (n, ...), got shape (4,)"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "expected at least one image, got shape (0, 2, 4)"),
        ({"test_images": IMAGES[:, :1]}, "expected test images of shape (2, 4) as in training, got (1, 4)"),
        ({"test_labels": LABELS + 1}, "toy, test data: expected classes from 0 to 2, got 3 (label number 2)"),
        (
            {"labels": LABELS.astype(int) - 1},
            "toy, training data: expected classes from 0 to 1, got -1 (label number 0)",
        ),
        ({"n_classes": 2}, "toy, training data: expected classes from 0 to 1, got 2 (label number 2)"),
        (
            {"images": np.where(IMAGES == 13, np.nan, IMAGES)},
            "toy, training data: expected finite numbers, got nan at x[1, 1, 1]",
        ),
    ],
)
def test_refusals(change, message):
    with pytest.raises(DataError) as error:
        make(**change)
    assert message in str(error.value)


def test_digits_are_real_split_and_the_same_every_time():
    data = load_digits()
    assert (len(data.train.x), len(data.test.x)) == (1437, 360)
    assert data.train.x.shape[1:] == (8, 8, 1)
    assert (data.train.x.min(), data.train.x.max()) == (0, 1)
    assert set(data.train.y.tolist()) == set(data.test.y.tolist()) == set(range(10))
    np.testing.assert_array_equal(data.test.y[:5], [0, 5, 0, 5, 0])  # every fifth of 0 1 2 3 4 5 6 7 8 9 0 1 ...
    seen = {image.tobytes() for image in data.train.x}
    assert not any(image.tobytes() in seen for image in data.test.x)
