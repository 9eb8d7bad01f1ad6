"""The diagnosis of deck 000, and of small examples with one known mistake each."""

from __future__ import annotations

import pytest

from verify.checking import Checked, check
from verify.diagnosis.hypothesis import Diagnosis, ties
from verify.reading.example import loads
from verify.report.errata import errata
from verify.worked.routes import Balls

NEURON = """
id = "n"
title = "n"
source = "n"
given = {w = "0.6", b = "-0.3", x = "1.5", y = "0.9"}
compute = {z = "w*x + b", a = "sigmoid(z)", E = "1/2*(y - a)**2"}
learn = {loss = "E", rate = "0.5", parameters = ["w", "b"]}
"""


def neuron(*figures: tuple[str, str]) -> Checked:
    claims = ", ".join(f'{{slide = 1, what = "{what}", printed = "{printed}"}}' for what, printed in figures)
    return check(loads(f"{NEURON}claims = [{claims}]"), routes=False)


def best(checked: Checked, claim: str) -> Diagnosis:
    return checked.diagnoses[claim][0]


def test_the_most_copied_wrong_figure(checked_two_two_two: Checked) -> None:
    found = best(checked_two_two_two, "s56-E_t-after-1")
    assert set(found.mistake.split(" + ")) == {"biases-fixed", "sequential-update"}
    assert found.value.startswith("0.291027923905")


def test_the_outputs_after_ten_thousand_updates(checked_two_two_two: Checked) -> None:
    found = best(checked_two_two_two, "s56-a_1-after-1")
    assert set(found.mistake.split(" + ")) == {"biases-fixed", "sequential-update", "step-count"}
    assert found.after == 10_000
    assert set(found.explains) == {"s56-a_1-after-1", "s56-a_2-after-1"}


def test_a_product_for_a_sum_and_its_consequences(checked_two_two_two: Checked) -> None:
    found = best(checked_two_two_two, "s48-dE_t/db2")
    assert found.mistake == "product-for-sum"
    assert {"s48-dE_t/db2", "s48-b2-after-1", "s56-b2-after-1"} <= set(found.explains)


def test_one_program_with_three_mistakes_explains_both_biases(checked_two_two_two: Checked) -> None:
    programs = [d for d in checked_two_two_two.diagnoses["s55-dE_t/db1"] if d.edits]
    assert sorted(programs[0].mistake.split(" + ")) == ["missing-factor", "missing-path", "product-for-sum"]
    assert {"s48-dE_t/db2", "s55-dE_t/db1", "s55-b1-after-1", "s56-b2-after-1"} <= set(programs[0].explains)


def test_every_wrong_figure_of_the_deck_is_explained_to_the_last_digit(checked_two_two_two: Checked) -> None:
    for judgement in checked_two_two_two.figures:
        if judgement.verdict != "right":
            assert checked_two_two_two.diagnoses[judgement.claim.id], judgement.claim.id


@pytest.mark.parametrize(
    ("what", "printed", "mistake"),
    [
        ("dE/dw", "-0.3815155407", "missing-factor"),  # (a - y)*x
        ("dE/dz", "0.05818982880", "sign"),
        ("dE/dz", "-0.01642186098", "wrong-variable"),  # (a - y)*a*(1 - y)
        ("E", "0.06469071456", "missing-factor"),  # without the 1/2
        ("w after 1", "0.5563576284", "ascent"),
        ("w after 1", "0.8255886002", "step-count"),  # after seven updates
        ("a", "0.6592603884", "wrong-given"),  # x = 1.6
    ],
)
def test_a_neuron_with_one_mistake(what: str, printed: str, mistake: str) -> None:
    checked = neuron((what, printed))
    (judgement,) = checked.figures
    assert judgement.verdict == "wrong"
    assert mistake in {d.mistake for d in ties(checked.diagnoses[judgement.claim.id])}


def test_a_figure_padded_with_many_zeros_may_be_something_else() -> None:
    checked = neuron(("b after 1", "-0.3000000000"), ("w after 1", "0.6436423716"))
    judgement = checked.figures[0]
    assert judgement.verdict == "padded"
    assert {"padded", "biases-fixed"} <= {d.mistake for d in checked.diagnoses[judgement.claim.id]}


def test_a_diagnosis_gives_the_printed_digits_in_balls() -> None:
    checked = neuron(("dE/dz", "-0.01642186098"))
    (judgement,) = checked.figures
    found = next(d for d in checked.diagnoses[judgement.claim.id] if d.edits)
    low, high = Balls(found.rebuild(checked.derivation)).enclose(judgement.claim.what, 128)
    assert judgement.claim.printed.interval[0] <= low <= high <= judgement.claim.printed.interval[1]


