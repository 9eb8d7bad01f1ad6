"""Where a classifier is wrong: which classes it takes for which, and the images that it misjudges most surely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from fnn.errors import expect
from fnn.plots.figures import Figure, new_figure


def confusion_matrix(
    labels: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], class_names: Sequence[str] = ()
) -> Figure:
    """How many examples of each true class were taken for which class.

    The shade of a field is its share of its row, so that rare classes show; the number in it is the count.

    Args:
        labels: the true classes, numbered from 0.
        predicted: the predicted classes.
        class_names: what the classes are called, in order; empty for their numbers.

    Raises:
        InputError: there are no examples, the two differ in length, or a class has no name.

    Example:
        >>> figure = confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), ["cat", "dog"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1', '1', '0', '1']
    """
    labels, predicted = _checked("confusion_matrix", labels, predicted)
    n = int(max(labels.max(), predicted.max())) + 1
    names = list(class_names) or [str(i) for i in range(n)]
    expect(len(names) >= n, "confusion_matrix", f"names for {n} classes", f"{len(names)} names")
    n = len(names)
    counts = np.bincount(labels * n + predicted, minlength=n * n).reshape(n, n)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.0, 0.55 * n + 1.6)
    figure = new_figure(side + 0.8, side)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
    for i in range(n):
        for j in range(n):
            # Zeros are left pale, so that the eye goes to what is there.
            colour = "white" if shares[i, j] > 0.6 else "0.75" if counts[i, j] == 0 else "black"
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize="small")
    long = max(len(name) for name in names) > 3
    axes.set_xticks(range(n), names, rotation=45 if long else 0, ha="right" if long else "center")
    axes.set_yticks(range(n), names)
    n_wrong, n_all = int((labels != predicted).sum()), len(labels)
    axes.set(xlabel="predicted class", ylabel="true class", title=f"{n_wrong} of {n_all} wrong ({n_wrong / n_all:.2%})")
    return figure


def misclassified(
    images: Float[np.ndarray, "n height width channels"],
    labels: Int[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n classes"],
    class_names: Sequence[str] = (),
    *,
    limit: int = 25,
) -> Figure:
    """The images that are taken for another class, the surest mistakes first; true and predicted class above each.

    Args:
        images: of one or three channels.
        labels: the true classes, numbered from 0.
        probabilities: what the model says of each class.
        class_names: what the classes are called, in order; empty for their numbers.
        limit: how many are shown at most.

    Raises:
        InputError: there are no examples, numbers of them differ, or ``images`` are none.

    Example:
        >>> images, labels = np.zeros((2, 8, 8, 1)), np.array([0, 1])
        >>> figure = misclassified(images, labels, np.array([[0.1, 0.9], [0.2, 0.8]]))
        >>> figure.axes[0].get_title()
        '0, taken for 1\\n90 %'
    """
    probabilities = np.asarray(probabilities)
    labels, predicted = _checked("misclassified", labels, probabilities.argmax(axis=1))
    images = np.asarray(images)
    expect(
        is_image(images.shape[1:]) and len(images) == len(labels),
        "misclassified",
        f"images of shape ({len(labels)}, height, width, 1 or 3)",
        f"shape {images.shape}",
    )
    sureness = probabilities[np.arange(len(labels)), predicted]
    wrong = np.flatnonzero(predicted != labels)
    shown = wrong[np.argsort(-sureness[wrong], kind="stable")][:limit]
    if not len(shown):
        figure = new_figure(5, 1.5)
        figure.text(0.5, 0.5, f"None of {len(labels)} examples is misclassified.", ha="center", va="center")
        return figure
    names = list(class_names) or [str(i) for i in range(probabilities.shape[1])]
    n_columns = min(5, len(shown))
    n_rows = -(-len(shown) // n_columns)
    figure = new_figure(max(5.0, 1.6 * n_columns), 1.9 * n_rows + 0.5)
    figure.suptitle(f"{len(wrong)} of {len(labels)} misclassified" + (", the surest first" if len(wrong) > 1 else ""))
    low, high = float(images.min()), float(images.max())
    for axes, i in zip(figure.subplots(n_rows, n_columns, squeeze=False).ravel(), shown, strict=False):
        show(axes, images[i], low, high)
        title = f"{names[labels[i]]}, taken for {names[predicted[i]]}\n{sureness[i]:.0%}".replace("%", " %")
        axes.set_title(title, fontsize="small")
    for axes in figure.axes:
        axes.set_axis_off()
    return figure


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether one input of this shape can be looked at."""
    return len(shape) == 3 and shape[-1] in (1, 3) and min(shape[:2]) > 1


def show(axes: Any, image: np.ndarray, low: float, high: float) -> None:
    """Draws an image, grey or in colour, ``low`` black and ``high`` white."""
    scaled = (image - low) / (high - low if high > low else 1)
    drawn = scaled[..., 0] if image.shape[-1] == 1 else scaled
    axes.imshow(drawn, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _checked(where: str, labels: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    sound = labels.ndim == 1 and labels.shape == predicted.shape and labels.size > 0
    expect(sound, where, "as many predictions as labels, at least one", f"shapes {labels.shape}, {predicted.shape}")
    whole = all(np.issubdtype(part.dtype, np.integer) and part.min() >= 0 for part in (labels, predicted))
    expect(whole, where, "classes numbered from 0", f"{labels.dtype} from {labels.min()}")
    return labels.astype(np.int64), predicted.astype(np.int64)
