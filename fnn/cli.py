"""The command line: ``python -m fnn train | evaluate | predict | export``.

Exit codes: 0 done, 1 bad input, 2 bad usage, 4 training diverged, 130 interrupted, 143 told to end. JAX is imported
when the options are understood and not before, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from fnn.arguments import COMMANDS, parse
from fnn.errors import DivergedError, InputError

_NO_MEMORY = "RESOURCE_EXHAUSTED: "


class Terminated(KeyboardInterrupt):
    """The system, or a scheduler, has told the process to end: SIGTERM."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; every error is one line on stderr.

    Example:
        >>> main(["evaluate", "no-such-run"])  # and on stderr: fnn evaluate: no-such-run: no kept parameters there ...
        1
    """
    _open_closed_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in arguments if not word.startswith("-")), "")
    program = f"fnn {command}" if command in COMMANDS else "fnn"
    try:
        options = parse(arguments)
        # Imported here and not above: this is where JAX comes in.
        from fnn import commands

        run: Callable[[argparse.Namespace], None] = getattr(commands, options.command)
        with _terminable():
            run(options)
        sys.stdout.flush()
    except SystemExit as stop:  # argparse, after --help or a usage error
        return stop.code if isinstance(stop.code, int) else 2
    except BrokenPipeError:  # the reader of our output went away, as in "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except DivergedError as error:
        return _complain(program, error, 4)
    except (InputError, OSError) as error:
        return _complain(program, error, 1)
    except (MemoryError, RuntimeError) as error:
        # XLA's error has no class of its own, and JAX's may not be named here, where JAX may not be there yet.
        if not isinstance(error, MemoryError) and not str(error).startswith(_NO_MEMORY):
            raise
        what = str(error).removeprefix(_NO_MEMORY).partition("\n")[0] or "out of memory"
        return _complain(program, f"{what} A smaller model, or smaller batches, may fit.", 1)
    except Terminated as end:
        return _complain(program, end if end.args else "told to end", 143)
    except KeyboardInterrupt as interrupt:
        return _complain(program, interrupt if interrupt.args else "interrupted", 130)
    return 0


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does: what there is to keep is kept."""
    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield
        return

    def end(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _open_closed_streams() -> None:
    """Python has None for a stream that the shell closed (``>&-``), and prints to stdout what was meant for stderr."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _complain(program: str, what: object, code: int) -> int:
    # One line whatever the text: an error may quote a file name with a line break in it.
    print(f"{program}: {' '.join(str(what).split())}", file=sys.stderr)
    return code
