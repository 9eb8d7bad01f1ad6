"""Why is this figure wrong? Which mistake gives exactly the printed digits?

Hypotheses are edited derivations. They are tried simplest first, in generations: one mistake; then two; then one or
two more on top of what explains a neighbour (figures printed together usually came from one program). Floats screen,
balls decide: a hypothesis explains a figure only if a rigorous enclosure of its value gives every printed digit,
rounded or cut off. Every generation counts what it tried, so that a hit can be held against chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice

import numpy as np

from verify import figures
from verify.context import Context, worked_expr, worked_value
from verify.derivation import Derivation
from verify.example import Claim, Given, What
from verify.expr import Expr, Num, rewrites
from verify.figures import Figure, Interval, Verdict
from verify.judge import Judgement
from verify.mistakes import (
    Edit,
    add_factors,
    all_edits,
    drop_factors,
    drop_terms,
    flip_signs,
    multiply_terms,
    sequential,
)
from verify.rounding import round_half_away, rounded
from verify.routes import Balls, quantity
from verify.scalars import FLOAT, Undecided
from verify.screen import Array, screen
from verify.tape import Tape

MAX_PAIRS = 160_000
MAX_UPDATES = 20_000
MAX_UNROLLED = 3
MAX_HITS = 40
MAX_MISREAD = 4
SCHEDULES = ("biases-fixed", "weights-fixed", "layer-fixed")
LATE = ("wrong-variable", "missing-term", "swapped", "sum-for-product")  # in pairs, after the likelier mistakes
EXPLAINING = (Verdict.RIGHT, Verdict.TRUNCATED, Verdict.PADDED)


@dataclass(frozen=True)
class Hypothesis:
    """A derivation with mistakes in it, and the number of updates where that is one of them."""

    derivation: Derivation
    edits: tuple[Edit, ...] = ()
    after: int | None = None

    def what(self, what: What) -> What:
        """What the figure is about if the hypothesis is true."""
        return replace(what, after=self.after) if self.after is not None and what.after else what

    def with_edit(self, edit: Edit) -> Hypothesis:
        after = self.after if edit.after is None else edit.after
        return Hypothesis(edit.apply(self.derivation), (*self.edits, edit), after)


@dataclass(frozen=True)
class Diagnosis:
    """One explanation of a wrong figure.

    Attributes:
        mistake: the names of its mistakes, joined by `` + ``.
        detail: each mistake's place, in one line.
        value: what the mistaken computation gives, to 15 significant digits.
        explains: ids of all claims whose printed digits it gives.
        breaks: how many right figures of the example it would have changed.
        tried: how many hypotheses had been tried when it was found.
        chance: the expected number of hypotheses, among those tried, that hit the printed digits by accident.
        edits: the edits themselves; empty where the mistake is not an edit of the derivation.
        after: the number of updates it assumes, where that is a mistake.
    """

    mistake: str
    detail: str
    value: str
    explains: tuple[str, ...]
    breaks: int
    tried: int
    chance: float
    edits: tuple[Edit, ...] = ()
    after: int | None = None

    def rebuild(self, derivation: Derivation) -> Derivation:
        """The derivation with these mistakes in it."""
        return _rebuild(derivation, self).derivation

    @property
    def simplicity(self) -> tuple[int, int, int, int, str]:
        """Smaller is simpler: fewer mistakes, more figures explained, fewer right ones spoilt, fewer places."""
        places = sum(len(edit.steps) + len(edit.given) for edit in self.edits)
        return self.mistake.count(" + "), -len(self.explains), self.breaks, places, self.detail


@dataclass
class _Search:
    """One example's search: the claims to explain and what has been found for each."""

    derivation: Derivation
    judgements: Sequence[Judgement]
    contexts: Mapping[str, Context]
    found: dict[str, list[Diagnosis]] = field(default_factory=dict)
    tried: int = 0
    verified: set[tuple[str, ...]] = field(default_factory=set)
    _edits: dict[int, tuple[Derivation, list[Edit]]] = field(default_factory=dict)

    def edits(self, derivation: Derivation) -> list[Edit]:
        """All single edits of a derivation, made once."""
        if id(derivation) not in self._edits:
            self._edits[id(derivation)] = (derivation, all_edits(derivation))
        return self._edits[id(derivation)][1]

    @property
    def wrong(self) -> list[Claim]:
        return [j.claim for j in self.judgements if j.verdict in (Verdict.WRONG, Verdict.LAST_DIGIT)]

    def open_claims(self) -> list[Claim]:
        """The wrong figures that nothing explains yet and that do not follow from another wrong one."""
        return [
            c
            for c in self.wrong
            if not any(d.edits for d in self.found.get(c.id, ()))
            and self.contexts[c.id].root in (None, c.id)
            and self.verdict(c) == Verdict.WRONG
        ]

    def verdict(self, claim: Claim) -> Verdict:
        return next(j.verdict for j in self.judgements if j.claim is claim)


