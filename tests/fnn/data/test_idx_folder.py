import gzip

import numpy as np
import pytest

from fnn import DataError, load_idx
from fnn.data.idx_folder import FILES


@pytest.fixture
def folder(write_idx, tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 6), ("test", 3)):
        write_idx(f"set/{FILES[f'{part}_images']}", rng.integers(0, 256, (n, 4, 4)).astype(np.uint8))
        write_idx(f"set/{FILES[f'{part}_labels']}", np.arange(n).astype(np.uint8) % 3)
    return tmp_path / "set"


def test_a_folder_with_the_customary_names(folder):
    data = load_idx(folder)
    assert (data.train.x.shape, data.test.x.shape, data.n_classes) == ((6, 4, 4, 1), (3, 4, 4, 1), 3)
    plain = folder / FILES["test_images"]
    (folder / f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    np.testing.assert_array_equal(load_idx(folder).test.x, data.test.x)


def test_single_files_go_before_the_folder(folder, write_idx):
    other = write_idx("other", np.zeros((6, 4, 4), np.uint8))
    assert not load_idx(folder, train_images=other).train.x.any()
    paths = {part: folder / name for part, name in FILES.items()}
    np.testing.assert_array_equal(load_idx(**paths).train.x, load_idx(folder).train.x)


def test_what_is_missing_or_does_not_fit(folder, write_idx):
    with pytest.raises(DataError, match=r"^idx, training data: expected as many labels as images, got 6 images and 3"):
        load_idx(folder, train_labels=folder / FILES["test_labels"])
    with pytest.raises(DataError, match=r"expected classes from 0 to 1, got 2"):
        load_idx(folder, n_classes=2)
    with pytest.raises(DataError, match=r"expected finite numbers, got nan at x\[0, 0, 0\]"):
        load_idx(folder, test_images=write_idx("nan", np.full((3, 4, 4), np.nan, np.float32)))
    (folder / FILES["test_labels"]).unlink()
    with pytest.raises(DataError, match=r"set: no file t10k-labels-idx1-ubyte, with or without .gz$"):
        load_idx(folder)
