"""The reference of the file format: its examples have the verdicts beside them, and it leaves nothing out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from verify.algebra.normal import Domain
from verify.checking import Checked, check
from verify.reading import example
from verify.reading.figures import Verdict
from verify.reading.formula import FUNCTIONS
from verify.report import document

PAGE = (Path(__file__).parents[2] / "docs" / "worked-examples.md").read_text(encoding="utf-8")
FILES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def checked() -> list[Checked]:
    return [check(example.loads(text)) for text in FILES]


def test_the_verdicts_are_those_beside_the_claims(checked: list[Checked]) -> None:
    assert len(FILES) == 3
    for text, one in zip(FILES, checked, strict=True):
        told = re.findall(r"^(?:printed|formula|between) = .*# ([\w-]+)$", text, re.MULTILINE)
        by_id = {j.claim.id: str(j.verdict) for j in one.judgements}
        assert sorted(told) == sorted(by_id.values())
        ordered = [by_id[c.id] for c in (*one.example.claims, *one.example.formula_claims)]
        assert ordered == told


def test_the_first_example_is_explained_as_the_page_says(checked: list[Checked]) -> None:
    best = checked[0].diagnoses["s1-dE/dw"][0]
    assert (best.mistake, best.detail) == ("missing-factor", "dE/dw = dE/da, not dE/da*x")
    assert "s2-w-after-1" in best.explains


def test_the_json_is_what_is_printed(checked: list[Checked]) -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    claims = document.document(checked)["examples"][0]["claims"]
    (made,) = [claim for claim in claims if claim["id"] == json.loads(shown)["id"]]
    assert {key: made[key] for key in json.loads(shown)} == json.loads(shown)


def test_every_key_function_domain_and_verdict_is_told(checked: list[Checked]) -> None:
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))
    words = set(re.findall(r"[A-Za-z_]\w*(?:-\w+)*", " ".join(inline)))
    keys = {key for table in example._KEYS.values() for key in table}
    figure, formula = (document.document(checked)["examples"][i]["claims"][0] for i in (0, 1))
    diagnosis = document.diagnosis(checked[0].diagnoses["s1-dE/dw"][0])
    reported = (figure.keys() | formula.keys() | diagnosis.keys()) - {"kind", "verdict"}
    wanted = keys | reported | set(FUNCTIONS) | set(Domain) | set(Verdict)
    assert sorted(map(str, wanted - words)) == []


@pytest.mark.parametrize(("target", "verdict"), [("-log(p[2])", "right"), ("-log(p[1])", "wrong")])
def test_the_formula_for_one_label(target: str, verdict: str) -> None:
    text = (
        FILES[1]
        .replace("-sum(y[k]*log(p[k]) for k in y)", target)
        .replace("p[i] - y[i]", "p[i] - (1 if i == 2 else 0)")
    )
    third = check(example.loads(text)).formulas[2]
    assert str(third.verdict) == verdict
