"""What a person sees while waiting, on stderr, and tables on stdout."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn
from rich.table import Table

from fnn.runs import as_json
from fnn.summary import Row


class Progress:
    """A moving bar on a terminal; where stderr is none, or with ``NO_COLOR``, a plain line per epoch.

    Args:
        n_epochs: how many epochs there will be.
        n_steps: how many updates, over all epochs.
    """

    def __init__(self, n_epochs: int, n_steps: int) -> None:
        console = Console(stderr=True)
        self._n_epochs, self._begin = n_epochs, time.perf_counter()
        self._plain = not console.is_terminal or "NO_COLOR" in os.environ
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            console=console,
            disable=self._plain,
            transient=True,
        )
        self._task = self._bar.add_task(f"epoch 1/{n_epochs}", total=n_steps)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, sent: int) -> None:
        """So many updates were sent off."""
        if not self._plain:
            self._bar.update(self._task, completed=sent)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """An epoch has ended."""
        seconds = time.perf_counter() - self._begin
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        line = f"epoch {number}/{self._n_epochs}: {numbers}, {seconds:.1f} s"
        if self._plain:
            print(line, file=sys.stderr)
        else:
            self._bar.console.print(line, highlight=False)
            self._bar.update(self._task, description=f"epoch {min(number + 1, self._n_epochs)}/{self._n_epochs}")


def print_summary(title: str, rows: Sequence[Row]) -> None:
    """The layers of a model as a table on stdout, with totals."""
    cells = [[row.name, _shape(row.output), f"{row.parameters:,}", f"{row.flops:,}"] for row in rows]
    totals = ["total", "", f"{sum(row.parameters for row in rows):,}", f"{sum(row.flops for row in rows):,}"]
    print_table(title, ["layer", "output", "parameters", "FLOPs"], [*cells, totals])


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout, the first column to the left, the others to the right."""
    console = Console(file=sys.stdout, highlight=False)
    console.print(title, style="italic", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on stdout; null stands for what is not finite."""
    print(as_json(document))


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape[1:]) or "1"
