"""Comma-separated values, the names of the columns in the first line, as a data set."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from fnn.data.dataset import Dataset
from fnn.data.tables import check_task, make_table
from fnn.errors import DataError, expect

_DELIMITERS = ",;\t"
_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


class _Table(NamedTuple):
    x: Float[np.ndarray, "rows features"]
    targets: list[str]
    lines: list[int]
    features: list[str]
    target: str


def load_csv(
    path: str | Path,
    *,
    target: str | None = None,
    task: str = "single-label",
    features: Sequence[str] | None = None,
    test_path: str | Path | None = None,
    held_out: float = 0.2,
    seed: int = 0,
    delimiter: str | None = None,
) -> Dataset:
    """A data set from a file of comma-separated values in UTF-8, whose first line names the columns.

    Args:
        path: the file.
        target: the column to predict; ``None`` for the last.
        task: ``"single-label"``: the cells of the target are classes, words or whole numbers, numbered in their order
            from 0; ``"regression"``: they are numbers.
        features: the columns to predict from, all of numbers; ``None`` for all others.
        test_path: a second file with these columns, to test with; ``None``: examples of the first are held out.
        held_out: the share held out, of each class alike, if there is no second file.
        seed: decides which.
        delimiter: what stands between cells; ``None``: comma, semicolon or tab, whichever splits the first line most.

    Returns:
        Inputs as they stand in the file, float32; :func:`fnn.data.standardize` brings them to one size.

    Raises:
        DataError: the file is missing, is not UTF-8, has no such column or two of one name, or lines of unequal length;
            a cell is missing or no finite number (line and column are named); there is a single class.
        InputError: an argument is out of range.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "flowers.csv"
        ...     _ = path.write_text("length,width,kind\\n5,3,rose\\n4,2,iris\\n5,2,rose\\n4,3,iris\\n")
        ...     flowers = load_csv(path, held_out=0.5)
        >>> flowers.class_names, flowers.feature_names, sorted(flowers.test.y.tolist())
        (('iris', 'rose'), ('length', 'width'), [0, 1])
    """
    check_task("load_csv", task)
    sound = delimiter is None or (len(delimiter) == 1 and delimiter not in '\r\n" ')
    expect(sound, "load_csv", "a delimiter of one character", repr(delimiter))
    name = Path(path).stem
    table = _read(path, target, features, delimiter)
    test = None if test_path is None else _read(test_path, table.target, table.features, delimiter)
    if task == "regression":
        y, class_names = _numbers(path, table), []
        test_y = None if test is None or test_path is None else _numbers(test_path, test)
    else:
        class_names = _class_names(path, table)
        y = _labels(path, table, class_names)
        test_y = None if test is None or test_path is None else _labels(test_path, test, class_names)
    return make_table(
        name,
        (table.x, y),
        None if test is None or test_y is None else (test.x, test_y),
        task=task,
        held_out=held_out,
        seed=seed,
        class_names=class_names,
        feature_names=table.features,
    )


def _read(path: str | Path, target: str | None, features: Sequence[str] | None, delimiter: str | None) -> _Table:
    rows = _rows(path, delimiter)
    _, header = next(rows, (1, []))
    if not header:
        raise DataError(f"{path}: expected the names of columns in the first line, got an empty file")
    names = [cell.strip() for cell in header]
    _check_header(path, names)
    target = names[-1] if target is None else target
    wanted = [name for name in names if name != target] if features is None else list(features)
    for name in (target, *wanted):
        if name not in names or not name:
            raise DataError(f"{path}: no column {name!r}; the first line names {', '.join(map(repr, names))}")
    if not wanted or target in wanted or len(set(wanted)) < len(wanted):
        raise DataError(f"{path}: expected different columns to predict {target!r} from, got {wanted or 'none'}")
    at, target_at = [names.index(name) for name in wanted], names.index(target)
    numbers, targets, lines = array("d"), [], []
    for line, row in rows:
        if len(row) != len(names):
            raise DataError(f"{path}, line {line}: expected {len(names)} cells as in the first line, got {len(row)}")
        cells = [row[i] for i in at]
        try:
            numbers.extend([float(cell) for cell in cells])
            garbled = "_" in "".join(cells)  # float takes 1_000
        except ValueError:
            garbled = True
        if garbled:
            for name, cell in zip(wanted, cells, strict=True):
                _to_number(path, line, name, cell)
        targets.append(row[target_at].strip())
        lines.append(line)
    if not targets:
        raise DataError(f"{path}: expected at least one line under the names of the columns, got none")
    x = np.frombuffer(numbers).reshape(len(targets), len(wanted))
    if not np.isfinite(x).all():
        i, j = np.argwhere(~np.isfinite(x))[0]
        _to_number(path, lines[i], wanted[j], str(x[i, j]))
    return _Table(x, targets, lines, wanted, target)


def _rows(path: str | Path, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            if delimiter is None:
                first = file.readline()
                file.seek(0)
                delimiter = max(_DELIMITERS, key=lambda d: len(next(csv.reader([first], delimiter=d), [])))
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected text in UTF-8, got the byte {error.object[error.start]:#04x}") from None
    except csv.Error as error:
        raise DataError(f"{path}: damaged: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _check_header(path: str | Path, names: list[str]) -> None:
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: expected columns of different names, got {twice[0]!r} more than once")
    if all(_is_number(name) for name in names):
        raise DataError(f"{path}: expected the names of columns in the first line, got numbers")
    if len(names) < 2:
        raise DataError(f"{path}: expected at least two columns, got one, {names[0]!r}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _to_number(path: str | Path, line: int, column: str, cell: str) -> float:
    place = f"{path}, line {line}, column {column!r}"
    text = cell.strip()
    if text.lower() in _MISSING:
        raise DataError(f"{place}: expected a number, got a missing value ({text!r})")
    if "_" in text or not _is_number(text):
        raise DataError(f"{place}: expected a number, got {text[:60]!r}")
    number = float(text)
    if not np.isfinite(number):
        raise DataError(f"{place}: expected a finite number, got {text!r}")
    return number


def _numbers(path: str | Path, table: _Table) -> np.ndarray:
    pairs = zip(table.lines, table.targets, strict=True)
    return np.array([_to_number(path, line, table.target, cell) for line, cell in pairs])


def _class_names(path: str | Path, table: _Table) -> list[str]:
    """In the order of their numbers, if all are whole numbers, else of the alphabet."""
    names = sorted(set(table.targets))
    if all(_is_number(name) for name in names):
        fractions = [name for name in names if not float(name).is_integer()]
        if fractions:
            raise DataError(
                f"{path}: expected classes in column {table.target!r}, got the number {fractions[0]}; "
                "to predict a number, set the task to regression"
            )
        names.sort(key=float)
    if len(names) < 2:
        raise DataError(f"{path}: expected at least two classes in column {table.target!r}, got only {names[0]!r}")
    return names


def _labels(path: str | Path, table: _Table, class_names: list[str]) -> np.ndarray:
    number_of = {name: number for number, name in enumerate(class_names)}
    for line, cell in zip(table.lines, table.targets, strict=True):
        place = f"{path}, line {line}, column {table.target!r}"
        if cell.lower() in _MISSING - {"none"}:  # "none" may well be a class
            raise DataError(f"{place}: expected a class, got a missing value ({cell!r})")
        if cell not in number_of:
            raise DataError(f"{place}: expected one of the classes of the training data, got {cell!r}")
    return np.array([number_of[cell] for cell in table.targets], np.int32)
