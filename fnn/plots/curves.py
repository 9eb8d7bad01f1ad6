"""Lines: what happens over epochs, over learning rates, over the runs of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from fnn.errors import expect
from fnn.plots.figures import COLOURS, Figure, new_axes, new_figure, tidy
from fnn.sweeping import Swept


def learning_curves(
    history: Sequence[Mapping[str, float]] | Mapping[str, Float[np.ndarray, "runs n_epochs"]], title: str = ""
) -> Figure:
    """Each metric over the epochs, that of training and that of validation in one panel.

    Args:
        history: what :func:`fnn.fit` gives: a dict of numbers per epoch. Or of several runs, as a sweep of
            :func:`fnn.fit_scan` gives it: arrays (runs, epochs) by name; then the line is the mean, the band one
            standard deviation to either side. Runs that are not finite are left out of an epoch.
        title: above it all.

    Raises:
        InputError: there is no epoch, or the arrays are not of two axes.

    Example:
        >>> figure = learning_curves([{"loss": 1.0, "validation_loss": 1.1}, {"loss": 0.5, "validation_loss": 0.7}])
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['training', 'validation']
    """
    metrics = _columns(history)
    panels: dict[str, list[tuple[str, str]]] = {}
    for name in metrics:
        part, base = _part(name)
        panels.setdefault(base, []).append((part, name))
    figure = new_figure(5.2 * len(panels), 3.9)
    if title:
        figure.suptitle(title)
    for axes, (base, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for colour, (part, name) in zip(_cycle(len(lines)), lines, strict=True):
            _band(axes, metrics[name], colour, part)
        axes.set(xlabel="epoch", ylabel=_spoken(base))
        axes.xaxis.get_major_locator().set_params(integer=True)
        tidy(axes)
        if len(lines) > 1 or lines[0][0] != "training":
            axes.legend(frameon=False)
    return figure


def learning_rate_curve(
    learning_rates: Float[np.ndarray, " n"], losses: Float[np.ndarray, " n"], suggestion: float | None = None
) -> Figure:
    """The loss while the learning rate grows from step to step, as a learning-rate finder sees it.

    Args:
        learning_rates: of each step.
        losses: after it; what is not finite is left out.
        suggestion: a learning rate to mark.

    Raises:
        InputError: the two differ in length, or nothing is finite.

    Source: L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3.

    Example:
        >>> figure = learning_rate_curve(np.array([0.01, 0.1, 1.0]), np.array([2.3, 1.1, 7.0]), 0.1)
        >>> figure.axes[0].get_xscale()
        'log'
    """
    rates, values = np.asarray(learning_rates, np.float64), np.asarray(losses, np.float64)
    expect(
        rates.ndim == 1 and rates.shape == values.shape,
        "learning_rate_curve",
        "as many losses as learning rates",
        f"shapes {rates.shape} and {values.shape}",
    )
    finite = np.isfinite(values)
    expect(bool(finite.any()), "learning_rate_curve", "a finite loss", "none")
    figure = new_figure()
    axes = new_axes(figure, "learning rate", "loss")
    axes.plot(rates[finite], values[finite], color=COLOURS[0])
    axes.set_xscale("log")
    # Where it diverges the loss grows by orders of magnitude, and would flatten all that is of interest.
    low, first = values[finite].min(), values[finite][0]
    axes.set_ylim(low - 0.1 * (first - low) - 1e-12, min(values[finite].max(), first + 1.5 * (first - low)) + 1e-12)
    if suggestion is not None:
        axes.axvline(suggestion, color=COLOURS[1], linestyle="--", label=f"suggested: {suggestion:.2g}")
        axes.legend(frameon=False)
    return figure


def sweep_curve(swept: Swept, metric: str, over: str | None = None) -> Figure:
    """A metric against a hyperparameter: a dot per run, the mean over seeds as a line, a band of one deviation.

    Args:
        swept: what :func:`fnn.sweep` gave.
        metric: the name of a single number of the results, as in ``swept.rows()``.
        over: the hyperparameter along the axis; ``None`` for the first. Each combination of the others is a line.

    Raises:
        InputError: there is no such metric or hyperparameter.

    Example:
        >>> settings = {"learning_rate": np.array([0.1, 0.1, 1.0, 1.0]), "seed": np.array([0, 1, 0, 1])}
        >>> figure = sweep_curve(Swept(settings, {"loss": np.array([0.5, 0.6, 0.2, 0.3])}, 4), "loss")
        >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
        ('learning rate', 'loss')
    """
    rows = swept.rows()
    names = [name for name in swept.settings if name != "seed"]
    results = [name for name in rows[0] if name not in swept.settings]
    expect(metric in results, "sweep_curve", f"a metric of {', '.join(results)}", repr(metric))
    expect(bool(names), "sweep_curve", "a sweep over a hyperparameter", "one over seeds alone")
    over = names[0] if over is None else over
    expect(over in names, "sweep_curve", f"a hyperparameter of {', '.join(names)}", repr(over))
    others = [name for name in names if name != over]
    groups: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in others), []).append((row[over], row[metric]))
    figure = new_figure()
    axes = new_axes(figure, _spoken(over), _spoken(metric))
    n_lost = 0
    for colour, (values, points) in zip(_cycle(len(groups)), groups.items(), strict=True):
        x, y = np.array(points, np.float64).T
        finite = np.isfinite(y)
        n_lost += int((~finite).sum())
        places = np.unique(x[finite])
        at = [y[finite & (x == place)] for place in places]
        mean = np.array([part.mean() for part in at])
        spread = np.array([part.std(ddof=1) if len(part) > 1 else 0.0 for part in at])
        label = ", ".join(f"{_spoken(name)} {value:.4g}" for name, value in zip(others, values, strict=True))
        axes.plot(places, mean, color=colour, marker="o", label=label or None)
        axes.fill_between(places, mean - spread, mean + spread, color=colour, alpha=0.18, linewidth=0)
        axes.scatter(x[finite], y[finite], color=colour, s=9, alpha=0.5, linewidths=0)
    places = np.unique(swept.settings[over].astype(np.float64))
    if len(places) > 2 and places[0] > 0 and places[-1] / places[0] >= 20:
        axes.set_xscale("log")
    if others:
        axes.legend(frameon=False)
    n_seeds = len(np.unique(swept.settings["seed"]))
    note = f"mean and standard deviation over {n_seeds} seeds" if n_seeds > 1 else "one seed"
    axes.set_title(note + (f"; {n_lost} diverged runs left out" if n_lost else ""), fontsize="medium", color="0.35")
    return figure


def _columns(history: Any) -> dict[str, np.ndarray]:
    """Arrays (runs, epochs) by name."""
    if isinstance(history, Mapping):
        metrics = {name: np.asarray(values, np.float64) for name, values in history.items()}
    else:
        names = dict.fromkeys(name for epoch in history for name in epoch)
        metrics = {name: np.array([[epoch.get(name, np.nan) for epoch in history]], np.float64) for name in names}
    for name, values in metrics.items():
        expect(
            values.ndim == 2 and values.size > 0,
            "learning_curves",
            f"{name} of shape (runs, epochs), at least one of each",
            f"shape {values.shape}",
        )
    expect(bool(metrics), "learning_curves", "at least one epoch", "none")
    return metrics


def _band(axes: Any, values: np.ndarray, colour: str, label: str) -> None:
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    shown = count > 0
    kept = np.where(finite, values, 0)
    mean = kept.sum(axis=0)[shown] / count[shown]
    squares = np.where(finite[:, shown], values[:, shown] - mean, 0) ** 2
    spread = np.sqrt(squares.sum(axis=0) / np.maximum(count[shown] - 1, 1))
    number = np.arange(1, values.shape[1] + 1)[shown]
    axes.plot(number, mean, color=colour, label=label, marker="o" if len(number) < 16 else None, markersize=4)
    if len(values) > 1:
        axes.fill_between(number, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)


def _part(name: str) -> tuple[str, str]:
    """Which examples a metric is about, and what it is called without that."""
    for part in ("validation", "test"):
        if name.startswith(f"{part}_"):
            return part, name.removeprefix(f"{part}_")
    return "training", name


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _cycle(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]
