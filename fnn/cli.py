"""The command line: ``python -m fnn train | evaluate | predict``.

Exit codes: 0 done, 1 bad input, 2 bad usage, 4 training diverged, 130 interrupted. JAX is imported once the options
are understood and not before, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from fnn.errors import DivergedError, InputError
from fnn.options import COMMANDS, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; every error is one line on stderr.

    Example:
        >>> main(["evaluate", "no-such-run"])  # and on stderr: fnn evaluate: no-such-run: no kept parameters there ...
        1
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in arguments if not word.startswith("-")), "")
    program = f"fnn {command}" if command in COMMANDS else "fnn"
    try:
        options = parse(arguments)
        # Imported here and not above: this is where JAX comes in.
        from fnn import commands

        run: Callable[[argparse.Namespace], None] = getattr(commands, options.command)
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
    except KeyboardInterrupt as interrupt:
        return _complain(program, interrupt if interrupt.args else "interrupted", 130)
    return 0


def _complain(program: str, what: object, code: int) -> int:
    # One line whatever the text: an error may quote a file name with a line break in it.
    print(f"{program}: {' '.join(str(what).split())}", file=sys.stderr)
    return code
