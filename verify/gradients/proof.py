"""The outcome of a proof attempt: a verdict, the reasons, and a text that a person can act on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from verify.gradients.branches import Reals
from verify.gradients.witness import Witness

Verdict = Literal["PROVED", "CERTIFIED", "WRONG", "INCONCLUSIVE", "UNSUPPORTED"]

SUBJECTS = {
    "vjp": "what jax.vjp({name}) computes",
    "jvp": "what jax.jvp({name}) computes",
    "hvp": "the Hessian-vector product of {name} that JAX computes",
}


@dataclass(frozen=True)
class Proof:
    """Is the gradient that JAX computes the derivative of the function?

    Attributes:
        verdict: PROVED (an identity; the probability of error is ``error``), CERTIFIED (rigorous enclosures agree at
            ``points`` inputs, within ``bound`` relative), WRONG (see ``witness``), INCONCLUSIVE, UNSUPPORTED.
        name: of the function.
        kind: "vjp", "jvp" or "hvp".
        error: a bound on the probability that a wrong gradient was taken for right (PROVED only).
        points: how many inputs were examined.
        bound: the largest relative difference that the enclosures allow (CERTIFIED only).
        witness: where and how it is wrong (WRONG only).
        reason: why nothing could be decided (INCONCLUSIVE, UNSUPPORTED), or why no more than CERTIFIED.
        leaves: what was differentiated with respect to.
        held: what kept the value given.
        outcomes, unseen: how many outcomes comparisons can have, and how many were not reached, by source line.
        undriven: where conditions are joined in a way that no sample was made for.
        notes: kinks and their conventions, stopped gradients, literals that round a known constant.
    """

    verdict: Verdict
    name: str
    kind: Literal["vjp", "jvp", "hvp"] = "vjp"
    error: float | None = None
    points: int = 0
    bound: float | None = None
    witness: Witness | None = None
    reason: str = ""
    leaves: Sequence[str] = ()
    held: Sequence[str] = ()
    outcomes: int = 0
    unseen: dict[str, int] = field(default_factory=dict)
    undriven: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Is the gradient right, proved or certified?"""
        return self.verdict in ("PROVED", "CERTIFIED")

    def __str__(self) -> str:
        subject = SUBJECTS[self.kind].format(name=self.name)
        lines = [f"{self.verdict}: {self._headline(subject)}"]
        if self.witness is not None:
            lines += _witness_lines(self.witness, self.kind)
        if self.reason:
            lines.append(f"  because {self.reason}")
        if self.verdict != "UNSUPPORTED" and self.leaves:
            lines.append(f"  with respect to {_listed(self.leaves)}")
        if self.held:
            lines.append(f"  held at the values given: {_listed(self.held)}")
        if self.outcomes and self.verdict != "UNSUPPORTED":
            missed = sum(self.unseen.values())
            lines.append(f"  branches: {self.outcomes - missed} of {self.outcomes} outcomes of comparisons were driven")
            lines += [f"    not reached: {count} at {where}" for where, count in list(self.unseen.items())[:4]]
        lines += [f"  note: {note}" for note in (*self.undriven, *self.notes)]
        return "\n".join(lines)

    def _headline(self, subject: str) -> str:
        match self.verdict:
            case "PROVED":
                exponent = math.floor(math.log2(self.error)) + 1 if self.error else -1000
                where = " in the branches reached" if self.unseen or self.undriven else ""
                return (
                    f"{subject} is the derivative{where} (an identity, checked at {self.points} random points "
                    f"of a field; probability of error < 2^{exponent})"
                )
            case "CERTIFIED":
                return (
                    f"{subject} agrees with the derivative at {self.points} inputs "
                    f"(rigorous enclosures, relative difference < {self.bound:.1e})"
                )
            case "WRONG":
                return f"{subject} is not the derivative"
            case "INCONCLUSIVE":
                return f"whether {subject} is the derivative was not decided"
        return f"{subject} cannot be examined"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else ", ".join(names[:5]) + f" and {len(names) - 5} more"


def _witness_lines(witness: Witness, kind: str) -> list[str]:
    entry = f"{witness.leaf}{list(witness.index) if witness.index else ''}"
    width = max(len("claimed"), len("true"))
    lines = [
        f"  entry {entry}",
        f"    {'claimed':<{width}}  {witness.claimed}",
        f"    {'true':<{width}}  {witness.truth}",
    ]
    lines += [f"    {remark}" for remark in witness.looks]
    if witness.looked_at > 1:
        lines.append(
            f"  wrong in {witness.wrong} of the {witness.looked_at} entries of {witness.leaf} that were looked at"
        )
    if witness.right_leaves:
        lines.append(f"  wrong for {_listed(witness.wrong_leaves)}; right for {_listed(witness.right_leaves)}")
    lines.append("  at the input")
    lines += [f"    {name} = {shown(value)}" for name, value in witness.inputs[:6]]
    lines += [f"    {_SEEDS[kind]} {name} = {shown(value)}" for name, value in witness.seeds[:3]]
    return lines


_SEEDS = {"vjp": "cotangent of", "jvp": "tangent of", "hvp": "vector for"}


def shown(value: Reals) -> str:
    """A few exact entries of an array, in a line.

    Example:
        >>> shown(np.array([0.5, 2.0]))
        '[0.5, 2.0]'
    """
    if value.size <= 12:
        return str(np.asarray(value).tolist())
    head = ", ".join(repr(float(v)) for v in value.ravel()[:4])
    return f"[{head}, ...] of shape {value.shape}"
