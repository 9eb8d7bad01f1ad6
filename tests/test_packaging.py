"""What is installed: a wheel that holds the decks and runs from an empty folder, and a README that is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def without_counts(line: str) -> str:
    """How many hypotheses were told apart depends on the last bits of floats, which differ between machines."""
    return re.sub(r"[\d,]+ tried", "N tried", re.sub(r"accident: \S+", "accident: P", line))


def test_the_wheel_holds_the_decks_and_the_type_markers(unpacked: Path) -> None:
    for package in ("fnn", "verify"):
        assert (unpacked / package / "py.typed").is_file()
    carried = {path.relative_to(ROOT) for path in (ROOT / "verify" / "decks").rglob("*.toml")}
    assert len(carried) > 30
    assert all((unpacked / path).is_file() for path in carried)


def test_the_wheel_runs_from_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    where = run(unpacked, tmp_path, "-c", "import verify, fnn; print(verify.__file__, fnn.__file__)")
    assert where.stdout.count(str(unpacked)) == 2, where.stdout + where.stderr
    done = run(unpacked, tmp_path, "-m", "verify", "--errata")
    assert done.returncode == 0, done.stderr
    assert "claims in 30 examples" in done.stdout
    shown = (ROOT / "README.md").read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]
    told = [without_counts(line) for line in done.stdout.splitlines()]
    assert [line for line in shown.splitlines() if without_counts(line) not in (*told, "...")] == []
    assert list(tmp_path.iterdir()) == []


def test_the_console_scripts_are_declared(unpacked: Path) -> None:
    (entry_points,) = unpacked.glob("*.dist-info/entry_points.txt")
    assert set(re.findall(r"^([\w-]+) = ", entry_points.read_text(), re.M)) == {"fnn", "fnn-verify"}


@pytest.mark.parametrize("package", ["fnn", "verify"])
def test_help_answers_without_jax(package: str, tmp_path: Path) -> None:
    code = f"import sys, runpy; sys.argv = ['x', '--help']; sys.modules['jax'] = None; runpy.run_module('{package}')"
    done = run(ROOT, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


@pytest.mark.parametrize("example", ["check_my_vjp", "derive_softmax"])
def test_the_examples_of_verify_run(example: str, tmp_path: Path) -> None:
    done = run(ROOT, tmp_path, str(ROOT / "examples" / f"{example}.py"))
    assert done.returncode == 0, done.stderr
    assert "PROVED" in done.stdout


def test_the_two_packages_do_not_know_each_other() -> None:
    for package, other in (("fnn", "verify"), ("verify", "fnn")):
        for path in (ROOT / package).rglob("*.py"):
            found = re.search(rf"^\s*(from|import) {other}\b", path.read_text(encoding="utf-8"), re.M)
            assert not found, f"{path}: {found and found[0]}"


def test_the_commands_of_the_readme_are_those_of_ci() -> None:
    readme, script = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", ".ci/run"))
    for marker in ("main job", "tests"):
        assert re.search(rf"<!-- {marker} -->\n```sh\n[^`]+\n```", readme)
        assert f"readme_command '{marker}'" in script or f"readme_command {marker}" in script