def diagnose(
    derivation: Derivation, judgements: Sequence[Judgement], contexts: Mapping[str, Context]
) -> Mapping[str, tuple[Diagnosis, ...]]:
    """Explanations for every figure that is not right, by claim id, simplest first; an empty tuple where none is found.

    Args:
        derivation: the right derivation.
        judgements: all of the example's judgements.
        contexts: what follows from what, by claim id.
    """
    search = _Search(derivation, judgements, contexts)
    root = Hypothesis(derivation)
    if any(j.verdict not in (Verdict.RIGHT, Verdict.UNDECIDED) for j in judgements):
        _roundings(search, root)
    if search.wrong:
        _first_generation(search, root)
        _worked(search)
        _pairs(search, root)
        _from_neighbours(search)
    result: dict[str, tuple[Diagnosis, ...]] = {}
    for judgement in judgements:
        claim = judgement.claim
        if judgement.verdict in (Verdict.PADDED, Verdict.TRUNCATED):
            result[claim.id] = (_shortened(judgement), *_simplest(search.found.get(claim.id, [])))
        elif judgement.verdict in (Verdict.WRONG, Verdict.LAST_DIGIT):
            result[claim.id] = _simplest(search.found.get(claim.id, []))
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
            result[root] = _simplest(whole)
            for name in chain:
                known = {d.detail for d in result.get(name, ())}
                result[name] = _simplest((*result.get(name, ()), *(d for d in whole if d.detail not in known)))
    return result


def _first_generation(search: _Search, root: Hypothesis) -> None:
    """One mistake: every edit, every rounding, every misread given, every number of updates."""
    _singles(search, root, search.wrong)
    _misread_givens(search, root)
    _step_counts(search, root, search.open_claims())
    reordered = sequential(root.derivation)
    if reordered is not None:
        edit = Edit("sequential-update", "weights already updated carry the error back", label="sequential")
        turned = Hypothesis(reordered, (edit,))
        _verify(search, [turned], search.wrong, [])
        _singles(search, turned, search.open_claims())
        _step_counts(search, turned, search.open_claims())


def _singles(search: _Search, base: Hypothesis, claims: Sequence[Claim]) -> None:
    claims = [claim for claim in claims if base.what(claim.what).after <= MAX_UNROLLED]
    if not claims:
        return
    edits = search.edits(base.derivation)
    wanted = list({base.what(claim.what) for claim in claims})
    values = screen(base.derivation, [edits], wanted)
    search.tried += len(edits)
    for claim in claims:
        array = values[base.what(claim.what)]
        hits = [base.with_edit(edits[int(k)]) for (k,) in _near(claim.printed, array)]
        _verify(search, hits, search.wrong, [array])


