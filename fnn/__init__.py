"""Train small and medium neural networks with pure functions on JAX."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fnn.activations import (
        elu as elu,
        leaky_relu as leaky_relu,
        prelu as prelu,
        relu as relu,
        sigmoid as sigmoid,
        softmax as softmax,
        softplus as softplus,
        step as step,
        tanh as tanh,
    )
    from fnn.adapters import from_equinox as from_equinox, from_linen as from_linen, from_nnx as from_nnx
    from fnn.callbacks import (
        Callback as Callback,
        Decision as Decision,
        Event as Event,
        early_stopping as early_stopping,
        keep_best as keep_best,
        reduce_on_plateau as reduce_on_plateau,
    )
    from fnn.checkpoint import load as load, save as save
    from fnn.compilation import cache_folder as cache_folder, use_cache as use_cache
    from fnn.data import (
        ArraySource as ArraySource,
        Dataset as Dataset,
        ImageFolder as ImageFolder,
        Source as Source,
        Standard as Standard,
        as_source as as_source,
        augmented as augmented,
        batches as batches,
        compose as compose,
        cutout as cutout,
        from_grain as from_grain,
        image_folder as image_folder,
        load_cifar10 as load_cifar10,
        load_csv as load_csv,
        load_digits as load_digits,
        load_fashion_mnist as load_fashion_mnist,
        load_idx as load_idx,
        load_image_folder as load_image_folder,
        load_kmnist as load_kmnist,
        load_mnist as load_mnist,
        load_npz as load_npz,
        random_affine as random_affine,
        random_crop as random_crop,
        random_flip as random_flip,
        random_rotation as random_rotation,
        random_shift as random_shift,
        read_idx as read_idx,
        split as split,
        standardize as standardize,
        toy as toy,
    )
    from fnn.descent import inertial_descent as inertial_descent
    from fnn.errors import (
        CheckpointError as CheckpointError,
        DataError as DataError,
        DivergedError as DivergedError,
        InputError as InputError,
    )
    from fnn.estimator import NetworkClassifier as NetworkClassifier, NetworkRegressor as NetworkRegressor
    from fnn.evaluation import evaluate as evaluate, predict as predict
    from fnn.exporting import export as export
    from fnn.inspection import Inspected as Inspected, inspect as inspect
    from fnn.layers import (
        average_pool as average_pool,
        batch_norm as batch_norm,
        conv as conv,
        dense as dense,
        dropout as dropout,
        embedding as embedding,
        flatten as flatten,
        global_average_pool as global_average_pool,
        global_max_pool as global_max_pool,
        group_norm as group_norm,
        gru as gru,
        layer_norm as layer_norm,
        lift as lift,
        lstm as lstm,
        max_pool as max_pool,
        parallel as parallel,
        parametric_relu as parametric_relu,
        position_embedding as position_embedding,
        reshape as reshape,
        residual as residual,
        self_attention as self_attention,
        serial as serial,
        stateless as stateless,
        upsample as upsample,
    )
    from fnn.logs import Log as Log, json_lines as json_lines, tensorboard as tensorboard
    from fnn.losses import (
        accuracy as accuracy,
        half_squared_error as half_squared_error,
        mean_squared_error as mean_squared_error,
        sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy,
        softmax_cross_entropy as softmax_cross_entropy,
        softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
    )
    from fnn.lowering import canonical as canonical, compiler_options as compiler_options
    from fnn.mixed import mixed_precision as mixed_precision
    from fnn.models import (
        adaline as adaline,
        autoencoder as autoencoder,
        cnn as cnn,
        conv_autoencoder as conv_autoencoder,
        linear as linear,
        mlp as mlp,
        pattern_network as pattern_network,
        pattern_params as pattern_params,
        perceptron as perceptron,
    )
    from fnn.objectives import loss_and_grad as loss_and_grad, supervised as supervised
    from fnn.partial import (
        by_path as by_path,
        freeze as freeze,
        path_mask as path_mask,
        paths as paths,
        take_over as take_over,
    )
    from fnn.recompilation import RecompilationWarning as RecompilationWarning, report_recompiles as report_recompiles
    from fnn.rules import adaline_rule as adaline_rule, learn as learn, perceptron_rule as perceptron_rule
    from fnn.saving import Checkpoints as Checkpoints, load_state as load_state
    from fnn.scanning import Scanned as Scanned, fit_scan as fit_scan
    from fnn.showing import Shown as Shown, show as show
    from fnn.summary import count_parameters as count_parameters, summarize as summarize
    from fnn.sweeping import Swept as Swept, sweep as sweep
    from fnn.tables import csv_table as csv_table, text_table as text_table
    from fnn.tasks import Task as Task, for_task as for_task, label_accuracy as label_accuracy
    from fnn.train import (
        Epoch as Epoch,
        Fitted as Fitted,
        epochs as epochs,
        fit as fit,
        make_step as make_step,
        start as start,
    )
    from fnn.trials import (
        LearningRates as LearningRates,
        fast_dev_run as fast_dev_run,
        find_learning_rate as find_learning_rate,
        overfit_one_batch as overfit_one_batch,
    )
    from fnn.types import Batch as Batch, Model as Model, Objective as Objective, TrainState as TrainState
    from fnn.weights import load_weights as load_weights, read_weights as read_weights, save_weights as save_weights

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
    "Callback": "fnn.callbacks",
    "Decision": "fnn.callbacks",
    "Event": "fnn.callbacks",
    "early_stopping": "fnn.callbacks",
    "keep_best": "fnn.callbacks",
    "reduce_on_plateau": "fnn.callbacks",
    "load": "fnn.checkpoint",
    "save": "fnn.checkpoint",
    "cache_folder": "fnn.compilation",
    "use_cache": "fnn.compilation",
    "ArraySource": "fnn.data",
    "Dataset": "fnn.data",
    "ImageFolder": "fnn.data",
    "Source": "fnn.data",
    "Standard": "fnn.data",
    "as_source": "fnn.data",
    "augmented": "fnn.data",
    "batches": "fnn.data",
    "compose": "fnn.data",
    "cutout": "fnn.data",
    "from_grain": "fnn.data",
    "image_folder": "fnn.data",
    "load_cifar10": "fnn.data",
    "load_csv": "fnn.data",
    "load_digits": "fnn.data",
    "load_fashion_mnist": "fnn.data",
    "load_idx": "fnn.data",
    "load_image_folder": "fnn.data",
    "load_kmnist": "fnn.data",
    "load_mnist": "fnn.data",
    "load_npz": "fnn.data",
    "random_affine": "fnn.data",
    "random_crop": "fnn.data",
    "random_flip": "fnn.data",
    "random_rotation": "fnn.data",
    "random_shift": "fnn.data",
    "read_idx": "fnn.data",
    "split": "fnn.data",
    "standardize": "fnn.data",
    "toy": "fnn.data",
    "inertial_descent": "fnn.descent",
    "CheckpointError": "fnn.errors",
    "DataError": "fnn.errors",
    "DivergedError": "fnn.errors",
    "InputError": "fnn.errors",
    "NetworkClassifier": "fnn.estimator",
    "NetworkRegressor": "fnn.estimator",
    "evaluate": "fnn.evaluation",
    "predict": "fnn.evaluation",
    "export": "fnn.exporting",
    "Inspected": "fnn.inspection",
    "inspect": "fnn.inspection",
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
    "Log": "fnn.logs",
    "json_lines": "fnn.logs",
    "tensorboard": "fnn.logs",
    "accuracy": "fnn.losses",
    "half_squared_error": "fnn.losses",
    "mean_squared_error": "fnn.losses",
    "sigmoid_binary_cross_entropy": "fnn.losses",
    "softmax_cross_entropy": "fnn.losses",
    "softmax_cross_entropy_with_integer_labels": "fnn.losses",
    "canonical": "fnn.lowering",
    "compiler_options": "fnn.lowering",
    "mixed_precision": "fnn.mixed",
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
    "RecompilationWarning": "fnn.recompilation",
    "report_recompiles": "fnn.recompilation",
    "adaline_rule": "fnn.rules",
    "learn": "fnn.rules",
    "perceptron_rule": "fnn.rules",
    "Checkpoints": "fnn.saving",
    "load_state": "fnn.saving",
    "Scanned": "fnn.scanning",
    "fit_scan": "fnn.scanning",
    "Shown": "fnn.showing",
    "show": "fnn.showing",
    "count_parameters": "fnn.summary",
    "summarize": "fnn.summary",
    "Swept": "fnn.sweeping",
    "sweep": "fnn.sweeping",
    "csv_table": "fnn.tables",
    "text_table": "fnn.tables",
    "Task": "fnn.tasks",
    "for_task": "fnn.tasks",
    "label_accuracy": "fnn.tasks",
    "Epoch": "fnn.train",
    "Fitted": "fnn.train",
    "epochs": "fnn.train",
    "fit": "fnn.train",
    "make_step": "fnn.train",
    "start": "fnn.train",
    "LearningRates": "fnn.trials",
    "fast_dev_run": "fnn.trials",
    "find_learning_rate": "fnn.trials",
    "overfit_one_batch": "fnn.trials",
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
