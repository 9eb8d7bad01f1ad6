"""The catalogue: every entry makes edits, every edit changes something, like places are found."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from verify.diagnosis.mistakes import CATALOGUE, all_edits, in_order, sequential
from verify.diagnosis.screen import screen
from verify.diagnosis.slips import Edit, indices, role
from verify.reading.example import Example, What
from verify.worked.derivation import Derivation, build
from verify.worked.routes import quantity
from verify.worked.scalars import FLOAT
from verify.worked.tape import Tape


@pytest.fixture(scope="module")
def derivation(two_two_two: Example) -> Derivation:
    return build(two_two_two)


@pytest.fixture(scope="module")
def edits(derivation: Derivation) -> list[Edit]:
    return all_edits(derivation)


def test_every_edit_changes_a_step_or_a_given(derivation: Derivation, edits: list[Edit]) -> None:
    for edit in edits:
        changed = [name for name, expr in edit.steps.items() if derivation.by_name[name].expr != expr]
        assert changed or edit.given, edit.detail


def test_no_edit_stands_twice(edits: list[Edit]) -> None:
    keys = Counter((tuple(sorted(map(str, e.steps.items()))), tuple(sorted(map(str, e.given.items())))) for e in edits)
    assert max(keys.values()) == 1


def test_every_entry_of_the_catalogue_is_used_somewhere(two_two_two: Example, edits: list[Edit]) -> None:
    named = {edit.mistake for edit in edits}
    for mistake in CATALOGUE:
        if mistake.name not in ("transposed", "wrong-formula"):  # w1 ... w8 are no matrix
            assert mistake.name in named, mistake.name


def test_the_screen_gives_what_the_tape_gives(derivation: Derivation, edits: list[Edit]) -> None:
    wanted = [What("E_t", "w1"), What("b1", None, 1), What("E_t", None, 1)]
    values = screen(derivation, [edits], wanted)
    state = Tape(derivation, list(derivation.carried.values()))
    for k in range(0, len(edits), 97):
        edited = edits[k].apply(derivation)
        updated = dict(zip(derivation.carried, Tape(edited, list(derivation.carried.values())).run(FLOAT), strict=True))
        for what in wanted:
            start = updated if what.after else {}
            (expected,) = Tape(edited, [quantity(what)]).run(FLOAT, start)
            np.testing.assert_allclose(values[what][k], expected, rtol=1e-12, err_msg=edits[k].detail)
    assert state.inputs


def test_pairs_are_one_edit_on_top_of_another(derivation: Derivation, edits: list[Edit]) -> None:
    some = [edit for edit in edits if len(edit.steps) == 1 and not edit.given][::60]
    what = What("E_t", "w1")
    values = screen(derivation, [some, some], [what])[what]
    for i, first in enumerate(some):
        for j, second in enumerate(some):
            if not first.steps.keys() & second.steps.keys():
                (expected,) = Tape(second.apply(first.apply(derivation)), ["dE_t/dw1"]).run(FLOAT)
                np.testing.assert_allclose(values[i, j], expected, rtol=1e-12)


def test_the_sequential_update_carries_the_error_back_with_new_weights(derivation: Derivation) -> None:
    turned = sequential(derivation)
    assert turned is not None
    assert str(turned.by_name["dE_t/da_h1"].expr) == "dE_t/dz_a1*w5' + dE_t/dz_a2*w7'"
    Tape(turned, list(turned.carried.values())).run(FLOAT)


def test_steps_in_a_circle_are_refused(derivation: Derivation) -> None:
    from dataclasses import replace

    from verify.expr import Var

    circle = [replace(derivation.steps[0], expr=Var(derivation.steps[0].name))]
    with pytest.raises(ValueError, match="in a circle"):
        list(in_order(circle))


def test_roles() -> None:
    assert role("w5") == role("w12") == "w#"
    assert role("W2[1,3]") == "W2[]"
    assert indices("W2[1,3]") == (1, 3)
    assert indices("dE_t/dz_h2") == (2,)