def _pairs(search: _Search, base: Hypothesis) -> None:
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
        for i, j in _near(claim.printed, array):
            first, second = chosen[int(i)], chosen[int(j)]
            if not first.steps.keys() & second.steps.keys() and not first.given.keys() & second.given.keys():
                hits.append(base.with_edit(first).with_edit(second))
        unique = {frozenset((h.edits[-2].detail, h.edits[-1].detail)): h for h in hits}
        _verify(search, list(unique.values()), search.wrong, [array.ravel()])


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


def _from_neighbours(search: _Search) -> None:
    """One mistake more, then two more, on top of what explains another figure of the example."""
    done: set[tuple[str, ...]] = set()
    for _ in range(2):
        bases = [
            diagnosis
            for diagnoses in list(search.found.values())
            for diagnosis in _simplest(diagnoses)[:4]
            if diagnosis.edits
        ]
        for diagnosis in bases:
            key = tuple(edit.detail for edit in diagnosis.edits)
            if key in done or not search.open_claims():
                continue
            done.add(key)
            base = _rebuild(search.derivation, diagnosis)
            _singles(search, base, search.open_claims())
            _step_counts(search, base, search.open_claims())
            if len(diagnosis.edits) <= 2:
                _pairs(search, base)


def _rebuild(derivation: Derivation, diagnosis: Diagnosis) -> Hypothesis:
    hypothesis = Hypothesis(derivation, (), diagnosis.after)
    for edit in diagnosis.edits:
        if edit.label == "sequential":
            reordered = sequential(hypothesis.derivation)
            assert reordered is not None
            hypothesis = Hypothesis(reordered, (*hypothesis.edits, edit), hypothesis.after)
        else:
            hypothesis = hypothesis.with_edit(edit)
    return hypothesis


def _step_counts(search: _Search, base: Hypothesis, claims: Sequence[Claim]) -> None:
    """Every number of updates up to 20,000, under every schedule: one trajectory each."""
    claims = [claim for claim in claims if claim.what.after and base.after is None]
    if not claims or not base.derivation.carried:
        return
    schedules = [base] + [base.with_edit(e) for e in search.edits(base.derivation) if e.mistake in SCHEDULES]
    wanted = list({quantity(claim.what) for claim in claims})
    hits: list[tuple[Hypothesis, Array]] = []
    for hypothesis in schedules:
        trajectory = _trajectory(hypothesis.derivation, wanted)
        search.tried += len(trajectory)
        for claim in claims:
            array = trajectory[:, wanted.index(quantity(claim.what))]
            for (n,) in _near(claim.printed, array)[:MAX_HITS]:
                after = int(n)
                if after != claim.what.after:
                    edit = Edit("step-count", f"after {after} updates, not {claim.what.after}", after=after)
                    hits.append((hypothesis.with_edit(edit), array))
    # Fewer mistakes first; and of equal length, the count that several figures share.
    hits.sort(key=lambda hit: len(hit[0].edits))
    for hypothesis, array in hits[:MAX_HITS]:
        _verify(search, [hypothesis], search.wrong, [array])


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


def _roundings(search: _Search, base: Hypothesis) -> None:
    judged = [j for j in search.judgements if j.claim.what.after <= MAX_UNROLLED]
    claims = [j.claim for j in judged if j.verdict not in (Verdict.RIGHT, Verdict.UNDECIDED)]
    for places in range(12, 0, -1):
        values = rounded(base.derivation, places, [j.claim.what for j in judged])
        search.tried += 1
        given = {j.claim.id: _explains_rounded(j.claim, values, places) for j in judged}
        hits = [claim for claim in claims if given[claim.id]]
        spoilt = sum(j.verdict in EXPLAINING and not given[j.claim.id] for j in judged)
        for claim in hits:
            _add(
                search,
                claim,
                Diagnosis(
                    "rounded-intermediates",
                    f"every result on the way rounded to {places} decimals",
                    figures.decimal((values[claim.what],) * 2, 15) or "",
                    tuple(c.id for c in hits),
                    spoilt,
                    search.tried,
                    _chance_of_one(claim, search),
                ),
            )


