"""The data set that the settings of a training name, and what a network must know of it when it meets others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from fnn.data import (
    Dataset,
    Standard,
    load_cifar10,
    load_csv,
    load_digits,
    load_fashion_mnist,
    load_idx,
    load_image_folder,
    load_kmnist,
    load_mnist,
    load_npz,
    standardize,
)
from fnn.errors import InputError
from fnn.options import DATA_OPTIONS, IDX_DATA, PARTS

_IDX_LOADERS = {"mnist": load_mnist, "fashion-mnist": load_fashion_mnist, "kmnist": load_kmnist}
_TAKES = {
    "digits": (),
    "idx": ("data_path", *PARTS),
    **dict.fromkeys((*IDX_DATA, "cifar10"), ("data_path",)),
    "csv": ("data_path", "target", "features", "task", "test_path", "held_out", "standardize"),
    "npz": ("data_path", "task", "held_out", "standardize"),
    "folder": ("data_path", "image_size", "held_out"),
}


class Prepared(NamedTuple):
    """A data set, made ready for a network.

    Attributes:
        data: inputs, and for regression targets, as the network sees them.
        inputs: what the features of the source were shifted and divided by, if they were.
        targets: the same of the targets.
    """

    data: Dataset
    inputs: Standard | None = None
    targets: Standard | None = None


def load_data(settings: Mapping[str, Any], *, n_classes: int | None = None) -> Dataset:
    """The data set that the settings name.

    Args:
        settings: by name, as in the table of options; those that are absent or ``None`` are not given.
        n_classes: of an idx data set, where it does not go by the training labels.

    Raises:
        InputError: there is none of that name, or other settings do not belong to it.
        DataError: it is missing or damaged.

    Example:
        >>> load_data({"data": "digits"}).n_classes
        10
    """
    given = {o.name: settings[o.name] for o in DATA_OPTIONS if settings.get(o.name) is not None}
    name = given.pop("data")
    for option in DATA_OPTIONS:
        if option.name in given and option.name not in _TAKES[name]:
            takers = " or ".join(taker for taker, taken in _TAKES.items() if option.name in taken)
            raise InputError(f"{option.also or option.flag} goes with --data {takers}, got --data {name}")
    path = given.pop("data_path", None)
    given.pop("standardize", None)
    if name in ("csv", "npz", "folder") and path is None:
        raise InputError(f"--data {name} needs --data-path, the {'folder' if name == 'folder' else 'file'}")
    if name == "digits":
        return load_digits()
    if name == "idx":
        return load_idx(path, **given, n_classes=n_classes)
    if name == "csv":
        return load_csv(path, **given)
    if name == "npz":
        return load_npz(path, **given)
    if name == "folder":
        size = given.pop("image_size", None)
        if size is not None and len(size) > 2:
            raise InputError(f"--image-size is a height and a width, got {','.join(map(str, size))}")
        return load_image_folder(path, **given, size=None if size is None else (size[0], size[-1]))
    return load_cifar10(path) if name == "cifar10" else _IDX_LOADERS[name](path)


def prepare(data: Dataset, settings: Mapping[str, Any]) -> Prepared:
    """Brings features, and the targets of a regression, to mean 0 and deviation 1, if the settings say so.

    Example:
        >>> prepare(load_data({"data": "digits"}), {"data": "digits"}).inputs is None
        True
    """
    wanted = settings.get("standardize")
    if not (settings["data"] == "csv" if wanted is None else wanted):
        return Prepared(data)
    targets = None
    if data.task == "regression":
        train, test = data.train.y, data.test.y
        swapped, targets = standardize(
            data._replace(train=data.train._replace(x=train), test=data.test._replace(x=test))
        )
        data = data._replace(train=data.train._replace(y=swapped.train.x), test=data.test._replace(y=swapped.test.x))
    data, inputs = standardize(data)
    return Prepared(data, inputs, targets)


def describe_data(prepared: Prepared) -> dict[str, Any]:
    """What a kept model must know again of its data, as plain data.

    Example:
        >>> describe_data(Prepared(load_data({"data": "digits"})))["input_shape"]
        [8, 8, 1]
    """
    data = prepared.data
    return {
        "name": data.name,
        "task": data.task,
        "train_examples": len(data.train.x),
        "test_examples": len(data.test.x),
        "input_shape": list(data.train.x.shape[1:]),
        "n_classes": data.n_classes,
        "n_out": data.n_classes or data.train.y.shape[1],
        "scale": data.scale,
        "class_names": list(data.class_names),
        "feature_names": list(data.feature_names),
        "inputs": _plain(prepared.inputs),
        "targets": _plain(prepared.targets),
    }


def describe_source(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where the data came from, so that ``evaluate`` finds it again: the settings that say so.

    Example:
        >>> describe_source({"data": "mnist", "epochs": 3, "data_path": None})
        {'data': 'mnist'}
    """
    return {o.name: settings[o.name] for o in DATA_OPTIONS if settings.get(o.name) is not None}


def standard_of(described: Mapping[str, Any] | None) -> Standard | None:
    """The inverse of what :func:`describe_data` does to a standard.

    Example:
        >>> standard_of({"mean": [2.0], "spread": [0.5]}).apply(np.array([[3.0]])).tolist()
        [[2.0]]
    """
    if described is None:
        return None
    return Standard(np.array(described["mean"], np.float64), np.array(described["spread"], np.float64))


def digest(tree: Any) -> str:
    """SHA-256 over the names, shapes, dtypes and bytes of all arrays: equal digests, equal bits.

    Example:
        >>> digest({"w": np.zeros(2, np.float32)}) == digest({"w": np.zeros(2, np.float32)})
        True
    """
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(tree)):
        sha.update(f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}\n".encode())
        sha.update(np.ascontiguousarray(leaf).data)
    return sha.hexdigest()


def _plain(standard: Standard | None) -> dict[str, Any] | None:
    return None if standard is None else {"mean": standard.mean.tolist(), "spread": standard.spread.tolist()}
