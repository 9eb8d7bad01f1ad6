"""All the pictures that a training allows, into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fnn.data.dataset import Dataset
from fnn.errors import InputError, expect
from fnn.evaluation import predict
from fnn.plots.boundaries import decision_boundary
from fnn.plots.classes import confusion_matrix, is_image, misclassified
from fnn.plots.curves import learning_curves
from fnn.plots.figures import SUFFIXES, Figure, save
from fnn.plots.filters import filters, first_layer_filters
from fnn.types import Model, Params, State


def write_plots(
    folder: str | Path,
    history: Sequence[Mapping[str, float]],
    model: Model,
    params: Params,
    state: State,
    dataset: Dataset,
    *,
    suffix: str = ".png",
) -> list[Path]:
    """Writes what applies, each file named after the function that draws it.

    ``learning_curves`` if there is a history; for classes ``confusion_matrix``, and with images ``misclassified``, of
    the test examples; ``first_layer_filters`` where the first layer sees an image; ``decision_boundary`` where an input
    has two numbers.

    Args:
        folder: made if there is none.
        history: the metrics of each epoch, as :func:`fnn.fit` gives them.
        model: what was trained; for classes it gives logits.
        params: its parameters.
        state: its state.
        dataset: what it was trained on.
        suffix: ``".png"`` or ``".svg"``.

    Returns:
        The paths of the files, in the order above.

    Raises:
        InputError: matplotlib is not installed, a file cannot be written, or the model does not fit the data.

    Example:
        >>> import tempfile
        >>> import jax
        >>> from fnn import linear, load_digits
        >>> digits, model = load_digits(), linear(10)
        >>> params, state = model.init(jax.random.key(0), digits.train.x)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = write_plots(folder, [{"loss": 2.3}], model, params, state, digits)
        >>> [path.stem for path in paths]
        ['learning_curves', 'confusion_matrix', 'misclassified', 'first_layer_filters']
    """
    expect(suffix in SUFFIXES, "write_plots", f"a suffix of {', '.join(SUFFIXES)}", repr(suffix))
    figures: dict[str, Figure] = {}
    if history:
        figures["learning_curves"] = learning_curves(history)
    x, y, _ = dataset.test

    def probabilities(inputs: np.ndarray) -> np.ndarray:
        return _softmax(predict(model, params, state, inputs))

    if dataset.task == "single-label":
        found = probabilities(x)
        _check_outputs(found, dataset)
        labels = np.asarray(y)
        names = dataset.class_names or [str(k) for k in range(dataset.n_classes)]
        figures["confusion_matrix"] = confusion_matrix(labels, found.argmax(axis=1), names)
        if is_image(x.shape[1:]):
            figures["misclassified"] = misclassified(x, labels, found, names)
    if filters(params, x.shape[1:]) is not None:
        figures["first_layer_filters"] = first_layer_filters(params, x.shape[1:])
    if dataset.task == "single-label" and x.shape[1:] == (2,):
        features: Any = dataset.feature_names or ("x1", "x2")
        figures["decision_boundary"] = decision_boundary(
            probabilities, x, labels, dataset.class_names, feature_names=features
        )
    return [save(figure, Path(folder) / f"{name}{suffix}") for name, figure in figures.items()]


def _softmax(logits: Any) -> np.ndarray:
    odds = np.exp(np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True))
    shares: np.ndarray = odds / odds.sum(axis=-1, keepdims=True)
    return shares


def _check_outputs(found: np.ndarray, dataset: Dataset) -> None:
    wanted = (len(dataset.test.y), dataset.n_classes)
    if found.shape != wanted:
        raise InputError(f"write_plots: expected a model that gives outputs of shape {wanted}, got {found.shape}")