def _explains_rounded(claim: Claim, values: Mapping[What, Fraction], places: int) -> bool:
    """Whether the printed digits are those of the value, as the last step gives it or rounded like all others."""
    value = values.get(claim.what)
    if value is None:
        return False
    if round_half_away(value, places) == claim.printed.value:
        return True
    return figures.judge(claim.printed, lambda bits: (value, value)) in (Verdict.RIGHT, Verdict.TRUNCATED)


def _explains(printed: Figure, value: Fraction) -> bool:
    return figures.judge(printed, lambda bits: (value, value)) in EXPLAINING


def _chance_of_one(claim: Claim, search: _Search) -> float:
    """A rounding changes a figure by some units in its last place; about one in ten such changes hits by accident."""
    return 0.1 * (search.verdict(claim) == Verdict.LAST_DIGIT)


def _misread_givens(search: _Search, base: Hypothesis) -> None:
    """One given with another value: the shortest decimal that gives the printed digits."""
    claims = [c for c in search.wrong if c.what.after <= MAX_UNROLLED and search.contexts[c.id].root in (None, c.id)]
    for claim in claims[:MAX_MISREAD]:
        hypotheses = []
        for given, text in _misreadings(base.derivation, claim):
            edit = Edit(
                "wrong-given",
                f"{given.name} = {text}, not {given.text}",
                given={given.name: Given(given.name, Fraction(text), text)},
                label=f"given {given.name}",
            )
            hypotheses.append(base.with_edit(edit))
        search.tried += 3 * len(base.derivation.given)
        _verify(search, hypotheses, search.wrong, [])


def _misreadings(derivation: Derivation, claim: Claim) -> Iterator[tuple[Given, str]]:
    """Givens and the decimals that they would have to be, all solved at once."""
    givens = derivation.given

    def values(points: Array) -> Array:
        edits = [
            Edit("wrong-given", "", given={g.name: Given(g.name, Fraction(float(x)), "")})
            for g, x in zip(givens, points, strict=True)
        ]
        return screen(derivation, [edits], [claim.what])[claim.what]

    goal, unit = float(claim.printed.value), float(claim.printed.unit)
    roots = solve(values, np.array([float(g.value) for g in givens]), goal)
    for given, root in zip(givens, roots, strict=True):
        places = max(len(given.text.partition(".")[2]), 1)
        for digits in range(places + 2) if abs(root) <= 100 else ():
            text = f"{root:.{digits}f}"
            significant = len(text.replace(".", "").lstrip("-0")) or 1
            # (Minus the rate is no misread rate: the ascent says it better.)
            mirrored = given.name == "rate" and Fraction(text) == -given.value
            if mirrored or Fraction(text) == given.value or claim.printed.digits < significant + 3:
                continue
            # The decimal next to it must give other digits of the figure, else this one is a guess.
            here, beside = (
                values(np.array([x if g is given else float(g.value) for g in givens]))[givens.index(given)]
                for x in (float(text), float(text) + 10.0**-digits)
            )
            if abs(here - goal) <= unit:
                if not abs(beside - goal) <= 10 * unit:
                    yield given, text
                break


def solve(function: Callable[[Array], Array], start: Array, goal: float) -> Array:
    """Roots of function(x) = goal, one for each entry, by the secant method; nan where it finds none."""
    with np.errstate(all="ignore"):
        before, here = start, start * 1.1 + 0.01
        at_before, at_here = function(before) - goal, function(here) - goal
        for _ in range(30):
            step = at_here * (here - before) / (at_here - at_before)
            moving = np.isfinite(step) & (np.abs(step) < 1e6)
            if not moving.any() or np.all(np.abs(step[moving]) <= 1e-15 * np.maximum(1.0, np.abs(here[moving]))):
                break
            before, at_before = np.where(moving, here, before), np.where(moving, at_here, at_before)
            here = np.where(moving, here - step, here)
            at_here = function(here) - goal
        return np.where(np.abs(at_here) <= 1e-9 * max(1.0, abs(goal)), here, np.nan)


