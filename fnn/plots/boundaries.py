"""Which class each point of the plane is taken for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from fnn.errors import expect
from fnn.plots.figures import COLOURS, Figure, new_axes, new_figure

_POINTS = 200  # along each axis of the grid
_MARKERS = "os^Dv*"


def decision_boundary(
    probabilities: Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n classes"]],
    x: Float[np.ndarray, "n 2"],
    labels: Int[np.ndarray, " n"],
    class_names: Sequence[str] = (),
    *,
    feature_names: Sequence[str] = ("x1", "x2"),
) -> Figure:
    """Examples in the plane, and behind them the class that each place is taken for; stronger where it is surer.

    Args:
        probabilities: ``(n, 2) -> (n, classes)``, such as ``predict_proba`` of a scikit-learn classifier.
        x: the examples.
        labels: their classes, numbered from 0.
        class_names: what the classes are called, in order; empty for their numbers.
        feature_names: what the two numbers are called.

    Raises:
        InputError: ``x`` is not of shape (n, 2), or ``probabilities`` or ``labels`` do not fit it.

    Example:
        >>> def by_sign(x):
        ...     return np.stack([x[:, 0] < 0, x[:, 0] >= 0], axis=1)
        >>> figure = decision_boundary(by_sign, np.array([[-1.0, 0.0], [1.0, 0.5]]), np.array([0, 1]))
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['class 0', 'class 1']
    """
    x, labels = np.asarray(x), np.asarray(labels)
    sound = x.ndim == 2 and x.shape[1] == 2 and labels.shape == x.shape[:1] and len(x) > 0
    expect(sound, "decision_boundary", "x of shape (n, 2) and n labels", f"shapes {x.shape} and {labels.shape}")
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    margin = 0.08 * np.where(high > low, high - low, 1)
    low, high = low - margin, high + margin
    across, up = (np.linspace(low[i], high[i], _POINTS) for i in (0, 1))
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2).astype(np.float32)
    sureness = np.asarray(probabilities(grid), np.float64)
    expect(
        sureness.ndim == 2 and len(sureness) == len(grid),
        "decision_boundary",
        f"probabilities of shape ({len(grid)}, classes)",
        f"shape {sureness.shape}",
    )
    n = max(sureness.shape[1], int(labels.max()) + 1)
    palette = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in COLOURS])
    taken = sureness.argmax(axis=1)
    best = sureness.max(axis=1)
    # From white, where the classes are equally likely, to the colour of the class.
    strength = 0.55 * np.clip((best - 1 / n) / (1 - 1 / n), 0, 1) + 0.05
    background = 1 - strength[:, None] * (1 - palette[taken % len(palette)])
    figure = new_figure(5.6, 4.8)
    axes = new_axes(figure, *feature_names)
    axes.grid(False)
    axes.imshow(
        background.reshape(_POINTS, _POINTS, 3),
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        aspect="auto",
        interpolation="bilinear",
    )
    for k in range(sureness.shape[1]):
        others = np.delete(sureness, k, axis=1).max(axis=1, initial=0.0)
        lead = (sureness[:, k] - others).reshape(_POINTS, _POINTS)
        if lead.min() < 0 < lead.max():
            axes.contour(across, up, lead, levels=[0], colors="black", linewidths=1)
    for k in range(n):
        of_class = labels == k
        name = class_names[k] if k < len(class_names) else f"class {k}"
        style = {"color": COLOURS[k % len(COLOURS)], "marker": _MARKERS[k % len(_MARKERS)]}
        axes.scatter(*x[of_class].T, s=22, edgecolors="white", linewidths=0.6, label=name, **style)
    wrong = np.asarray(probabilities(x.astype(np.float32))).argmax(axis=1) != labels
    axes.set_title(f"{int(wrong.sum())} of {len(x)} on the wrong side", fontsize="medium")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure
