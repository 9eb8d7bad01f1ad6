"""The handwritten digits that come with scikit-learn: a real data set that needs no network."""

from __future__ import annotations

import numpy as np

from fnn.data.dataset import Dataset, make_dataset


def load_digits() -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels; every fifth, 360 in all, is held out for testing.

    Every fifth rather than the last: the file goes writer by writer, and those of the end would be strangers.

    Source: E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository (1998),
    its test part, as scikit-learn carries it.

    Example:
        >>> digits = load_digits()
        >>> digits.train.x.shape, digits.test.x.shape, digits.n_classes
        ((1437, 8, 8, 1), (360, 8, 8, 1), 10)
    """
    from sklearn import datasets  # takes a second to import, and nothing else of fnn needs it

    images, labels = datasets.load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)
    held_out = np.arange(len(images)) % 5 == 0
    return make_dataset(
        "digits", (images[~held_out], labels[~held_out]), (images[held_out], labels[held_out]), scale=16.0, n_classes=10
    )
