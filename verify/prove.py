"""Is this gradient the derivative of this function? No tolerance, no step size: an identity is decided, or not.

How it is done. Both sides are programs (:mod:`verify.statement`). Inputs are found in every branch that can be reached
(:mod:`verify.branches`). At each, the two programs are compared in a finite field, where equality is a proof up to a
probability that is computed and pressed below 2^-50 by repetition (:mod:`verify.algebra.field`). Where they are not
equal there, rigorous enclosures at an exact real input decide: apart, and the gradient is WRONG, with that input as
witness (:mod:`verify.witness`); in agreement at several inputs, and it is CERTIFIED; neither, INCONCLUSIVE.

What the derivative is. ``stop_gradient`` is obeyed: a value behind it counts as a constant, and the proof says where
that changed the answer. At kinks (relu at 0, a maximum of equal entries) there is no derivative; the proof is about all
other inputs, and lists the kinks with JAX's convention. Literals are the real numbers that they round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from verify.algebra.field import Field
from verify.algebra.plain import Undecided
from verify.branches import Sample, cover, draw
from verify.interpret import UnsupportedStep
from verify.notes import kinks, quantises, stopped
from verify.proof import Proof
from verify.statement import Kind, Statement, project, state
from verify.witness import describe, enclose, find

RISK = 2.0**-50
_MOST_TRIALS = 8
_POINTS_TO_CERTIFY = 6
_MANY = 100_000  # entries that a program computes: beyond, fewer samples


def prove_gradient(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] = 0,
    reference: Callable[..., Any] | None = None,
    hold: Sequence[int] = (),
    seed: int = 0,
) -> Proof:
    """Decide whether what ``jax.vjp(f, *args)`` computes is the derivative of ``f``.

    Args:
        f: any JAX function; arguments and results may be pytrees. Custom rules are what is being examined.
        *args: example arguments: their shapes and dtypes count. Integers and booleans keep their values; every
            floating array stands for all values (of ``argnums`` and of the other arguments too), unless held.
        argnums: the arguments to differentiate with respect to; all their floating leaves.
        reference: the function whose derivative the gradient is to be, where ``f``'s own forward program cannot be
            read (a Pallas kernel, say). By default ``f`` itself.
        hold: arguments that keep the value given, for gradients that are right only there (labels that sum to one).
        seed: of the random points.

    Returns:
        A :class:`~verify.proof.Proof`; ``print`` it.

    Raises:
        TypeError: no floating array to differentiate, no floating result, an argument that is no array.

    Example:
        >>> import jax.numpy as jnp
        >>> prove_gradient(lambda x: jnp.sum(jnp.tanh(x) ** 2), jnp.ones(3)).verdict
        'PROVED'
    """
    return _prove("vjp", f, args, argnums, hold, reference, seed)


def prove_jvp(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] = 0,
    reference: Callable[..., Any] | None = None,
    hold: Sequence[int] = (),
    seed: int = 0,
) -> Proof:
    """Decide whether what ``jax.jvp`` computes is the derivative of ``f``; see :func:`prove_gradient`.

    Example:
        >>> import jax.numpy as jnp
        >>> prove_jvp(jnp.sin, 1.0).verdict
        'PROVED'
    """
    return _prove("jvp", f, args, argnums, hold, reference, seed)


def prove_hvp(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] = 0,
    hold: Sequence[int] = (),
    seed: int = 0,
) -> Proof:
    """Decide whether ``jax.jvp`` of ``jax.grad`` computes the Hessian of ``f`` times a vector.

    ``f`` must return one number; see :func:`prove_gradient` for the rest.

    Example:
        >>> import jax.numpy as jnp
        >>> prove_hvp(lambda x: jnp.sum(jnp.exp(x) * x[0]), jnp.ones(3)).verdict
        'PROVED'
    """
    return _prove("hvp", f, args, argnums, hold, None, seed)


def assert_gradient(f: Callable[..., Any], *args: Any, argnums: int | Sequence[int] = 0, **options: Any) -> None:
    """Raise AssertionError, with the whole explanation, unless the gradient is PROVED or CERTIFIED.

    Args:
        f, *args, argnums: as of :func:`prove_gradient`, as are the options.

    Example:
        >>> import jax.numpy as jnp
        >>> assert_gradient(lambda x: x * jnp.cos(x), 0.5)
    """
    proof = prove_gradient(f, *args, argnums=argnums, **options)
    if not proof.ok:
        raise AssertionError(str(proof))


def _prove(
    kind: Kind,
    f: Callable[..., Any],
    args: Sequence[Any],
    argnums: int | Sequence[int],
    hold: Sequence[int],
    reference: Callable[..., Any] | None,
    seed: int,
) -> Proof:
    statement = state(kind, f, args, argnums, hold, reference)
    plain = Proof(
        "INCONCLUSIVE",
        statement.name,
        kind,
        leaves=[statement.leaves[i].name for i in statement.chosen],
        held=[statement.leaves[i].name for i in statement.held],
    )
    try:
        with np.errstate(all="ignore"):
            return _decide(statement, plain, np.random.default_rng(seed))
    except UnsupportedStep as error:
        return replace(plain, verdict="UNSUPPORTED", reason=str(error))


def _decide(statement: Statement, plain: Proof, generator: np.random.Generator) -> Proof:
    large = statement.claimed.size > _MANY
    samples, coverage, reason = cover(statement, generator, most=4 if large else 10, tries=8 if large else 24)
    if not samples:
        return replace(plain, reason=reason)
    plain = replace(
        plain,
        outcomes=coverage.outcomes,
        unseen=coverage.unseen(),
        points=len(samples),
        notes=kinks(statement.forward, coverage),
    )
    attempt = _Attempt(statement, generator, samples)
    stops = stopped(statement.forward)
    obeyed = attempt.run(plain, hold_stopped=True)
    if not stops:
        return obeyed
    if obeyed.ok:
        return replace(obeyed, notes=[*attempt.stop_notes(stops), *obeyed.notes])
    ignored = attempt.run(plain, hold_stopped=False)
    if ignored.ok:
        text = f"stop_gradient at {', '.join(stops)} is not obeyed: this is the derivative of all that is computed"
        return replace(ignored, notes=[text, *ignored.notes])
    return obeyed


class _Attempt:
    """One statement at its samples: trials in the field, and what follows when they fail."""

    def __init__(self, statement: Statement, generator: np.random.Generator, samples: Sequence[Sample]) -> None:
        self.statement, self.generator, self.samples = statement, generator, samples

    def run(self, plain: Proof, hold_stopped: bool) -> Proof:
        """The verdict, with ``stop_gradient`` obeyed or ignored."""
        risk, usable, suspects, vague = 0.0, 0, [], False
        for sample in self.samples:
            error, trials, misses = 1.0, 0, 0
            while error > RISK / len(self.samples) and trials < _MOST_TRIALS and misses < _MOST_TRIALS:
                found = self._trial(sample, hold_stopped)
                if found is None:
                    misses += 1
                    continue
                trials += 1
                if found < 0:
                    suspects.append(sample)
                    break
                error *= found
            else:
                vague |= trials == _MOST_TRIALS and error > RISK / len(self.samples)
                if trials:
                    risk, usable = risk + error, usable + 1
        if suspects:
            return self._settle(plain, suspects, hold_stopped)
        if not usable:
            return replace(plain, reason="at every point tried a sample overflowed or a comparison was too close")
        if vague:
            return self._certify(plain, hold_stopped, "the degrees are too high for the field to exclude luck")
        literals = self._literal_notes(hold_stopped)
        return replace(plain, verdict="PROVED", error=risk, points=usable, notes=[*literals, *plain.notes])

    def _trial(self, sample: Sample, hold_stopped: bool, recognise: bool = True) -> float | None:
        """The probability that equality was luck; -1 for unequal; None where the trial says nothing."""
        statement, field = self.statement, Field(int(self.generator.integers(1 << 62)), recognise)
        try:
            leaves = [
                field.constant(np.asarray(leaf.given)) if i in statement.held else field.random(value)
                for i, (leaf, value) in enumerate(zip(statement.leaves, sample.leaves, strict=True))
            ]
            seeds, weights = [field.random(v) for v in sample.seeds], [field.random(v) for v in sample.weights]
            truth = statement.truth(field, leaves, seeds, weights, hold_stopped)
            claimed = project(field, statement.claim(field, leaves, seeds), weights)
        except Undecided:
            return None
        self.readings = field.readings
        if field.unlucky or not np.isfinite(truth.sample):
            return None
        if not np.isfinite(claimed.sample):
            return -1.0
        difference = claimed - truth
        if int(difference.value) != 0 or self._samples_disagree(sample, claimed.sample, truth.sample, hold_stopped):
            return -1.0
        return field.error(difference.degree)

    def _samples_disagree(self, sample: Sample, claimed: Any, truth: Any, hold_stopped: bool) -> bool:
        """Do the float64 samples contradict the field? (Balls say whether it is more than rounding.)"""
        if abs(claimed - truth) <= 1e-3 * max(abs(claimed), abs(truth)):
            return False
        enclosed = enclose(self.statement, sample, list(sample.weights), hold_stopped)
        return enclosed is not None and enclosed.apart

    def _settle(self, plain: Proof, suspects: Sequence[Sample], hold_stopped: bool) -> Proof:
        """Unequal in the field: a witness, or enclosures that agree, or nothing."""
        statement = self.statement
        for sample in suspects[:3]:
            enclosed = enclose(statement, sample, list(sample.weights), hold_stopped)
            if enclosed is None or not enclosed.apart:
                continue
            if enclosed.truth.is_finite() and enclosed.claimed.is_finite() and enclosed.bound() < 1e-5:
                blurred = enclose(statement, sample, list(sample.weights), hold_stopped, blur=True)
                if blurred is not None and not blurred.apart:
                    note = "literal rounding: equal only if each long literal may be off in its last place"
                    return replace(
                        plain, verdict="CERTIFIED", bound=enclosed.bound(), points=1, notes=[note, *plain.notes]
                    )
            found = find(statement, sample, hold_stopped)
            if found is None:
                continue
            witness = describe(statement, sample, *found, hold_stopped, self.generator)
            if witness is None:
                entry = f"{statement.targets[found[0]].name}{list(found[1])}"
                reason = f"the enclosures differ at {entry}, but running JAX there does not give what was read"
                return replace(plain, reason=reason)
            return replace(plain, verdict="WRONG", witness=witness)
        return self._certify(plain, hold_stopped, "the field knows no relation between the functions that occur")

    def _certify(self, plain: Proof, hold_stopped: bool, reason: str) -> Proof:
        """Enclosures at several inputs."""
        bounds: list[float] = []
        points = [*self.samples, *[draw(self.statement, self.generator, n) for n in range(2 * _POINTS_TO_CERTIFY)]]
        for sample in points:
            enclosed = enclose(self.statement, sample, list(sample.weights), hold_stopped)
            if enclosed is not None and enclosed.agree:
                bounds.append(enclosed.bound())
            elif enclosed is not None and enclosed.apart:
                return replace(plain, reason=f"{reason}, and enclosures differ at an input without showing where")
            if len(bounds) == _POINTS_TO_CERTIFY:
                return replace(
                    plain, verdict="CERTIFIED", bound=max(bounds), points=len(bounds), reason=f"not proved: {reason}"
                )
        return replace(plain, reason=f"{reason}, and enclosures decide at {len(bounds)} inputs only")

    def _literal_notes(self, hold_stopped: bool) -> list[str]:
        if not self.readings:
            return []
        readings = dict(self.readings)
        exact = self._trial(self.samples[0], hold_stopped, recognise=False)
        if exact is None or exact >= 0:
            return []
        return ["literal rounding: " + ", ".join(f"{text} is read as {reading}" for text, reading in readings.items())]

    def stop_notes(self, stops: Sequence[str]) -> list[str]:
        """Does it matter that ``stop_gradient`` was obeyed?"""
        outcomes = [self._trial(sample, hold_stopped=False) for sample in self.samples[:3]]
        if not any(outcome is not None and outcome < 0 for outcome in outcomes):
            return []
        what = "a straight-through estimator: " if quantises(self.statement.forward) else ""
        return [
            f"{what}stop_gradient at {', '.join(stops)} hides a value: this is the derivative with that value "
            "held constant, not the derivative of what is computed"
        ]
