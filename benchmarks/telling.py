"""What a person sees on stderr while a measurement goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A moving bar on a terminal, a line for each part elsewhere.

    Args:
        what: is waited for.
        total: number of parts.

    Yields:
        A function that is called with what there is to say, ``""`` for nothing, after each part.

    Example:
        >>> with progress("waiting", 2) as step:
        ...     step("")
        ...     step("")
    """
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def step(line: str) -> None:
            bar.advance(task)
            if line and not console.is_terminal:
                print(f"{what}: {line}", file=sys.stderr, flush=True)

        yield step
