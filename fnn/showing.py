"""Parameters and models to look into, in a notebook or a browser, by treescope."""

from __future__ import annotations

import importlib
import warnings
from typing import Any, NamedTuple

from fnn.types import Model


class Shown(NamedTuple):
    """What :func:`show` gives: in a notebook it appears as a tree that folds, printed it is text.

    Attributes:
        html: a fragment of a page, complete with its style and script; none of it is fetched.
        text: the same, all unfolded.
    """

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.text


def show(value: Any) -> Shown:
    """A pytree (parameters, states, a ``TrainState``) with shapes, means and pictures of its arrays; a model's layers.

    Args:
        value: any Python value; a :class:`fnn.Model` is shown by the names of its layers.

    Example:
        >>> from fnn import mlp
        >>> print(show(mlp([], 10)))
        {'mlp': {'00_flatten': 'flatten', '01_dense': 'dense'}}
    """
    tree = {value.name: _outline(value)} if isinstance(value, Model) else value
    treescope: Any = importlib.import_module("treescope")  # comes without types
    with warnings.catch_warnings(), treescope.active_autovisualizer.set_scoped(treescope.ArrayAutovisualizer()):
        # When it looks through NumPy's names, NumPy warns it of those that are going.
        warnings.simplefilter("ignore", DeprecationWarning)
        return Shown(treescope.render_to_html(tree, compressed=False), treescope.render_to_text(tree))


def _outline(model: Model) -> Any:
    return {label: _outline(layer) for label, layer in model.layers} or model.name
