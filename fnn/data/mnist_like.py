"""Fashion-MNIST and Kuzushiji-MNIST: pieces of clothing and Japanese letters, in the files and the sizes of MNIST."""

from __future__ import annotations

from pathlib import Path

from fnn.data.dataset import Dataset
from fnn.data.originals import Original, load_original

_SHAPES = {"train_images": (60_000, 28, 28), "test_images": (10_000, 28, 28), "test_labels": (10_000,)}

FASHION_MNIST = Original(
    name="fashion-mnist",
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    sha256={
        "train_labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "test_labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    sha256_gz={
        "train_images": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "test_images": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    },
    shapes=_SHAPES,
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)
"""The labels are compared uncompressed, images as they were gzipped by their authors."""

KMNIST = Original(
    name="kmnist",
    mirrors=("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
    sha256={"train_labels": "2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b"},
    sha256_gz={
        "train_images": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "test_images": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "test_labels": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    },
    shapes=_SHAPES,
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
)
"""The labels to learn from are compared uncompressed, the rest as it was gzipped by its authors."""


def load_fashion_mnist(data_dir: str | Path | None = None) -> Dataset:
    """Fashion-MNIST: 60,000 and 10,000 grey images of clothing, 28 x 28 pixels, ten classes.

    Args:
        data_dir: a folder with the four files, under the names of MNIST's. Gzipped files have to be those of the
            authors; of unpacked images only the shape is checked, but the labels beside them in full.
            ``None``: the folder ``fnn/fashion-mnist`` of the user's cache, filled from the authors' server.

    Raises:
        DataError: a file is missing or is not the original, or the server does not answer.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms", arXiv:1708.07747 (2017).

    Example:
        >>> load_fashion_mnist("no-such-folder")
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: no-such-folder: no file train-images-idx3-ubyte, with or without .gz
    """
    return load_original(FASHION_MNIST, data_dir)


def load_kmnist(data_dir: str | Path | None = None) -> Dataset:
    """Kuzushiji-MNIST: 60,000 and 10,000 grey images of cursive Japanese letters, 28 x 28 pixels, ten classes.

    Args:
        data_dir: as for :func:`load_fashion_mnist`, the folder of the cache being ``fnn/kmnist``.

    Raises:
        DataError: a file is missing or is not the original, or the server does not answer.

    Source: T. Clanuwat et al., "Deep learning for classical Japanese literature", arXiv:1812.01718 (2018).

    Example:
        >>> load_kmnist("no-such-folder")
        Traceback (most recent call last):
            ...
        fnn.errors.DataError: no-such-folder: no file train-images-idx3-ubyte, with or without .gz
    """
    return load_original(KMNIST, data_dir)