def _worked(search: _Search) -> None:
    """A slip in the arithmetic printed beside a figure: the right numbers, put together wrongly."""
    rules = {
        "product-for-sum": multiply_terms,
        "sum-for-product": add_factors,
        "sign": flip_signs,
        "missing-term": drop_terms,
        "missing-factor": drop_factors,
    }
    for claim in search.wrong:
        expr = worked_expr(claim.working) if claim.working else None
        value = worked_value(claim.working) if expr is not None else None
        if expr is None or value is None or _explains(claim.printed, value):
            continue
        tried = [(name, edited) for name, rule in rules.items() for _, edited in rewrites(expr, rule)]
        search.tried += len(tried)
        before = _behind(search, claim, value) if search.verdict(claim) == Verdict.WRONG else None
        for mistake, edited in tried:
            result = _number(edited)
            if result is not None and _explains(claim.printed, result):
                slip = _slip(search, claim, mistake, expr, edited, result, len(tried))
                if before is not None:
                    slip = replace(
                        slip,
                        mistake=f"{before.mistake} + {mistake}",
                        detail=f"{before.detail}; {slip.detail}",
                    )
                _add(search, claim, slip)


def _behind(search: _Search, claim: Claim, value: Fraction) -> Diagnosis | None:
    """What makes the printed arithmetic itself another quantity than the one it is printed for; None if nothing does.

    Its value is taken as a figure of seven digits (its inputs are rounded), and explained like any other.
    """
    text = figures.decimal((value, value), 7)
    judgement = next(j for j in search.judgements if j.claim is claim)
    if text is None or _explains(figures.read(text), Fraction(judgement.exact or 0)):
        return None
    aside = replace(claim, printed=figures.read(text), working="")
    inner = _Search(
        search.derivation,
        [replace(judgement, claim=aside)],
        {claim.id: Context(None, (), claim.id)},
        _edits=search._edits,
    )
    root = Hypothesis(search.derivation)
    _singles(inner, root, inner.wrong)
    _pairs(inner, root)
    search.tried += inner.tried
    return next(iter(_simplest(inner.found.get(claim.id, []))), None)


def _slip(
    search: _Search, claim: Claim, mistake: str, expr: Expr, edited: Expr, value: Fraction, tried: int
) -> Diagnosis:
    chance = tried * float(claim.printed.unit / abs(claim.printed.value)) if claim.printed.value else 1.0
    return Diagnosis(
        mistake,
        f"in the printed arithmetic: {edited}, not {expr}",
        figures.decimal((value, value), 15) or "",
        (claim.id,),
        0,
        search.tried,
        min(1.0, chance),
    )


def _number(expr: Expr) -> Fraction | None:
    if isinstance(expr, Num):
        return expr.value
    return worked_value(str(expr))


def _near(printed: Figure, array: Array) -> list[tuple[int, ...]]:
    """Where an array comes near enough to a printed figure to be looked at in balls."""
    value, unit = float(printed.value), float(printed.unit)
    slack = unit * 1.001 + 1e-12 * abs(value)
    with np.errstate(all="ignore"):
        return [tuple(map(int, index)) for index in np.argwhere(np.abs(array - value) <= slack)]


