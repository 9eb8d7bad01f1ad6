"""What all pictures share: figures without global state, colours that everybody can tell apart, files."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from fnn.errors import InputError, expect

Figure = Any
"""A ``matplotlib.figure.Figure``; matplotlib is imported only when a picture is made."""

# Okabe and Ito, "Color Universal Design" (2008): told apart with every kind of colour vision. The yellow, too light
# for lines on white, and the black are left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
SUFFIXES = (".png", ".svg")


def new_figure(width: float = 6.4, height: float = 4.2) -> Figure:
    """An empty figure, drawn without a screen and known to no registry of figures.

    Args:
        width: in inches.
        height: in inches.

    Raises:
        InputError: matplotlib is not installed.

    Example:
        >>> new_figure(4, 3).get_size_inches().tolist()
        [4.0, 3.0]
    """
    try:
        figures = importlib.import_module("matplotlib.figure")
        backend = importlib.import_module("matplotlib.backends.backend_agg")
    except ImportError as error:
        raise InputError(
            "plots: expected matplotlib to be installed (pip install 'fnn[plot]'), got no such package"
        ) from error
    figure = figures.Figure(figsize=(width, height), layout="constrained")
    backend.FigureCanvasAgg(figure)
    return figure


def new_axes(figure: Figure, x: str, y: str, title: str = "") -> Any:
    """Axes with labels and a light grid that fill the figure."""
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y, title=title)
    tidy(axes)
    return axes


def tidy(axes: Any) -> None:
    """A light grid behind the data; no lines where there is nothing to bound."""
    axes.grid(True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: str | Path) -> Path:
    """Writes a figure; the suffix of ``path`` says how.

    Args:
        figure: what a function of this package gave.
        path: a file that ends in ``.png`` (150 dots per inch) or ``.svg``; its folder is made if there is none.

    Returns:
        The path.

    Raises:
        InputError: the suffix is another, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(new_figure(), f"{folder}/empty.svg").stat().st_size > 0
        True
    """
    path = Path(path)
    expect(path.suffix in SUFFIXES, "save", f"a path that ends in {' or '.join(SUFFIXES)}", f"{str(path)!r}")
    # Without a date the same figure gives the same file.
    metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata=metadata)
    except OSError as error:
        raise InputError(f"save: expected a path that can be written, got {str(path)!r}: {error.strerror}") from error
    return path
