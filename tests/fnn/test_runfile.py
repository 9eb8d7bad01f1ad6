"""Run files: every option has its key, what is written is read again, every mistake is named."""

import pytest

from fnn.arguments import _parsers, given, parse
from fnn.errors import InputError
from fnn.options import OPTIONS
from fnn.runfile import read_run_file, write_run_file

SAMPLES = {
    "data": "csv",
    "data_path": 'a "strange"\\name\n\x7fé𝛼.csv',
    "features": ["a b", "c"],
    "target": "d",
    "task": "regression",
    "image_size": [28, 30],
    "held_out": 0.25,
    "standardize": False,
    "validation": 1e-07,
    "model": "cnn",
    "hidden": [3],
    "channels": [1, 2],
    "batch_size": "full",
    "learning_rate": 1e-30,
    "augment": ["shift:3", "flip"],
    "seed": 2**32 - 1,
}


def test_what_is_written_is_read_again(tmp_path):
    (tmp_path / "run.toml").write_text(write_run_file(SAMPLES, "a run"), encoding="utf-8")
    assert read_run_file(tmp_path / "run.toml") == SAMPLES


def test_each_option_is_a_flag_and_a_key_and_nothing_else_is():
    _, parsers = _parsers()
    flags = {action.dest for action in parsers["train"]._actions if action.option_strings}
    assert flags - {"help", "from_run", "resume", "step", "trial"} == {option.name for option in OPTIONS}
    keys = [(option.section, option.key_name) for option in OPTIONS]
    assert len(set(keys)) == len(keys)


def test_a_word_of_the_command_line_means_what_the_key_means(tmp_path):
    words = "train --data csv --held-out 0.25 --no-standardize --hidden 3,4 --batch-size full --learning-rate 1 --plot"
    options = given(parse(words.split()))
    (tmp_path / "run.toml").write_text(
        '[data]\nname = "csv"\nheld_out = 0.25\nstandardize = false\n[model]\nhidden = [3, 4]\n'
        '[training]\nbatch_size = "full"\nlearning_rate = 1\n[output]\nplot = true\n'
    )
    assert read_run_file(tmp_path / "run.toml") == options
    assert given(parse(["train", "--clip", "none", "--augment", "none"])) == {"clip": None, "augment": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trainig]\n", "unknown section [trainig]; did you mean training?"),
        ("[xyz]\n", "unknown section [xyz], one of data, model, training"),
        ("[training]\nepoch = 3\n", "[training] has no key 'epoch'; did you mean epochs?"),
        ("[model]\nepochs = 3\n", "[model] has no key 'epochs'; it belongs in [training]"),
        ("[data]\nxyzzy = 3\n", "[data] has no key 'xyzzy', only name, path, "),
        ("epochs = 3\n", "the key 'epochs' stands in no section; it belongs in [training]"),
        ("training = 3\n", "expected training to be a section, [training], got 3"),
        ("[training]\nepochs = 0\n", "[training] epochs: expected an integer from 1 to 2147483647, got 0"),
        ("[training]\nepochs = true\n", "[training] epochs: expected an integer from 1 to 2147483647, got True"),
        ("[training]\nepochs = '3'\n", "[training] epochs: expected an integer from 1 to 2147483647, got '3'"),
        ("[training]\nlearning_rate = inf\n", "[training] learning_rate: expected a positive number"),
        ("[training]\noptimizer = 'adm'\n", "[training] optimizer: unknown 'adm'; did you mean adam?"),
        ("[training]\noptimizer = [1]\n", "[training] optimizer: unknown [1], one of adam|"),
        ("[training]\naugment = ['shit:2']\n", "[training] augment: expected flip, shift:PIXELS"),
        ("[model]\nhidden = 3\n", "[model] hidden: expected a list of integers, got 3"),
        ("[model]\nhidden = [3, 0]\n", "[model] hidden: expected an integer from 1 to 2147483647, got 0"),
        ("[output]\njson = 1\n", "[output] json: expected true or false, got 1"),
        ("[data\n", "expected a run file, in TOML: "),
        ("x = " + "[" * 5000, "expected a run file, in TOML: "),
        ("[data]\nname = 1979-05-27\n", "[data] name: unknown datetime.date(1979, 5, 27), one of digits|"),
    ],
)
def test_mistakes(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_run_file(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: the run file cannot be read: No such file or directory"):
        read_run_file("nowhere")
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"a: expected a run file, TOML in UTF-8, got other bytes"):
        read_run_file(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"#" * 2**21)
    with pytest.raises(InputError, match=r"a: expected a run file, got 2097152 bytes"):
        read_run_file(tmp_path / "a")