def _verify(
    search: _Search, hypotheses: Iterable[Hypothesis], claims: Sequence[Claim], arrays: Sequence[Array]
) -> None:
    """Keep the hypotheses that give the printed digits of some claim, with all the claims that they explain."""
    for hypothesis in islice(hypotheses, MAX_HITS):
        key = tuple(edit.detail for edit in hypothesis.edits)
        if key in search.verified:
            continue
        search.verified.add(key)
        balls = Balls(hypothesis.derivation)
        explained = [c for c in _possible(hypothesis, claims) if _reproduces(balls, hypothesis.what(c.what), c.printed)]
        if not explained:
            continue
        breaks = _count_spoilt(search, hypothesis)
        for claim in explained:
            digits = balls.digits(hypothesis.what(claim.what), 15)
            _add(
                search,
                claim,
                Diagnosis(
                    " + ".join(edit.mistake for edit in hypothesis.edits),
                    "; ".join(edit.detail for edit in hypothesis.edits),
                    digits[0] if digits else "",
                    tuple(c.id for c in explained),
                    breaks,
                    search.tried,
                    _chance(claim.printed, arrays, search.tried),
                    hypothesis.edits,
                    hypothesis.after,
                ),
            )


def _possible(hypothesis: Hypothesis, claims: Sequence[Claim]) -> list[Claim]:
    """The claims whose digits the hypothesis gives in floats; those after many updates are left for the balls."""
    soon = [c for c in claims if hypothesis.what(c.what).after <= MAX_UNROLLED]
    values = screen(hypothesis.derivation, [], [hypothesis.what(c.what) for c in soon])
    near = [c for c in soon if _near(c.printed, np.atleast_1d(values[hypothesis.what(c.what)]))]
    return [c for c in claims if c in near or c not in soon]


def _reproduces(balls: Balls, what: What, printed: Figure) -> bool:
    def enclose(bits: int) -> Interval:
        try:
            return balls.enclose(what, bits)
        except Undecided:
            return printed.interval

    try:
        return figures.judge(printed, enclose) in EXPLAINING
    except (ArithmeticError, KeyError, RecursionError):
        return False


def _count_spoilt(search: _Search, hypothesis: Hypothesis) -> int:
    """How many figures that are right (or right to fewer digits) would not have been, in floats."""
    right = [
        j for j in search.judgements if j.verdict in EXPLAINING and hypothesis.what(j.claim.what).after <= MAX_UNROLLED
    ]
    if not right:
        return 0
    values = screen(hypothesis.derivation, [], [hypothesis.what(j.claim.what) for j in right])
    return sum(
        not abs(float(values[hypothesis.what(j.claim.what)]) - float(j.exact or "nan")) <= float(j.claim.printed.unit)
        for j in right
    )


def _chance(printed: Figure, arrays: Sequence[Array], tried: int) -> float:
    """How many of the hypotheses tried are expected to hit the printed digits by accident.

    From the density of their values around the figure: the 20 nearest values that are not hits, spread over the
    interval that they span. Where fewer are known, all values are taken as spread evenly over the figure's own size.
    """
    value, unit = float(printed.value), float(printed.unit)
    distances = np.concatenate([np.abs(np.asarray(array, dtype=float).ravel() - value) for array in arrays] or [[]])
    distances = distances[np.isfinite(distances) & (distances > unit)]
    if len(distances) >= 20:
        reach = float(np.partition(distances, 19)[19])
        return min(1.0, 20 * unit / (2 * reach))
    return min(1.0, tried * unit / max(abs(value), unit))


def _shortened(judgement: Judgement) -> Diagnosis:
    claim = judgement.claim
    detail = {
        Verdict.PADDED: "right to fewer digits, then zeros",
        Verdict.TRUNCATED: "the exact digits, cut off instead of rounded",
    }[judgement.verdict]
    return Diagnosis(str(judgement.verdict), detail, judgement.exact or "", (claim.id,), 0, 1, 0.0)


def _add(search: _Search, claim: Claim, diagnosis: Diagnosis) -> None:
    known = search.found.setdefault(claim.id, [])
    if all(other.detail != diagnosis.detail for other in known):
        known.append(diagnosis)


def ties(diagnoses: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    """The best explanations that nothing tells apart: as few mistakes, as many figures explained, as few spoilt."""
    return tuple(d for d in diagnoses if d.simplicity[:3] == diagnoses[0].simplicity[:3])


def _simplest(diagnoses: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    return tuple(sorted(diagnoses, key=lambda d: d.simplicity))
