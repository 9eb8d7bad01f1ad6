"""Why is this figure wrong? Which mistake gives exactly the printed digits?

Hypotheses are edited derivations. They are tried simplest first, in generations: one mistake; then two; then one or
two more on top of what explains a neighbour (figures printed together usually came from one program). Floats screen,
balls decide: a hypothesis explains a figure only if a rigorous enclosure of its value gives every printed digit,
rounded or cut off. Every generation counts what it tried, so that a hit can be held against chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from verify.diagnosis.arithmetic import roundings, worked
from verify.diagnosis.hypothesis import Diagnosis, Hypothesis, rebuild, simplest
from verify.diagnosis.misread import misread_givens
from verify.diagnosis.mistakes import sequential
from verify.diagnosis.screen import Array, screen
from verify.diagnosis.search import MAX_HITS, MAX_UNROLLED, Search, near
from verify.diagnosis.slips import Edit
from verify.expr import Expr, children
from verify.judge import Judgement
from verify.reading.example import Claim
from verify.reading.figures import Verdict
from verify.worked.context import Context
from verify.worked.derivation import Derivation
from verify.worked.routes import quantity
from verify.worked.scalars import FLOAT
from verify.worked.tape import Tape

MAX_PAIRS = 160_000
MAX_UPDATES = 20_000
MAX_BASES = 6
SCHEDULES = ("biases-fixed", "weights-fixed", "layer-fixed")
LATE = ("wrong-variable", "missing-term", "swapped", "sum-for-product")  # in pairs, after the likelier mistakes


MAX_WORK = 1_000_000
"""Examples for which the catalogue would take longer than this (see :func:`work`) are judged, not diagnosed."""


def work(derivation: Derivation) -> int:
    """What it takes to make every edit of every step: about one for each node, each as long as the step."""
    return sum(_size(step.expr) ** 2 for step in derivation.steps)


def _size(expr: Expr) -> int:
    return 1 + sum(map(_size, children(expr)))


def diagnose(
    derivation: Derivation, judgements: Sequence[Judgement], contexts: Mapping[str, Context]
) -> Mapping[str, tuple[Diagnosis, ...]]:
    """Explanations for every figure that is not right, by claim id, simplest first; an empty tuple where none is found.

    None is looked for where that would take too long (:data:`MAX_WORK`).

    Args:
        derivation: the right derivation.
        judgements: all of the example's judgements.
        contexts: what follows from what, by claim id.
    """
    search = Search(derivation, judgements, contexts)
    root = Hypothesis(derivation)
    small = work(derivation) <= MAX_WORK
    if small and any(j.verdict not in (Verdict.RIGHT, Verdict.UNDECIDED) for j in judgements):
        roundings(search, root)
    if small and search.wrong:
        _first_generation(search, root)
        worked(search, _directly)
        _pairs(search, root)
        _from_neighbours(search)
    result: dict[str, tuple[Diagnosis, ...]] = {}
    for judgement in judgements:
        claim = judgement.claim
        if judgement.verdict in (Verdict.PADDED, Verdict.TRUNCATED):
            result[claim.id] = simplest([_shortened(judgement), *search.found.get(claim.id, [])])
        elif judgement.verdict in (Verdict.WRONG, Verdict.LAST_DIGIT):
            result[claim.id] = simplest(search.found.get(claim.id, []))
    return _with_consequences(result, contexts)


def _with_consequences(
    found: Mapping[str, tuple[Diagnosis, ...]], contexts: Mapping[str, Context]
) -> Mapping[str, tuple[Diagnosis, ...]]:
    """What explains the root of a chain explains the figures that follow from it."""
    result = dict(found)
    for root, diagnoses in found.items():
        chain = [name for name, context in contexts.items() if context.root == root and name != root]
        if chain and diagnoses:
            whole = tuple(replace(d, explains=tuple(dict.fromkeys((*d.explains, *chain)))) for d in diagnoses)
            result[root] = simplest(whole)
            for name in chain:
                known = {d.detail for d in result.get(name, ())}
                result[name] = simplest((*result.get(name, ()), *(d for d in whole if d.detail not in known)))
    return result


def _first_generation(search: Search, root: Hypothesis) -> None:
    """One mistake: every edit, every rounding, every misread given, every number of updates."""
    _singles(search, root, search.wrong)
    misread_givens(search, root)
    _step_counts(search, root, search.open_claims())
    reordered = sequential(root.derivation)
    if reordered is not None:
        edit = Edit("sequential-update", "weights already updated carry the error back", label="sequential")
        turned = Hypothesis(reordered, (edit,))
        search.verify([turned], search.wrong, [])
        _singles(search, turned, search.open_claims())
        _step_counts(search, turned, search.open_claims())


def _directly(search: Search) -> None:
    """One mistake or two, on the derivation itself."""
    root = Hypothesis(search.derivation)
    _singles(search, root, search.wrong)
    _pairs(search, root)


def _singles(search: Search, base: Hypothesis, claims: Sequence[Claim]) -> None:
    claims = [claim for claim in claims if base.what(claim.what).after <= MAX_UNROLLED]
    if not claims:
        return
    edits = search.edits(base.derivation)
    wanted = list({base.what(claim.what) for claim in claims})
    values = screen(base.derivation, [edits], wanted)
    search.tried += len(edits)
    for claim in claims:
        array = values[base.what(claim.what)]
        hits = [base.with_edit(edits[int(k)]) for (k,) in near(claim.printed, array)]
        search.verify(hits, search.wrong, [array])


def _pairs(search: Search, base: Hypothesis) -> None:
    """Two mistakes at once, for each figure that is still open."""
    edits = search.edits(base.derivation)
    for claim in search.open_claims():
        what = base.what(claim.what)
        if what.after > MAX_UNROLLED:
            continue
        single = screen(base.derivation, [edits], [what])[what]
        exact = screen(base.derivation, [], [what])[what]
        chosen = _distinct(edits, single, float(exact))[: math.isqrt(MAX_PAIRS)]
        array = screen(base.derivation, [chosen, chosen], [what])[what]
        search.tried += len(chosen) * (len(chosen) - 1) // 2
        hits = []
        for i, j in near(claim.printed, array):
            first, second = chosen[int(i)], chosen[int(j)]
            if not first.steps.keys() & second.steps.keys() and not first.given.keys() & second.given.keys():
                hits.append(base.with_edit(first).with_edit(second))
        unique = {frozenset((h.edits[-2].detail, h.edits[-1].detail)): h for h in hits}
        search.verify(list(unique.values()), search.wrong, [array.ravel()])


def _distinct(edits: Sequence[Edit], values: Array, exact: float) -> list[Edit]:
    """The edits that change a figure, one for each value that it takes, the likeliest mistakes first."""
    seen: set[str] = {f"{exact:.12e}"}
    kept: list[Edit] = []
    for edit, value in sorted(zip(edits, values, strict=True), key=lambda pair: pair[0].mistake in LATE):
        text = f"{value:.12e}"
        if math.isfinite(value) and text not in seen:
            seen.add(text)
            kept.append(edit)
    return kept


def _from_neighbours(search: Search) -> None:
    """One mistake more, then two more, on top of what explains other figures of the example."""
    done: set[tuple[str, ...]] = set()
    for _ in range(2):
        found = {d.detail: d for diagnoses in search.found.values() for d in diagnoses if d.edits}
        for diagnosis in simplest(list(found.values()))[:MAX_BASES]:
            key = tuple(edit.detail for edit in diagnosis.edits)
            if key in done or not search.open_claims():
                continue
            done.add(key)
            base = rebuild(search.derivation, diagnosis)
            _singles(search, base, search.open_claims())
            _step_counts(search, base, search.open_claims(), schedules=False)
            if len(diagnosis.edits) <= 2:
                _pairs(search, base)


def _step_counts(search: Search, base: Hypothesis, claims: Sequence[Claim], schedules: bool = True) -> None:
    """Every number of updates up to 20,000: one trajectory, or one for each schedule too."""
    claims = [claim for claim in claims if claim.what.after and base.after is None]
    if not claims or not base.derivation.carried:
        return
    followed = [base]
    if schedules:
        followed += [base.with_edit(edit) for edit in search.edits(base.derivation) if edit.mistake in SCHEDULES]
    wanted = list({quantity(claim.what) for claim in claims})
    hits: list[tuple[Hypothesis, Array]] = []
    for hypothesis in followed:
        trajectory = _trajectory(hypothesis.derivation, wanted)
        search.tried += len(trajectory)
        for claim in claims:
            array = trajectory[:, wanted.index(quantity(claim.what))]
            for (n,) in near(claim.printed, array)[:MAX_HITS]:
                after = int(n)
                if after != claim.what.after:
                    edit = Edit("step-count", f"after {after} updates, not {claim.what.after}", after=after)
                    hits.append((hypothesis.with_edit(edit), array))
    # Fewer mistakes first; and of equal length, the count that several figures share.
    hits.sort(key=lambda hit: len(hit[0].edits))
    for hypothesis, array in hits[:MAX_HITS]:
        search.verify([hypothesis], search.wrong, [array])


def _trajectory(derivation: Derivation, names: Sequence[str]) -> Array:
    """Floats of the named quantities before the first update, after one, two, ...: shape (updates + 1, names)."""
    carried = derivation.carried
    tape = Tape(derivation, [*carried.values(), *names])
    rows: list[list[float]] = []
    try:
        for values in islice(tape.iterate(FLOAT, list(carried)), MAX_UPDATES + 1):
            rows.append(values[len(carried) :])
            if not all(map(math.isfinite, values)):
                break
    except (ArithmeticError, ValueError):
        pass  # it diverged: what came before stands
    return np.array(rows, dtype=float).reshape(len(rows), len(names))


def _shortened(judgement: Judgement) -> Diagnosis:
    claim = judgement.claim
    detail = {
        Verdict.PADDED: "right to fewer digits, then zeros",
        Verdict.TRUNCATED: "the exact digits, cut off instead of rounded",
    }[judgement.verdict]
    return Diagnosis(str(judgement.verdict), detail, judgement.exact or "", (claim.id,), 0, 1, 0.0)
