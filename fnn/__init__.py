"""Train small and medium neural networks with pure functions on JAX."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fnn.activations import (
        elu as elu,
    )
    from fnn.activations import (
        leaky_relu as leaky_relu,
    )
    from fnn.activations import (
        prelu as prelu,
    )
    from fnn.activations import (
        relu as relu,
    )
    from fnn.activations import (
        sigmoid as sigmoid,
    )
    from fnn.activations import (
        softmax as softmax,
    )
    from fnn.activations import (
        softplus as softplus,
    )
    from fnn.activations import (
        step as step,
    )
    from fnn.activations import (
        tanh as tanh,
    )
    from fnn.adapters import from_equinox as from_equinox
    from fnn.adapters import from_linen as from_linen
    from fnn.adapters import from_nnx as from_nnx
    from fnn.checkpoint import load as load
    from fnn.checkpoint import save as save
    from fnn.data import (
        Dataset as Dataset,
    )
    from fnn.data import (
        batches as batches,
    )
    from fnn.data import (
        load_digits as load_digits,
    )
    from fnn.data import (
        load_idx as load_idx,
    )
    from fnn.data import (
        load_mnist as load_mnist,
    )
    from fnn.data import (
        read_idx as read_idx,
    )
    from fnn.data import toy as toy
    from fnn.descent import inertial_descent as inertial_descent
    from fnn.errors import (
        CheckpointError as CheckpointError,
    )
    from fnn.errors import (
        DataError as DataError,
    )
    from fnn.errors import (
        DivergedError as DivergedError,
    )
    from fnn.errors import (
        InputError as InputError,
    )
    from fnn.evaluation import evaluate as evaluate
    from fnn.evaluation import predict as predict
    from fnn.exporting import export as export
    from fnn.inspection import Inspected as Inspected
    from fnn.inspection import inspect as inspect
    from fnn.layers import (
        average_pool as average_pool,
    )
    from fnn.layers import batch_norm as batch_norm
    from fnn.layers import (
        conv as conv,
    )
    from fnn.layers import (
        dense as dense,
    )
    from fnn.layers import (
        dropout as dropout,
    )
    from fnn.layers import embedding as embedding
    from fnn.layers import (
        flatten as flatten,
    )
    from fnn.layers import global_average_pool as global_average_pool
    from fnn.layers import global_max_pool as global_max_pool
    from fnn.layers import group_norm as group_norm
    from fnn.layers import gru as gru
    from fnn.layers import layer_norm as layer_norm
    from fnn.layers import (
        lift as lift,
    )
    from fnn.layers import lstm as lstm
    from fnn.layers import (
        max_pool as max_pool,
    )
    from fnn.layers import parallel as parallel
    from fnn.layers import parametric_relu as parametric_relu
    from fnn.layers import position_embedding as position_embedding
    from fnn.layers import reshape as reshape
    from fnn.layers import residual as residual
    from fnn.layers import self_attention as self_attention
    from fnn.layers import (
        serial as serial,
    )
    from fnn.layers import (
        stateless as stateless,
    )
    from fnn.layers import upsample as upsample
    from fnn.losses import (
        accuracy as accuracy,
    )
    from fnn.losses import (
        half_squared_error as half_squared_error,
    )
    from fnn.losses import (
        mean_squared_error as mean_squared_error,
    )
    from fnn.losses import (
        sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy,
    )
    from fnn.losses import (
        softmax_cross_entropy as softmax_cross_entropy,
    )
    from fnn.losses import (
        softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
    )
    from fnn.models import adaline as adaline
    from fnn.models import autoencoder as autoencoder
    from fnn.models import cnn as cnn
    from fnn.models import conv_autoencoder as conv_autoencoder
    from fnn.models import linear as linear
    from fnn.models import mlp as mlp
    from fnn.models import pattern_network as pattern_network
    from fnn.models import pattern_params as pattern_params
    from fnn.models import perceptron as perceptron
    from fnn.objectives import loss_and_grad as loss_and_grad
    from fnn.objectives import supervised as supervised
    from fnn.partial import by_path as by_path
    from fnn.partial import freeze as freeze
    from fnn.partial import path_mask as path_mask
    from fnn.partial import paths as paths
    from fnn.partial import take_over as take_over
    from fnn.rules import adaline_rule as adaline_rule
    from fnn.rules import learn as learn
    from fnn.rules import perceptron_rule as perceptron_rule
    from fnn.scanning import Scanned as Scanned
    from fnn.scanning import fit_scan as fit_scan
    from fnn.summary import count_parameters as count_parameters
    from fnn.summary import summarize as summarize
    from fnn.sweeping import Swept as Swept
    from fnn.sweeping import sweep as sweep
    from fnn.tasks import Task as Task
    from fnn.tasks import for_task as for_task
    from fnn.tasks import label_accuracy as label_accuracy
    from fnn.train import (
        Epoch as Epoch,
    )
    from fnn.train import (
        Fitted as Fitted,
    )
    from fnn.train import (
        epochs as epochs,
    )
    from fnn.train import (
        fit as fit,
    )
    from fnn.train import (
        make_step as make_step,
    )
    from fnn.train import (
        start as start,
    )
    from fnn.types import Batch as Batch
    from fnn.types import Model as Model
    from fnn.types import Objective as Objective
    from fnn.types import TrainState as TrainState
    from fnn.weights import load_weights as load_weights
    from fnn.weights import read_weights as read_weights
    from fnn.weights import save_weights as save_weights

__version__ = "0.1.0"

# Where each public name lives. Importing one imports JAX; `import fnn` alone does not, so that --help is quick.
_HOME = {
    "elu": "fnn.activations",
    "leaky_relu": "fnn.activations",
    "prelu": "fnn.activations",
    "relu": "fnn.activations",
    "sigmoid": "fnn.activations",
    "softmax": "fnn.activations",
    "softplus": "fnn.activations",
    "step": "fnn.activations",
    "tanh": "fnn.activations",
    "from_equinox": "fnn.adapters",
    "from_linen": "fnn.adapters",
    "from_nnx": "fnn.adapters",
    "load": "fnn.checkpoint",
    "save": "fnn.checkpoint",
    "Dataset": "fnn.data",
    "batches": "fnn.data",
    "load_digits": "fnn.data",
    "load_idx": "fnn.data",
    "load_mnist": "fnn.data",
    "read_idx": "fnn.data",
    "toy": "fnn.data",
    "inertial_descent": "fnn.descent",
    "CheckpointError": "fnn.errors",
    "DataError": "fnn.errors",
    "DivergedError": "fnn.errors",
    "InputError": "fnn.errors",
    "evaluate": "fnn.evaluation",
    "predict": "fnn.evaluation",
    "export": "fnn.exporting",
    "inspect": "fnn.inspection",
    "Inspected": "fnn.inspection",
    "average_pool": "fnn.layers",
    "batch_norm": "fnn.layers",
    "conv": "fnn.layers",
    "dense": "fnn.layers",
    "dropout": "fnn.layers",
    "embedding": "fnn.layers",
    "flatten": "fnn.layers",
    "global_average_pool": "fnn.layers",
    "global_max_pool": "fnn.layers",
    "group_norm": "fnn.layers",
    "gru": "fnn.layers",
    "layer_norm": "fnn.layers",
    "lift": "fnn.layers",
    "lstm": "fnn.layers",
    "max_pool": "fnn.layers",
    "parallel": "fnn.layers",
    "parametric_relu": "fnn.layers",
    "position_embedding": "fnn.layers",
    "reshape": "fnn.layers",
    "residual": "fnn.layers",
    "self_attention": "fnn.layers",
    "serial": "fnn.layers",
    "stateless": "fnn.layers",
    "upsample": "fnn.layers",
    "accuracy": "fnn.losses",
    "half_squared_error": "fnn.losses",
    "mean_squared_error": "fnn.losses",
    "sigmoid_binary_cross_entropy": "fnn.losses",
    "softmax_cross_entropy": "fnn.losses",
    "softmax_cross_entropy_with_integer_labels": "fnn.losses",
    "adaline": "fnn.models",
    "autoencoder": "fnn.models",
    "cnn": "fnn.models",
    "conv_autoencoder": "fnn.models",
    "linear": "fnn.models",
    "mlp": "fnn.models",
    "pattern_network": "fnn.models",
    "pattern_params": "fnn.models",
    "perceptron": "fnn.models",
    "loss_and_grad": "fnn.objectives",
    "supervised": "fnn.objectives",
    "by_path": "fnn.partial",
    "freeze": "fnn.partial",
    "path_mask": "fnn.partial",
    "paths": "fnn.partial",
    "take_over": "fnn.partial",
    "adaline_rule": "fnn.rules",
    "learn": "fnn.rules",
    "perceptron_rule": "fnn.rules",
    "Scanned": "fnn.scanning",
    "fit_scan": "fnn.scanning",
    "count_parameters": "fnn.summary",
    "summarize": "fnn.summary",
    "for_task": "fnn.tasks",
    "label_accuracy": "fnn.tasks",
    "Task": "fnn.tasks",
    "Swept": "fnn.sweeping",
    "sweep": "fnn.sweeping",
    "Epoch": "fnn.train",
    "Fitted": "fnn.train",
    "epochs": "fnn.train",
    "fit": "fnn.train",
    "make_step": "fnn.train",
    "start": "fnn.train",
    "Batch": "fnn.types",
    "Model": "fnn.types",
    "Objective": "fnn.types",
    "TrainState": "fnn.types",
    "load_weights": "fnn.weights",
    "read_weights": "fnn.weights",
    "save_weights": "fnn.weights",
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fnn' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # found at once the next time
    return value


def __dir__() -> list[str]:
    return __all__
