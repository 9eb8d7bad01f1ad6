"""`prove`: is this equation true for every size? With the steps, one rule each, or a counterexample.

Three independent judges: the rules write the steps, the canonical form checks each of them, and exact arithmetic at
small sizes checks the claim itself. A claim is PROVED only where the canonical forms agree, REFUTED only by values at
which the two sides differ, and INCONCLUSIVE otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from verify.indexed.canonical import Assumption, Canonical
from verify.indexed.elementary import UndecidedError
from verify.indexed.instances import Counterexample, Instance, search
from verify.indexed.rules import Equation, Rule, chain
from verify.indexed.shape import same_up_to_order
from verify.indexed.structure import children, free
from verify.indexed.terms import Call, Definition, Extent, Named, Operand, Size, SizeError, Sum, Term, as_term

__all__ = ["Proof", "SoundnessError", "Step", "Verdict", "combine", "prove", "prove_lines", "refuse"]

Verdict = Literal["PROVED", "REFUTED", "INCONCLUSIVE"]
_POINTS = 5


class SoundnessError(RuntimeError):
    """Two judges of this package disagree: a bug in it, and never a verdict on the claim."""


@dataclass(frozen=True)
class Step:
    """A line of a proof: the expression, and the rule by which it equals the line before."""

    expression: str
    rule: str


@dataclass(frozen=True)
class Proof:
    """The outcome of trying to prove a statement.

    Attributes:
        name: a short title.
        claim: the statement, as text.
        verdict: ``"PROVED"``, ``"REFUTED"`` or ``"INCONCLUSIVE"``.
        sizes: what the statement holds for every value of.
        definitions: the abbreviations in use.
        assumptions: the equations taken as true.
        steps: the lines from the left side to the right; empty where there is no proof.
        counterexample: values at which the claim fails, where it was refuted by some.
        points: at how many points the two sides were also compared in exact arithmetic.
        parts: the proofs that a compound statement (both directions, base and step) consists of.
        note: what else a reader should know.
    """

    name: str
    claim: str
    verdict: Verdict
    sizes: tuple[str, ...] = ()
    definitions: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    counterexample: Counterexample | None = None
    points: int = 0
    parts: tuple[Proof, ...] = ()
    note: str = ""
    equation: tuple[Term, Term] | None = None

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self, indent: str = "") -> list[str]:
        lines = [f"{self.name}: {self.claim}" if self.name else self.claim]
        lines += [f"  where {definition}" for definition in self.definitions]
        lines += [f"  assuming {assumption}" for assumption in self.assumptions]
        if self.steps:
            width = min(max(len(step.expression) for step in self.steps), 76)
            lines.append(f"    {self.steps[0].expression}")
            for step in self.steps[1:]:
                # Where the lines are equations, each follows from the one before.
                lines.append(f"  {'⇒' if ' = ' in step.expression else '='} {step.expression:<{width}}  [{step.rule}]")
        for part in self.parts:
            lines += part._lines("  ")
        lines.append(f"  {self._outcome()}")
        if self.note:
            lines.append(f"  {self.note}")
        return [indent + line for line in lines]

    def _outcome(self) -> str:
        if self.verdict == "PROVED":
            for_all = f" for every {', '.join(self.sizes)}" if self.sizes else ""
            checked = f" (also checked exactly at {self.points} points)" if self.points else ""
            return f"PROVED{for_all}{checked}"
        if self.counterexample is not None:
            return f"REFUTED: {self.counterexample}"
        return self.verdict

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "claim": self.claim,
            "verdict": self.verdict,
            "sizes": list(self.sizes),
            "definitions": list(self.definitions),
            "assumptions": list(self.assumptions),
            "steps": [{"expression": step.expression, "rule": step.rule} for step in self.steps],
            "counterexample": None if self.counterexample is None else self.counterexample.to_dict(),
            "points": self.points,
            "parts": [part.to_dict() for part in self.parts],
            "note": self.note,
        }


def prove(
    left: Operand,
    right: Operand,
    *,
    assumptions: Sequence[Assumption] = (),
    lemmas: Sequence[Proof] = (),
    name: str = "",
    note: str = "",
    instance: Instance | None = None,
) -> Proof:
    """Prove ``left = right`` for every value of the free indices and every size, or find values where it fails.

    Args:
        left: a term.
        right: a term.
        assumptions: equations taken as true for every value of their free indices.
        lemmas: equations proved before, to be used as single steps.
        name: a short title for the report.
        note: a remark for the report.
        instance: a concrete case of the claim, to look for a counterexample in, where the claim itself speaks of
            quantities that depend on one another (the layers of a network).

    Raises:
        ValueError: a lemma is not proved, or needs an assumption that is not made here.
        ZeroDivisionError: a side divides by a term that is 0 at every size.
        SoundnessError: the calculus and exact arithmetic disagree.

    Example:
        >>> from verify.indexed.terms import Index, Size, Symbol, diff, sum_over
        >>> n = Size("n")
        >>> i, k = Index("i", n), Index("k", n)
        >>> w = Symbol("w", (n,))
        >>> print(prove(diff(sum_over(k, w[k] ** 2) / 2, w[i]), w[i]))
        ∂((1/2)·Σ_k w_k²)/∂w_i = w_i
            ∂((1/2)·Σ_k w_k²)/∂w_i
          = (1/2)·∂(Σ_k w_k²)/∂w_i     [constant factor]
          = (1/2)·Σ_k ∂(w_k²)/∂w_i     [derivative of a sum]
          = (1/2)·Σ_k 2·w_k·∂w_k/∂w_i  [power rule]
          = (1/2)·Σ_k 2·w_k·δ_{ki}     [derivative of a variable]
          = w_i                        [delta picks one term of the sum]
          PROVED for every n (also checked exactly at 7 points)
    """
    one, other = as_term(left), as_term(right)
    proof = _empty(one, other, assumptions, name, note)
    equations = [*(_lemma(lemma, assumptions) for lemma in lemmas)]
    equations += [Equation(a.left, a.right, a.name).rule(inside_derivatives=False) for a in assumptions]
    judge = Canonical(assumptions)
    case = instance or Instance(one, other, tuple(assumptions))
    try:
        equal = judge.equal(one, other)
    except UndecidedError as error:
        equal, proof = False, replace(proof, note=str(error))
    if not equal:
        found, _ = search(case)
        return replace(proof, verdict="INCONCLUSIVE" if found is None else "REFUTED", counterexample=found)
    found, points = search(case, tries=_POINTS)
    if found is not None:
        raise SoundnessError(f"{proof.claim}: equal by the calculus, but {found}")
    if assumptions and not points and not note:
        proof = replace(proof, note="no values were found that satisfy the assumptions: the statement may be empty")
    return replace(proof, verdict="PROVED", steps=_steps(one, other, judge, equations), points=points)


def prove_lines(
    lines: Sequence[tuple[Operand, str]], *, assumptions: Sequence[Assumption] = (), name: str = ""
) -> Proof:
    """Check a derivation line by line: each line is an expression and the reason given for it.

    Returns:
        PROVED where every line equals the one before; otherwise the verdict, and the counterexample, for the first that
        does not.
    """
    terms = [as_term(line) for line, _ in lines]
    steps = tuple(Step(str(term), rule) for term, (_, rule) in zip(terms, lines, strict=True))
    proof = _empty(terms[0], terms[-1], assumptions, name, "")
    points = 0
    for number, (before, after) in enumerate(pairwise(terms), start=2):
        hop = prove(before, after, assumptions=assumptions)
        if hop.verdict != "PROVED":
            note = f"line {number} does not follow: {hop.claim}"
            return replace(proof, verdict=hop.verdict, counterexample=hop.counterexample, note=note)
        points += hop.points
    return replace(proof, verdict="PROVED", steps=steps, points=points)


def combine(name: str, claim: str, parts: Sequence[Proof], note: str = "") -> Proof:
    """A statement that holds where all its parts do, and fails where one is refuted."""
    verdicts = {part.verdict for part in parts}
    verdict: Verdict = "PROVED" if verdicts == {"PROVED"} else "REFUTED" if "REFUTED" in verdicts else "INCONCLUSIVE"
    sizes = dict.fromkeys(size for part in parts for size in part.sizes)
    return Proof(name, claim, verdict, sizes=tuple(sizes), parts=tuple(parts), note=note)


def refuse(name: str, claim: str, error: SizeError, equal_sizes: Proof) -> Proof:
    """A claim whose sizes do not fit: what is left of it where all sizes are the same."""
    note = f"the sizes do not fit ({error}); judged for equal sizes"
    if equal_sizes.verdict == "PROVED":
        return replace(equal_sizes, name=name, claim=claim, verdict="INCONCLUSIVE", note=note)
    return replace(equal_sizes, name=name, claim=claim, note=note)


def _empty(left: Term, right: Term, assumptions: Sequence[Assumption], name: str, note: str) -> Proof:
    sides = [left, right, *(side for a in assumptions for side in (a.left, a.right))]
    return Proof(
        name,
        f"{left} = {right}",
        "INCONCLUSIVE",
        sizes=tuple(sorted({str(size) for side in sides for size in _sizes(side)})),
        definitions=tuple(dict.fromkeys(str(d) for side in sides for d in _definitions(side))),
        assumptions=tuple(map(str, assumptions)),
        note=note,
        equation=(left, right),
    )


def _lemma(lemma: Proof, assumptions: Sequence[Assumption]) -> Rule:
    if lemma.verdict != "PROVED" or lemma.equation is None:
        raise ValueError(f"prove: the lemma {lemma.name or lemma.claim} is not a proved equation")
    missing = set(lemma.assumptions) - set(map(str, assumptions))
    if missing:
        raise ValueError(
            f"prove: the lemma {lemma.name or lemma.claim} assumes {missing.pop()}, which is not assumed here"
        )
    return Equation(*lemma.equation, lemma.name or lemma.claim).rule(inside_derivatives=True)


def _steps(left: Term, right: Term, judge: Canonical, equations: Sequence[Rule]) -> tuple[Step, ...]:
    for unfolding in (False, True):
        down = [(left, ""), *chain(left, equations, unfolding)]
        up = [(right, ""), *chain(right, equations, unfolding)]
        meeting = _meeting(down, up)
        if meeting is not None:
            break
    else:
        # The two ends are equal by the canonical form, though the rules do not bring them to the same shape.
        meeting = len(down) - 1, len(up) - 1
        last = up[meeting[1]][0]
        down.append((last, "expand and collect, bound indices renamed, common denominator"))
        meeting = len(down) - 1, meeting[1]
    i, j = meeting
    lines = down[: i + 1]
    if j or i:
        lines[i] = (up[j][0], lines[i][1] or "reorder") if j == 0 else lines[i]
    lines += [(up[n][0], _backwards(up[n + 1][1])) for n in range(j - 1, -1, -1)]
    if len(lines) == 1 and left != right:
        lines.append((right, "reorder"))
    for (before, _), (after, rule) in pairwise(lines):
        if not judge.equal(before, after):
            raise SoundnessError(f"{before} = {after}: the rule {rule!r} changed the value")
    return tuple(Step(str(term), rule) for term, rule in lines)


def _meeting(down: Sequence[tuple[Term, str]], up: Sequence[tuple[Term, str]]) -> tuple[int, int] | None:
    pairs = [(i, j) for i in range(len(down)) for j in range(len(up))]
    for i, j in sorted(pairs, key=sum):
        if same_up_to_order(down[i][0], up[j][0]):
            return i, j
    return None


def _backwards(rule: str) -> str:
    return {"distribute": "factor", "constant factor out of the sum": "factor into the sum"}.get(rule, rule)


def _definitions(term: Term) -> list[Definition]:
    inner = [d for child in children(term) for d in _definitions(child)]
    return [*inner, term.definition, *_definitions(term.definition.body)] if isinstance(term, Named) else inner


def _sizes(term: Term) -> set[Size]:
    own: set[Size] = {index.size for index in free(term)}
    match term:
        case Sum(index, _):
            own.add(index.size)
        case Extent(size):
            own.add(size)
        case Call(_, _, binders, _, _):
            own |= {binder.size for binder in binders}
        case Named(definition, _):
            own |= _sizes(definition.body)
        case _:
            pass
    return own.union(*(_sizes(child) for child in children(term)))
