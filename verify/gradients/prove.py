"""Is this gradient the derivative of this function? No tolerance, no step size: an identity is decided, or not.

How it is done. Both sides are programs (:mod:`verify.gradients.statement`). Inputs are found in every branch that can
be reached (:mod:`verify.gradients.branches`). At each, the two programs are compared in a finite field, where equality
is a proof up to a probability that is computed and pressed below 2^-50 by repetition (:mod:`verify.algebra.field`).
Where they are not equal there, rigorous enclosures at an exact real input decide: apart, and the gradient is WRONG,
with that input as witness (:mod:`verify.gradients.witness`); in agreement at several inputs, and it is CERTIFIED;
neither, INCONCLUSIVE.

What the derivative is. ``stop_gradient`` is obeyed: a value behind it counts as a constant, and the proof says where
that changed the answer. At kinks (relu at 0, a maximum of equal entries) there is no derivative; the proof is about all
other inputs, and lists the kinks with JAX's convention. So it is with every set of measure zero: a rule that is
wrong where ``x == 0.5`` exactly, and nowhere else, is not found. Literals are the real numbers that they round.

What the function is: its forward program, in exact arithmetic. Where that is an approximation (a truncated series), a
rule that gives the derivative of what is approximated is called wrong, and the witness says how small the error is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from verify.gradients.attempt import Attempt
from verify.gradients.branches import cover, coverage_of
from verify.gradients.interpret import UnsupportedStep
from verify.gradients.notes import kinks, quantises, sampled, stopped, undriven
from verify.gradients.proof import Proof
from verify.gradients.statement import Kind, Statement, state

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
        A :class:`~verify.gradients.proof.Proof`; ``print`` it.

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
        held=[*[statement.leaves[i].name for i in statement.held], *statement.integers],
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
    notes = [*sampled(coverage), *kinks(statement.forward, coverage)]
    plain = replace(plain, undriven=undriven(coverage), notes=notes)
    attempt = Attempt(statement, generator, samples)
    proof, tally = attempt.run(plain, hold_stopped=True)
    stops = stopped(statement.forward)
    if stops and proof.ok and attempt.matters(samples[:3], hold_stopped=False):
        what = "a straight-through estimator: " if quantises(statement.forward) else ""
        text = (
            f"{what}stop_gradient at {', '.join(stops)} hides a value: this is the derivative with that value "
            "held constant, not the derivative of what is computed"
        )
        proof = replace(proof, notes=[text, *proof.notes])
    elif stops and not proof.ok:
        ignored, other = attempt.run(plain, hold_stopped=False)
        if ignored.ok:
            text = f"stop_gradient at {', '.join(stops)} is not obeyed: this is the derivative of all that is computed"
            proof, tally = replace(ignored, notes=[text, *ignored.notes]), other
    if tally.silent:  # what was only seen there was not looked at
        coverage = coverage_of(statement, [sample for sample in samples if sample not in tally.silent])
    return replace(proof, outcomes=coverage.outcomes, unseen=coverage.unseen())
