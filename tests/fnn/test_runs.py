"""Run folders: begun as a whole, never in place of anything else, the old run kept until the new one is."""

import numpy as np
import pytest

from fnn import save
from fnn.errors import CheckpointError
from fnn.runs import Run, check_replaceable, find_newest, new_run, parameters_of

TREE = {"params": {"w": np.ones(2, np.float32)}}


def finish(path, note):
    with new_run(path, "x", "", {"note": note}) as run:
        save(run.parameters, TREE)
        run.write_record({"note": note, "status": "finished"})
    return run


def test_a_finished_run_is_replaced_once_the_new_one_is_kept(tmp_path):
    path = tmp_path / "a"
    finish(path, "old")
    with new_run(path, "x", "", {"note": "new"}) as run:
        assert (tmp_path / ".a.previous").exists()
        save(run.parameters, TREE)
    assert run.record() == {"note": "new"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_run_that_comes_to_nothing_leaves_the_old_one(tmp_path):
    path = tmp_path / "a"
    finish(path, "old")

    def fail():
        with new_run(path, "x", "", {"note": "new"}):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert Run(path).record()["note"] == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_nothing_is_left_of_a_first_run_that_comes_to_nothing(tmp_path):
    with new_run(tmp_path / "a", "x", "", {}):
        assert (tmp_path / "a/record.json").exists()
    assert not list(tmp_path.iterdir())


def test_killed_while_one_takes_the_place_of_the_other(tmp_path):
    path = tmp_path / "a"
    finish(path, "old")
    path.rename(tmp_path / ".a.previous")
    assert find_newest(tmp_path) == path
    assert parameters_of(path) == path / "parameters"


def test_runs_without_a_name_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [str(finish(None, "any").path) for _ in range(3)]
    assert paths == ["runs/x", "runs/x-2", "runs/x-3"]


def test_what_is_not_replaced(tmp_path):
    path = tmp_path / "a"
    run = finish(path, "old")
    (path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"a: holds notes.txt beside a run; it is not replaced"):
        check_replaceable(path)
    (path / "notes.txt").unlink()
    (path / "checkpoints").mkdir()
    check_replaceable(path)
    run.write_record({"status": "interrupted"})
    with pytest.raises(CheckpointError, match=r"a: holds a run that is not over: --resume .*a goes on with it"):
        check_replaceable(path)
    (path / "record.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"a: damaged: record.json is not what was written"):
        check_replaceable(path)
    (tmp_path / "notes").write_text("")
    with pytest.raises(CheckpointError, match=r"notes: exists and holds no run; it is not replaced"):
        check_replaceable(tmp_path / "notes")


def test_metrics_are_lines(tmp_path):
    with new_run(tmp_path / "a", "x", "", {}) as run:
        run.write_epochs([{"epoch": 1, "loss": float("inf")}, {"epoch": 2, "loss": 0.5}])
        with open(run.metrics, "a") as file:
            file.write('{"epoch": 3, "lo')  # killed here
        assert run.epochs() == [{"epoch": 1, "loss": None}, {"epoch": 2, "loss": 0.5}]
        run.write_epochs([{"epoch": 1, "loss": 0.25}])
        assert run.epochs() == [{"epoch": 1, "loss": 0.25}]
        save(run.parameters, TREE)
