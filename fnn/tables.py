"""Rows of named values as text for a terminal and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def text_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table to print, numbers to four digits; what is missing or not finite is a dash.

    Args:
        rows: such as those of ``Swept.table()`` or ``Swept.over_seeds()``. Columns stand in the order of the names.

    Example:
        >>> print(text_table([{"learning_rate": 0.1, "loss": 0.123456}, {"learning_rate": 10, "loss": None}]))
         learning_rate     loss
        ────────────────────────
                   0.1   0.1235
                    10        –
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    names = _names(rows)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(_spoken(row.get(name)) for name in names))
    file = io.StringIO()
    # Wide enough for every column: a table that is cut off has lost what it is for.
    width = sum(max(len(name), *(len(_spoken(row.get(name))) for row in rows), 1) + 3 for name in names)
    Console(file=file, width=max(width, 1), color_system=None, markup=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def csv_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with a header, numbers in full; what is missing or not finite is empty.

    Example:
        >>> csv_table([{"learning_rate": 0.1, "loss": 0.5}, {"learning_rate": 10, "loss": None}]).split()
        ['learning_rate,loss', '0.1,0.5', '10,']
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, _names(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: value if _known(value) else "" for name, value in row.items()} for row in rows)
    return file.getvalue()


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _spoken(value: Any) -> str:
    if not _known(value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
