"""Text and JSON from the same records."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from verify.checking import Checked, check
from verify.diagnosis.hypothesis import Diagnosis
from verify.reading.example import loads
from verify.report import document, errata, page, text


def test_the_document_has_what_it_promises(checked_two_two_two: Checked) -> None:
    made = json.loads(json.dumps(document.document([checked_two_two_two])))
    (example,) = made["examples"]
    assert set(example) == {"id", "title", "source", "claims"}
    for claim in example["claims"]:
        assert {
            "id",
            "slide",
            "what",
            "printed",
            "verdict",
            "exact",
            "expected",
            "diagnoses",
            "follows",
            "root",
        } <= set(claim)
        assert len(claim["exact"].lstrip("-0.").replace(".", "")) >= 15 or float(claim["exact"]) == 0
        for diagnosis in claim["diagnoses"]:
            assert {"mistake", "detail", "value", "explains"} <= set(diagnosis)
    assert made["summary"]["claims"] == len(example["claims"]) == 50
    assert made["summary"]["as_expected"] is True


def test_each_step_shows_formula_numbers_value_and_verdict(checked_two_two_two: Checked) -> None:
    lines = text.report([checked_two_two_two]).splitlines()
    at = lines.index("    z_h1 = w1*x1 + w2*x2 + b1")
    assert lines[at + 1].strip() == "= 0.15*0.05 + 0.20*0.1 + 0.35"
    assert lines[at + 2].split() == ["=", "0.3775", "slide", "44:", "0.3775", "right"]


def test_errata_name_the_mistake(checked_two_two_two: Checked) -> None:
    told = "\n".join(errata.errata([checked_two_two_two]))
    assert "slide 56: E_t after 1 = 0.291027924 is wrong, as recorded; exactly 0.2857508867" in told
    assert "sequential-update + biases-fixed" in told
    assert "and so b2 after 1 = 0.602638275 (slide 48, slide 56); exactly 0.5497998374" in told
    assert "slide 54, slide 56: w3 after 1 = 0.249751140 is right to fewer digits, then zeros, as recorded" in told


def test_explain_shows_both_derivations(checked_two_two_two: Checked) -> None:
    judgement = next(j for j in checked_two_two_two.figures if j.claim.id == "s56-E_t-after-1")
    told = text.explain(checked_two_two_two, judgement)
    at = next(i for i, line in enumerate(told) if line.strip().startswith("b1' ="))
    assert told[at].endswith("0.3406371953")
    assert told[at + 1].strip() == "| b1 = 0.35"


def test_a_right_example_has_no_errata() -> None:
    checked = check(
        loads(
            'id = "t"\ntitle = "t"\nsource = "t"\ngiven = {x = "2"}\ncompute = {y = "x*x"}\n'
            'claims = [{slide = 1, what = "y", printed = "4"}]'
        ),
        routes=False,
    )
    assert errata.errata([checked]) == []


def test_digits_apart() -> None:
    def diagnosis(value: str) -> Diagnosis:
        return Diagnosis("m", value, value, ("c",), 0, 1, 0.0)

    assert errata.digits_apart([diagnosis("0.123456"), diagnosis("0.123457")]) == 7
    assert errata.digits_apart([diagnosis("0.5"), diagnosis("0.5")]) is None


class Balance(HTMLParser):
    """Every tag closed in order; the text collected."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_is_well_formed_and_says_what_the_text_says(checked_two_two_two: Checked) -> None:
    made = page.page([checked_two_two_two])
    parser = Balance()
    parser.feed(made)
    assert parser.open == []
    told = " ".join(parser.texts)
    assert "0.291027924" in told
    assert "sequential-update + biases-fixed" in told
    assert made.count('class="verdict wrong"') == 9
    assert "<script" not in made
    assert "http" not in made


def test_the_page_escapes_what_a_file_says() -> None:
    checked = check(
        loads(
            'id = "t"\ntitle = "<b>&"\nsource = "\'><script>"\ngiven = {x = "2"}\ncompute = {y = "x*x"}\n'
            'claims = [{slide = 1, what = "y", printed = "4"}]'
        ),
        routes=False,
    )
    assert "<b>&" not in page.page([checked])
    assert "<script>" not in page.page([checked])


def test_a_file_of_a_student_is_told_what_is_not_right_and_what_is_not_as_recorded() -> None:
    checked = check(
        loads(
            'id = "k"\ntitle = "A corner"\nsource = "s"\ngiven = {x = "0"}\ncompute = {a = "relu(x)"}\nclaims = ['
            '{slide = 1, what = "da/dx", printed = "0"}, {slide = 2, what = "a", printed = "0.1"},'
            '{slide = 3, what = "a", printed = "0.0", expected = "wrong"}]'
        ),
        routes=False,
    )
    assert text.closing([checked]) == [
        "",
        "3 claims in 1 example: 1 last-digit, 1 right, 1 undecided.",
        "Not right: k: s1-da/dx, k: s2-a",
        "Not as recorded: k: s3-a",
    ]
    undecided = "  slide 1: da/dx = 0 is undecided: a derivative at a kink: the argument is exactly 0   [s1-da/dx]"
    assert undecided in errata.errata([checked])