def test_two_wrong_figures_share_one_explanation() -> None:
    checked = neuron(("dE/dw", "-0.3815155407"), ("dE/db", "-0.2543436937"))
    shared = checked.diagnoses["s1-dE/dw"][0]
    assert shared.mistake == "missing-factor"
    assert set(shared.explains) >= {"s1-dE/dw", "s1-dE/db"}


def test_no_explanation_is_an_answer_too() -> None:
    checked = neuron(("E", "0.7182818284"))
    (judgement,) = checked.figures
    assert judgement.verdict == "wrong"
    assert checked.diagnoses[judgement.claim.id] == ()


def test_a_misread_pixel_is_inferred_from_several_outputs_at_once() -> None:
    image = [[100 + (37 * i + 61 * j) % 89 for j in range(5)] for i in range(5)]
    kernel = [[0, 1, -1], [1, 1, 0], [-1, 1, 1]]
    misread = [row[:] for row in image]
    misread[2][2] += 7

    def table(rows: list[list[int]]) -> str:
        return "[" + ", ".join("[" + ", ".join(f'"{v}"' for v in row) + "]" for row in rows) + "]"

    claims = []
    for i in range(3):
        for j in range(3):
            value = sum(misread[i + r][j + s] * kernel[r][s] for r in range(3) for s in range(3))
            claims.append(f'{{slide = 1, what = "y[{i + 1},{j + 1}]", printed = "{value}"}}')
    head = 'id = "c"\ntitle = "c"\nsource = "c"'
    given = f"given = {{x = {table(image)}, k = {table(kernel)}}}"
    text = f'{head}\n{given}\ncompute = {{y = "conv2d(x, k)"}}\nclaims = [{", ".join(claims)}]'
    checked = check(loads(text), routes=False)
    wrong = [j.claim.id for j in checked.figures if j.verdict != "right"]
    assert len(wrong) == 7
    expected = f"x[3,3] = {misread[2][2]}, not {image[2][2]}"
    assert {checked.diagnoses[name][0].detail for name in wrong} == {expected}


def test_too_large_an_example_is_judged_and_not_diagnosed() -> None:
    entries = ", ".join(f'"0.{i}"' for i in range(1, 600))
    example = loads(
        f'id = "t"\ntitle = "t"\nsource = "t"\ngiven = {{x = [{entries}], w = [{entries}]}}\n'
        'compute = {z = "dot(w, x)"}\nclaims = [{slide = 1, what = "z", printed = "1.234"}]'
    )
    checked = check(example, routes=False)
    assert checked.figures[0].verdict == "wrong"
    assert checked.diagnoses == {"s1-z": ()}
    assert "too large an example to be explained" in "\n".join(errata([checked]))


def errors(given: str, compute: str, learn: str, *claims: tuple[str, str]) -> list[list[str]]:
    """The best explanations of each claim."""
    listed = ", ".join(f'{{slide = {i}, what = "{what}", printed = "{text}"}}' for i, (what, text) in enumerate(claims))
    checked = check(
        loads(
            f'id = "t"\ntitle = "t"\nsource = "t"\ngiven = {{{given}}}\ncompute = {{{compute}}}\n'
            f"learn = {{{learn}}}\nclaims = [{listed}]"
        ),
        routes=False,
    )
    found = [ties(checked.diagnoses[j.claim.id]) for j in checked.figures]
    return [[f"{d.mistake}: {d.detail}" for d in best] for best in found]


def test_a_loss_in_one_line_whose_own_gradients_use_the_weights() -> None:
    """Updated weights in their own gradients would go in a circle; of two, one may carry the other."""
    (best,) = errors(
        'w = "2", v = "3", y = "1"',
        'E = "1/2*(w*v - y)**2"',
        'loss = "E", rate = "0.01", parameters = ["w", "v"]',
        ("w after 1", "2.15"),
    )
    assert "ascent: the update adds the gradient instead of subtracting it" in best


@pytest.mark.parametrize(
    ("rule", "printed", "edit"),
    [
        ("w - rate*(g + lam*w)", "1.3", "w' = w - rate*dE/dw, not w - rate*(dE/dw + lam*w)"),
        ("w - rate*g - lam*w", "1.3", "w' = w - rate*dE/dw, not w - rate*dE/dw - lam*w"),
    ],
)
def test_a_forgotten_decay(rule: str, printed: str, edit: str) -> None:
    learn = f'loss = "E", rate = "0.1", parameters = ["w"], rule = "{rule}"'
    (best,) = errors('w = "1.5", lam = "0.37", y = "0.5"', 'E = "(w - y)**2"', learn, ("w after 1", printed))
    assert f"missing-term: {edit}" in best
    assert not any("-0," in text for text in best)
