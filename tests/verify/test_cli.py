"""The command line: exit codes, one line for each error, no traceback, no JAX for --help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from verify.cli import main

GOOD = """
id = "t"
title = "t"
source = "t"
given = {x = "2"}
compute = {y = "x*x"}
claims = [{slide = 1, what = "y", printed = "4"}]
"""


def write(folder: Path, text: str) -> str:
    path = folder / "example.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_right_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([write(tmp_path, GOOD)]) == 0
    assert "1 claim in 1 example: 1 right." in capsys.readouterr().out


def test_json_is_one_document_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([write(tmp_path, GOOD), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["examples"][0]["claims"][0]["verdict"] == "right"
    assert err == ""


def test_a_wrong_claim_is_exit_code_3(tmp_path: Path) -> None:
    assert main([write(tmp_path, GOOD.replace('"4"', '"5.5"')), "--errata"]) == 3


def test_an_expected_wrong_claim_is_exit_code_0(tmp_path: Path) -> None:
    assert main([write(tmp_path, GOOD.replace('"4"', '"55", expected = "wrong"'))]) == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("x*x", "x*q"), "unknown name q"),
        (GOOD.replace("x*x", "open(x)"), "unknown function open"),
        (GOOD.replace("x*x", "x.real"), "attribute .real is not allowed"),
        (GOOD.replace("x*x", "9**9**9**9"), "an exponent must be a whole number"),
        (GOOD.replace("x*x", "(" * 10_000), "10000 characters"),
        (GOOD.replace("x*x", "x/(x - 2)"), "division by zero"),
        (GOOD.replace('"y", printed', '"q", printed'), "q is neither given nor computed"),
        (GOOD.replace('"4"', '"four"'), "is not a decimal number"),
        (GOOD.replace('"2"', "2"), "expected the printed digits as a string"),
        (GOOD.replace("compute", "computed"), "unknown key computed; did you mean compute?"),
        ("id = ", "not TOML"),
        ("[[[", "not TOML"),
        ("", "id is missing"),
    ],
)
def test_bad_files_give_one_line_and_exit_code_1(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([write(tmp_path, text)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert told in err
    assert "example.toml" in err or "example t" in err


def test_a_missing_file_and_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.toml")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 1
    assert "Is a directory" in capsys.readouterr().err


def test_a_binary_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert main([str(path)]) == 1
    assert "not a UTF-8 text file" in capsys.readouterr().err


def test_an_unknown_option_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--jsn"])
    assert raised.value.code == 2
    err = capsys.readouterr().err
    assert "--jsn" in err
    assert "--json" in err


def test_explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, GOOD)
    assert main([path, "--explain", "s1-y"]) == 0
    assert "is right" in capsys.readouterr().out
    assert main([path, "--explain", "s1-z"]) == 2
    assert "did you mean s1-y?" in capsys.readouterr().err


def test_help_does_not_import_jax() -> None:
    code = "import sys; from verify.cli import parser; parser().format_help(); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m verify {write(tmp_path, GOOD)} | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
