"""Data sets, sources of examples, and examples in batches."""

from fnn.data import toy
from fnn.data.augmentation import (
    augmented,
    compose,
    cutout,
    random_affine,
    random_crop,
    random_flip,
    random_rotation,
    random_shift,
)
from fnn.data.batching import batches
from fnn.data.cifar10 import load_cifar10
from fnn.data.csv_table import load_csv
from fnn.data.dataset import Dataset
from fnn.data.digits import load_digits
from fnn.data.grain_source import from_grain
from fnn.data.idx import read_idx
from fnn.data.idx_folder import load_idx
from fnn.data.image_folder import ImageFolder, image_folder, load_image_folder
from fnn.data.mnist import load_mnist
from fnn.data.mnist_like import load_fashion_mnist, load_kmnist
from fnn.data.npz_table import load_npz
from fnn.data.sources import ArraySource, Source, as_source
from fnn.data.splitting import split
from fnn.data.tables import Standard, standardize

__all__ = [
    "ArraySource",
    "Dataset",
    "ImageFolder",
    "Source",
    "Standard",
    "as_source",
    "augmented",
    "batches",
    "compose",
    "cutout",
    "from_grain",
    "image_folder",
    "load_cifar10",
    "load_csv",
    "load_digits",
    "load_fashion_mnist",
    "load_idx",
    "load_image_folder",
    "load_kmnist",
    "load_mnist",
    "load_npz",
    "random_affine",
    "random_crop",
    "random_flip",
    "random_rotation",
    "random_shift",
    "read_idx",
    "split",
    "standardize",
    "toy",
]
