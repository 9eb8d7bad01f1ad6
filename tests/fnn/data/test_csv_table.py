import numpy as np
import pytest

from fnn import DataError, InputError
from fnn.data import load_csv

HEAD = "length,width,kind"
ROWS = ["5.5,3,rose", "4,2.25,iris", "5,1e-1,rose", "-4,+3,iris", "6,7,rose", "6,8,iris"]


@pytest.fixture
def write(tmp_path):
    def write(text, name="flowers.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def lines(*rows):
    return "\n".join([HEAD, *rows]) + "\n"


def test_every_number_comes_through(write):
    data = load_csv(write(lines(*ROWS)), held_out=1 / 3, seed=1)
    assert (data.name, data.task, data.n_classes, data.scale) == ("flowers", "single-label", 2, 1.0)
    assert (data.class_names, data.feature_names) == (("iris", "rose"), ("length", "width"))
    assert sorted(data.test.y.tolist()) == [0, 1]
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int32)
    rows = np.concatenate([np.column_stack([part.x, part.y]) for part in (data.train, data.test)])
    expected = [[5.5, 3, 1], [4, 2.25, 0], [5, 0.1, 1], [-4, 3, 0], [6, 7, 1], [6, 8, 0]]
    np.testing.assert_array_equal(sorted(rows.tolist()), sorted(np.float32(expected).tolist()))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\n\n").replace(",", ", "),
        lambda text: text.replace("rose", '"rose"').replace("width", '"width"'),
    ],
)
def test_dialects(write, change):
    plain, changed = (load_csv(write(text)) for text in (lines(*ROWS), change(lines(*ROWS))))
    np.testing.assert_array_equal(changed.train.x, plain.train.x)
    assert (changed.class_names, changed.feature_names) == (plain.class_names, plain.feature_names)


def test_columns_and_test_file_are_chosen(write):
    path, test = write(lines(*ROWS)), write("kind,width,length\niris,1,2\n", "test.csv")
    data = load_csv(path, target="kind", features=["width"], test_path=test)
    assert (len(data.train.x), data.test.x.tolist(), data.test.y.tolist()) == (6, [[1]], [0])


def test_numbered_classes_are_in_the_order_of_numbers(write):
    data = load_csv(write("a,b\n" + "".join(f"{i},{i % 3 + 9}\n" for i in range(9))), held_out=1 / 3)
    assert data.class_names == ("9", "10", "11")


def test_regression(write):
    data = load_csv(write("a,b\n1,0.5\n2,1\n3,1.5\n4,2\n"), task="regression", target="a", held_out=0.5)
    assert (data.task, data.n_classes, data.train.y.shape, data.train.y.dtype) == ("regression", 0, (2, 1), np.float32)
    np.testing.assert_array_equal(data.train.y, 2 * data.train.x)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines("5,,rose"), r"flowers.csv, line 2, column 'width': expected a number, got a missing value \(''\)$"),
        (lines(*ROWS, "5,NaN,rose"), r", line 8, column 'width': expected a number, got a missing value \('nan'\)$"),
        (lines("5,3,rose", "4,1_0,iris"), r", line 3, column 'width': expected a number, got '1_0'$"),
        (lines("5,three,rose"), r", line 2, column 'width': expected a number, got 'three'$"),
        (lines("-inf,3,rose"), r", line 2, column 'length': expected a finite number, got '-inf'$"),
        (lines(*ROWS, "5,3, "), r", line 8, column 'kind': expected a class, got a missing value \(''\)$"),
        (lines(*ROWS, "5,3"), r", line 8: expected 3 cells as in the first line, got 2$"),
        (lines("1e300,3,rose", "1,3,rose", "1,3,iris"), r"expected finite numbers, got inf at x\["),
        (lines(), r"expected at least one line under the names of the columns, got none$"),
        (lines("5,3,rose", "4,3,rose"), r"at least two classes in column 'kind', got only 'rose'$"),
        (lines("5,3,0.5", "4,3,1"), r"got the number 0.5; to predict a number, set the task to regression$"),
        ("", r"the names of columns in the first line, got an empty file$"),
        ("a,b,a\n1,2,3\n", r"expected columns of different names, got 'a' more than once$"),
        ("1,2,3\n4,5,6\n", r"the names of columns in the first line, got numbers$"),
        ("a\n1\n", r"expected at least two columns, got one, 'a'$"),
        (",kind\n1,rose\n", r"no column ''; the first line names '', 'kind'$"),
        ('a,b\n1,"x\n', r"damaged: unexpected end of data$"),
        ("größe,b\n1,x\n".encode("latin-1"), r"flowers.csv: expected text in UTF-8, got the byte 0xf6$"),
        (b"\x1f\x8b\x08\x00\xff", r"expected text in UTF-8, got the byte 0x8b$"),
    ],
)
def test_one_clear_error(write, text, message):
    with pytest.raises(DataError, match=message):
        load_csv(write(text))


def test_refusals(write, tmp_path):
    path = write(lines(*ROWS))
    with pytest.raises(DataError, match=r"no column 'sort'; the first line names 'length', 'width', 'kind'$"):
        load_csv(path, target="sort")
    for features in ([], ["kind"], ["width", "width"]):
        with pytest.raises(DataError, match=r"columns to predict 'kind' from, got (none|\[.*\])$"):
            load_csv(path, features=features)
    with pytest.raises(DataError, match=r"line 2, column 'kind': expected a number, got 'rose'$"):
        load_csv(path, task="regression")
    with pytest.raises(DataError, match=r"test.csv, line 2, .* one of the classes of the training data, got 'tulip'$"):
        load_csv(path, test_path=write(lines("1,2,tulip"), "test.csv"))
    with pytest.raises(InputError, match=r"^load_csv: expected task 'single-label' or 'regression', got 'multi'$"):
        load_csv(path, task="multi")
    with pytest.raises(InputError, match=r"^load_csv: expected a delimiter of one character, got '::'$"):
        load_csv(path, delimiter="::")
    for missing in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(DataError, match=r"cannot be read: (Is a directory|No such file)"):
            load_csv(missing)
