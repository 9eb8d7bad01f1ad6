import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pytest

from fnn import DataError
from fnn.data.idx_folder import FILES
from fnn.data.mnist_like import FASHION_MNIST, KMNIST, load_fashion_mnist, load_kmnist
from fnn.data.originals import load_original


@pytest.fixture
def small(write_idx, tmp_path):
    """A set of a few images, known as Fashion-MNIST is: its images as they were gzipped, its labels unpacked."""
    sha256, sha256_gz, shapes = {}, {}, {}
    for part, name in FILES.items():
        array = np.zeros((10, 4, 4), np.uint8) if part.endswith("images") else np.arange(10).astype(np.uint8)
        content = write_idx(f"unpacked/{name}", array).read_bytes()
        packed = tmp_path / "packed" / f"{name}.gz"
        packed.parent.mkdir(exist_ok=True)
        packed.write_bytes(gzip.compress(content, mtime=0))
        if part.endswith("images"):
            sha256_gz[part], shapes[part] = hashlib.sha256(packed.read_bytes()).hexdigest(), array.shape
        else:
            sha256[part] = hashlib.sha256(content).hexdigest()
    return replace(FASHION_MNIST, sha256=sha256, sha256_gz=sha256_gz, shapes=shapes)


@pytest.mark.parametrize("kind", ["packed", "unpacked"])
def test_packed_or_unpacked(small, tmp_path, kind):
    data = load_original(small, tmp_path / kind)
    assert (data.name, data.n_classes, data.class_names[9]) == ("fashion-mnist", 10, "Ankle boot")
    assert (data.train.x.shape, data.test.y.tolist()) == ((10, 4, 4, 1), list(range(10)))


def test_other_files_are_refused(small, tmp_path, write_idx):
    path = tmp_path / "packed" / f"{FILES['train_images']}.gz"
    whole = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(whole), mtime=1))
    with pytest.raises(DataError, match=r"not the original: expected SHA-256 \w+ gzipped, as published, got \w{64}$"):
        load_original(small, tmp_path / "packed")
    path.write_bytes(whole[:-9])
    with pytest.raises(DataError, match=r"damaged gzip: "):
        load_original(small, tmp_path / "packed")
    write_idx(f"unpacked/{FILES['test_images']}", np.zeros((9, 4, 4), np.uint8))
    with pytest.raises(DataError, match=r"expected bytes of shape \(10, 4, 4\), got uint8 of shape \(9, 4, 4\)$"):
        load_original(small, tmp_path / "unpacked")


@pytest.mark.parametrize(("original", "load"), [(FASHION_MNIST, load_fashion_mnist), (KMNIST, load_kmnist)])
def test_each_file_can_be_told(original, load, tmp_path):
    assert len(original.class_names) == 10
    assert {*original.sha256, *original.sha256_gz} == set(FILES)
    assert all(len(digest) == 64 for digest in (*original.sha256.values(), *original.sha256_gz.values()))
    assert {*original.sha256, *original.shapes} >= set(FILES)
    with pytest.raises(DataError, match=r"no file train-images-idx3-ubyte, with or without .gz$"):
        load(tmp_path)
