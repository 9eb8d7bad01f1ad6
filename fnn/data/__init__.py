"""Data sets, and examples in batches."""

from fnn.data import toy
from fnn.data.batching import batches
from fnn.data.dataset import Dataset
from fnn.data.digits import load_digits
from fnn.data.idx import read_idx
from fnn.data.idx_folder import load_idx
from fnn.data.mnist import load_mnist

__all__ = ["Dataset", "batches", "load_digits", "load_idx", "load_mnist", "read_idx", "toy"]
