"""Worked-example files: what is read, and that every bad one gets one line that says what and where."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from verify.algebra.normal import Domain
from verify.reading.example import Example, ExampleError, load, loads

HEAD = 'id = "t"\ntitle = "a test"\nsource = "here"\n'
NEURON = """
[given]
w = "0.5"
x = ["1", "2"]
[compute]
z = "w*x"
a = "sigmoid(z[1])"
E = "1/2*(1 - a)**2"
[learn]
loss = "E"
rate = "0.5"
parameters = ["w"]
"""
SYMBOLS = """
[symbols]
w = "real"
u = {shape = [2], domain = "positive"}
[compute]
a = "sigmoid(w)"
s = "sum(u)"
"""


def read(text: str) -> Example:
    return loads(HEAD + text)


def claim(**keys: object) -> str:
    lines = [f"{key} = {value}" if not isinstance(value, str) else f'{key} = "{value}"' for key, value in keys.items()]
    return "\n[[claims]]\n" + "\n".join(lines) + "\n"


def test_figures_and_formulas_are_told_apart() -> None:
    example = read(NEURON + claim(slide=1, what="a", printed="0.6") + claim(slide=2, what="dE/da", formula="a - 1"))
    assert [c.id for c in example.claims] == ["s1-a"]
    assert [c.id for c in example.formula_claims] == ["s2-dE/da"]
    assert example.formula_claims[0].text == "dE/da = a - 1"


def test_symbols_have_domains_and_shapes() -> None:
    example = read(SYMBOLS)
    assert [(s.name, s.domain) for s in example.symbols] == [
        ("w", Domain.REAL),
        ("u[1]", Domain.POSITIVE),
        ("u[2]", Domain.POSITIVE),
    ]


def test_one_left_side_printed_twice_is_numbered() -> None:
    example = read(SYMBOLS + 2 * claim(slide=4, what="da/dw", formula="a*(1 - a)"))
    assert [c.id for c in example.formula_claims] == ["s4-da/dw", "s4-da/dw#2"]


def test_ids_under_headings_are_plain() -> None:
    example = read(SYMBOLS + claim(slide="Récurrence, 2", what="ds/du[1]", formula="1"))
    assert example.formula_claims[0].id == "recurrence-2-ds/du[1]"


def test_free_indices_stand_for_every_entry() -> None:
    entries = read(SYMBOLS + claim(slide=1, what="ds/du[i]", formula="u[i]/u[i]")).formula_claims[0].entries
    assert [(str(e.side), str(e.printed)) for e in entries] == [("ds/du[1]", "u[1]/u[1]"), ("ds/du[2]", "u[2]/u[2]")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = [", "not TOML"),
        ("deepest = " + "[" * 5000 + "]" * 5000, "not TOML"),
        ('colour = "red"', "the file: unknown key colour"),
        ('givne = {w = "1"}', "unknown key givne; did you mean given?"),
        ("given = 3", "given: expected a table [given], got 3"),
        ("[given]\nw = 0.5", "given w: expected the printed digits as a string"),
        ('[given]\nw = "half"', 'given w: "half" is not a decimal number'),
        ('[given]\nw = [["1"], ["2", "3"]]', "given w: the rows differ in length"),
        ('[given]\nw = [[["1"]]]', "an array has at most two axes"),
        ('[given]\n"w w" = "1"', "'w w' is not a name"),
        ('[given]\nexp = "1"', "exp is the name of a function"),
        ('[given]\nw = "1"\n[compute]\nw = "2"', "compute w: w is defined twice"),
        ('[compute]\ny = "w + 1"', 'compute y: formula "w + 1": unknown name w'),
        ("w = " + "1" * 5000, "a number that is too long"),
        ('[given]\nlambda = "0.1"', "given: lambda means something in formulas and cannot be a name; take lam"),
        ('[given]\n"x\u00aa" = "1"', "is read as 'xa' in formulas; write it so"),
        (NEURON + claim(slide=1, what="E", printed="1", working="0,5*2"), "claim 1 (E): working: expected one number"),
        (NEURON + claim(slide=1, what="E", printed="1", working="a*2"), 'working: formula "a*2": unknown name a'),
        (SYMBOLS + '[compute.more]\nv = "1"', "compute more: expected a formula as a string"),
        ('[symbols]\nx = "real"\n[compute]\ny = "dphi(x)"', "dphi stands in printed formulas only"),
        ("[compute]\ny = 3", "compute y: expected a formula as a string, got 3"),
        ('[compute]\ny = "open(1)"', "unknown function open"),
        ('[compute]\ny = "9**9**9**9"', "an exponent must be a whole number"),
        ('[compute]\ny = "1/0"', "division by zero"),
        ('[given]\nx = "3"\n[compute]\na = "x**64"\nb = "a**64"\n', "a power of degree 4096; at most 2000"),
        ('[compute]\na = "(((3**60)**60)**60)**60"', "a power of degree 12960000"),
        ('[symbols]\nw = "imaginary"', "symbols w: domain: 'imaginary' is none of real, positive, unit, bit"),
        ("[symbols]\nw = {shape = [0]}", "symbols w: shape: expected one or two whole numbers"),
        ("[symbols]\nw = {shape = [1000, 1000]}", "symbols w: shape"),
        ("[symbols]\nw = {form = [2]}", "symbols w: unknown key form"),
        ("claims = 3", "claims: expected [[claims]] tables"),
        (NEURON + claim(slide=1, what="q", printed="1"), "claim 1 (q): q is neither given nor computed"),
        (NEURON + claim(slide=1, what="dE/dq", printed="1"), "q is neither given nor computed"),
        (NEURON + claim(slide=1, what="E", printed="a lot"), "is not a decimal number"),
        (NEURON + claim(slide=1, what="E"), "printed is missing"),
        (NEURON + claim(what="E", printed="1"), "slide: expected a number or a string, got None"),
        (NEURON + claim(slide=True, what="E", printed="1").replace("True", "true"), "slide: expected a number"),
        (NEURON + claim(slide=1, what="E", printed="1", expected="fine"), "expected: 'fine' is none of"),
        (NEURON + claim(slide=1, what="E", printed="1", colour="red"), "unknown key colour"),
        (NEURON + claim(slide=1, what="E after 200000", printed="1"), "at most 100000 updates"),
        (NEURON + claim(slide=1, what="E!", printed="1"), "expected a name, dE/dw"),
        (NEURON + 2 * claim(slide=1, what="E", printed="1"), 'id "s1-E" stands twice'),
        (SYMBOLS + claim(slide=1, what="a", printed="0.5"), "a figure needs numbers"),
        ('[given]\nw = "1"\n[compute]\na = "phi(w)"' + claim(slide=1, what="a", printed="1"), "phi has none"),
        (SYMBOLS + claim(slide=1, what="q", formula="1"), "claim 1 (q): q is neither given nor computed"),
        (SYMBOLS + claim(slide=1, what="da/dw", formula="q"), "unknown name q"),
        (SYMBOLS + claim(slide=1, what="s", formula="u"), "s is one number, the formula gives shape (2,)"),
        (SYMBOLS + claim(slide=1, what="u", formula="w"), "u is of shape (2,), the formula gives one number"),
        (SYMBOLS + claim(slide=1, what="u[3]", formula="w"), "u[3]: index [3] is outside of shape (2,)"),
        (SYMBOLS + claim(slide=1, what="u[i,j]", formula="w"), "u[i,j]: u has 1 axes"),
        (SYMBOLS + claim(slide=1, what="w after 1", formula="w"), "'after 1' needs a [learn] table"),
        (SYMBOLS + claim(slide=1, what="a", formula="w", between=["0", "1"]), "either a formula or between"),
        (SYMBOLS + claim(slide=1, what="a", between=["0"]), "between: expected two formulas"),
        (SYMBOLS + claim(slide=1, what="a", between=[0, 1]), "between: expected two formulas in quotes"),
        (SYMBOLS + claim(slide=1, what="a", formula="w", expected="padded"), "expected: 'padded' is none of right"),
        (SYMBOLS + claim(slide=1, what="a", formula="w", transcribed="yes"), "transcribed: expected true or false"),
        (SYMBOLS + claim(slide=1, what="a", formula="((((w**64)**64)**64)**64)**64"), "a power of degree"),
        (SYMBOLS + '[renumber]\nfamilies = ["W"]\nclaims = ["s1-a"]', "no name is W followed by a number"),
        (SYMBOLS + "[renumber]\nfamilies = 3", "families: expected a list of strings"),
        (NEURON.replace('loss = "E"', 'loss = "F"'), "learn: loss: F is not a computed scalar"),
        (NEURON.replace('["w"]', '["v"]'), "learn: parameters: v is not given"),
        (NEURON.replace('["w"]', '["w", "w"]'), "learn: parameters: a name stands twice"),
        (NEURON.replace('"0.5"\nparam', '"a + 1"\nparam'), "learn: rate: expected a number"),
        (NEURON + 'rule = "w - q"', 'learn rule: formula "w - q": unknown name q'),
        (NEURON + 'momentum = "0.9"', "learn: unknown key momentum"),
    ],
)
def test_bad_files(text: str, why: str) -> None:
    with pytest.raises(ExampleError) as caught:
        read(text)
    message = str(caught.value)
    assert why in message
    assert message.startswith("example: ")
    assert "\n" not in message


def test_missing_keys_are_named() -> None:
    with pytest.raises(ExampleError, match="id is missing"):
        loads('title = "t"\nsource = "s"')


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ExampleError, match="No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(ExampleError, match="directory"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9t\xe9"')
    with pytest.raises(ExampleError, match="not a UTF-8 text file"):
        load(tmp_path / "latin.toml")
    (tmp_path / "long.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(ExampleError, match="1000001 bytes; at most 1000000"):
        load(tmp_path / "long.toml")


def test_givens_are_read_as_they_are_printed() -> None:
    given = read('[given]\nw = "0,40"\nb = "\u22120.5"\n"\u03b7" = "2"\n[compute]\ny = "\u03b7*w"').given
    assert [(g.name, g.text, g.value) for g in given] == [
        ("w", "0.40", Fraction(2, 5)), ("b", "-0.5", Fraction(-1, 2)), ("\u03b7", "2", Fraction(2))
    ]  # fmt: skip


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ExampleError, match="pipe: a pipe or a device, not a file"):
        load(pipe)


def test_a_figure_and_a_formula_have_ids_of_their_own() -> None:
    twice = claim(slide=1, what="a", formula="sigmoid(z)") + claim(slide=1, what="a", printed="0.5")
    with pytest.raises(ExampleError, match='id "s1-a" stands twice'):
        read('given = {z = "1"}\ncompute = {a = "sigmoid(z)"}' + twice)
