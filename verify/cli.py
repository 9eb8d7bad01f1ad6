"""``python -m verify``: check worked examples; with no file, the five lecture decks that come with the package."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from verify.checking import Checked

OK, ERROR, USAGE, WRONG, INTERRUPTED = 0, 1, 2, 3, 130


class Parser(argparse.ArgumentParser):
    """Names the nearest known option where an unknown one is refused."""

    def error(self, message: str) -> NoReturn:
        head, _, unknown = message.partition("unrecognized arguments: ")
        if unknown and not head:
            known = [option for action in self._actions for option in action.option_strings]
            close = difflib.get_close_matches(unknown.split()[0], known, n=1)
            message += f" (did you mean {close[0]}?)" if close else ""
        super().error(message)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = Parser(
        allow_abbrev=False,
        prog="python -m verify",
        description="Find out whether worked backpropagation is right and, where it is not, why.",
        epilog="Exit code: 0 every claim is right or wrong as recorded, 1 a file cannot be used, 2 usage, "
        "3 a claim is wrong that is not recorded as wrong.",
    )
    parse.add_argument("files", nargs="*", type=Path, metavar="FILE", help="worked-example files (TOML)")
    parse.add_argument("--json", action="store_true", help="print one JSON document")
    parse.add_argument("--html", type=Path, metavar="PAGE", help="write the report as a web page too")
    parse.add_argument("--errata", action="store_true", help="print what is wrong and why, without the steps")
    parse.add_argument(
        "--coverage", action="store_true", help="print the table of what is checked in the decks, page by page"
    )
    parse.add_argument(
        "--proofs", action="store_true", help="print the proofs for every size (softmax, BP1 to BP4, ...)"
    )
    parse.add_argument("--explain", metavar="ID", help="one claim: its derivation beside the mistaken one")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(argv)
    try:
        return run(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader (head, less) has seen enough
        return OK


def run(options: argparse.Namespace) -> int:
    """Check the files and print what was asked for."""
    if options.proofs:
        return proofs(options.json)
    from verify import coverage
    from verify.checking import deck_files
    from verify.reading.example import ExampleError
    from verify.report import document, errata, page, text

    try:
        checked = check_all(options.files or deck_files())
    except ExampleError as error:
        print(f"python -m verify: {error}", file=sys.stderr)
        return ERROR
    if options.html is not None:
        try:
            options.html.write_text(page.page(checked), encoding="utf-8")
        except OSError as error:
            print(f"python -m verify: --html {options.html}: {error.strerror or error}", file=sys.stderr)
            return ERROR
    as_expected = document.summary(checked)["as_expected"]
    if options.explain is not None:
        return explain(checked, options.explain)
    if options.coverage:
        rows = coverage.table(checked)
        print(
            json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False)
            if options.json
            else coverage.to_text(rows)
        )
    elif options.json:
        print(json.dumps(document.document(checked), indent=1, ensure_ascii=False))
    elif options.errata:
        print("\n".join([*errata.errata(checked), *text.closing(checked)]))
    else:
        print(text.report(checked))
    return OK if as_expected else WRONG


def proofs(as_json: bool) -> int:
    """Print every proof for all sizes; a claim that is refuted is one that a deck prints wrongly."""
    from verify.indexed import all_proofs

    made = all_proofs()
    if as_json:
        print(json.dumps([proof.to_dict() for proof in made], indent=1, ensure_ascii=False))
    else:
        print("\n\n".join(map(str, made)))
    return OK


def check_all(files: Sequence[Path]) -> list[Checked]:
    """Check every file, with progress on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from verify.checking import check

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("checking", total=len(files))
        checked = []
        for file in files:
            checked.append(check(file))
            progress.advance(task)
    return checked


def explain(checked: Sequence[Checked], wanted: str) -> int:
    """Print the explanation of one claim, named by its id or by ``example:id``."""
    from verify.reading.formula import nearest
    from verify.report import text

    ids = []
    for one in checked:
        for judgement in one.judgements:
            ids.append(judgement.claim.id)
            if wanted in (judgement.claim.id, f"{one.example.id}:{judgement.claim.id}"):
                print("\n".join(text.explain(one, judgement)))
                return OK
    print(f"python -m verify: --explain: no claim has the id {wanted}{nearest(wanted, ids)}", file=sys.stderr)
    return USAGE
