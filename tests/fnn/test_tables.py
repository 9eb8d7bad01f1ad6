import csv
import io
import math

from fnn.tables import csv_table, text_table

ROWS = [
    {"[red]": 0.1, "n": 3, "ok": True, "loss": 1 / 3},
    {"[red]": 1e-7, "n": 20, "ok": False, "loss": math.nan},
]


def test_text_is_never_cut_or_styled_and_lines_up():
    wide = [{f"a_long_name_{i}": 1.0 for i in range(30)}]
    assert text_table(wide).splitlines()[0].split() == list(wide[0])
    head, _, first, second = text_table(ROWS).splitlines()
    assert head.split() == ["[red]", "n", "ok", "loss"]
    assert first.split() == ["0.1", "3", "yes", "0.3333"]
    assert second.split() == ["1e-07", "20", "no", "–"]
    assert len(head) == len(first) == len(second)


def test_csv_is_read_back_in_full():
    first, second = csv.DictReader(io.StringIO(csv_table(ROWS)))
    assert float(first["loss"]) == 1 / 3
    assert second == {"[red]": "1e-07", "n": "20", "ok": "False", "loss": ""}


def test_no_rows():
    assert text_table([]).strip() == ""
    assert csv_table([]).strip() == ""
