"""Softmax and cross-entropy, for every number of classes.

Source: deck 001, the pages on classification, which leave their last question, what the gradient is
with several labels at once, to the reader.
"""

from __future__ import annotations

from fractions import Fraction

from verify.indexed.canonical import Assumption
from verify.indexed.elementary import positive
from verify.indexed.proof import Proof, Step, combine, prove, prove_lines
from verify.indexed.structure import define
from verify.indexed.terms import (
    Definition,
    Delta,
    Index,
    Number,
    Size,
    Symbol,
    Term,
    diff,
    exp,
    log,
    sigmoid,
    sum_except,
    sum_over,
)

__all__ = [
    "binary_cross_entropy",
    "gradient_when_labels_sum_to_one",
    "softmax_cross_entropy",
    "softmax_cross_entropy_lines",
    "softmax_jacobian",
    "softmax_jacobian_cases",
]

CLASSES = Size("K")
I, J, K = (Index(name, CLASSES) for name in "ijk")
SCORES = Symbol("a", (CLASSES,))
LABELS = Symbol("y", (CLASSES,))
SOFTMAX: Definition = define("σ", I, exp(SCORES[I]) / sum_over(K, exp(SCORES[K])))
CROSS_ENTROPY: Definition = define("L", (), -sum_over(K, LABELS[K] * log(SOFTMAX[K])))
ONE_LABEL = Assumption(sum_over(K, LABELS[K]), Number(Fraction(1)), "the labels sum to 1")


def softmax_jacobian() -> Proof:
    """``∂σ_i/∂a_j = σ_i (δ_ij - σ_j)``.

    Example:
        >>> softmax_jacobian().verdict
        'PROVED'
    """
    i, j = SOFTMAX[I], SOFTMAX[J]
    return prove(diff(i, SCORES[J]), i * (Delta(I, J) - j), name="softmax Jacobian")


def softmax_jacobian_cases(otherwise: Term | None = None) -> Proof:
    """The Jacobian by cases: ``σ_i (1 - σ_i)`` where i = j, and ``otherwise`` (``-σ_i σ_j``) elsewhere.

    Args:
        otherwise: the second case, to check another one: one page of deck 001 has ``-σ_i σ_i``.

    Example:
        >>> print(softmax_jacobian_cases(-SOFTMAX[I] * SOFTMAX[I]).verdict)
        REFUTED
    """
    i, j = SOFTMAX[I], SOFTMAX[J]
    other = -i * j if otherwise is None else otherwise
    same = Delta(I, J)
    return prove(
        diff(i, SCORES[J]),
        same * i * (1 - i) + (1 - same) * other,
        lemmas=[softmax_jacobian()],
        name="softmax Jacobian by cases",
    )


def softmax_cross_entropy(gradient: Term | None = None) -> Proof:
    """``∂L/∂a_i = -y_i + σ_i Σ_k y_k`` for ``L = -Σ_k y_k log σ_k``, whatever the labels.

    Args:
        gradient: another right side to judge.

    Example:
        >>> print(softmax_cross_entropy(SOFTMAX[I] - LABELS[I]).counterexample)
        K=2, i=1; a_1=0, a_2=0, y_1=1, y_2=2: the left side is 1/2, the right side -1/2
    """
    right = -LABELS[I] + SOFTMAX[I] * sum_over(K, LABELS[K]) if gradient is None else gradient
    return prove(
        diff(CROSS_ENTROPY(), SCORES[I]), right, lemmas=[softmax_jacobian()], name="softmax cross-entropy gradient"
    )


def softmax_cross_entropy_lines() -> Proof:
    """The derivation of deck 001 line by line, with its case distinction and its sum over k ≠ i."""
    s, y = SOFTMAX, LABELS
    cases = Delta(I, K) * s[I] * (1 - s[I]) + (1 - Delta(I, K)) * (-s[I] * s[K])
    return prove_lines(
        [
            (diff(CROSS_ENTROPY(), SCORES[I]), ""),
            (-sum_over(K, y[K] / s[K] * diff(s[K], SCORES[I])), "derivative of a sum, chain rule"),
            (-sum_over(K, y[K] / s[K] * cases), "softmax Jacobian by cases"),
            (
                -y[I] * (1 - s[I]) - sum_except(K, I, y[K] / s[K] * (-s[I] * s[K])),
                "split the sum: k = i and k ≠ i",
            ),
            (-y[I] * (1 - s[I]) + sum_except(K, I, y[K] * s[I]), "cancel"),
            (-y[I] + s[I] * (y[I] + sum_except(K, I, y[K])), "factor"),
            (-y[I] + s[I] * sum_over(K, y[K]), "join the sum again"),
        ],
        name="softmax cross-entropy gradient, as in deck 001",
    )


def gradient_when_labels_sum_to_one() -> Proof:
    """``∂L/∂a_i = σ_i - y_i`` exactly when the labels sum to 1: the answer to deck 001's question about several labels.

    Example:
        >>> gradient_when_labels_sum_to_one().verdict
        'PROVED'
    """
    s, y = SOFTMAX[I], LABELS
    derivative = diff(CROSS_ENTROPY(), SCORES[I])
    if_part = prove(
        derivative,
        s - y[I],
        assumptions=[ONE_LABEL],
        lemmas=[softmax_cross_entropy()],
        name="if the labels sum to 1",
    )
    difference = prove(
        derivative - (s - y[I]),
        s * (sum_over(K, y[K]) - 1),
        lemmas=[softmax_cross_entropy()],
        name="the difference of the two sides",
    )
    holds = difference.verdict == "PROVED" and positive(s)
    only_if = Proof(
        "only if",
        f"∂L/∂a_i = σ_i - y_i for one i gives {sum_over(K, y[K])} = 1",
        "PROVED" if holds else "INCONCLUSIVE",
        sizes=difference.sizes,
        steps=(
            Step("∂L/∂a_i - (σ_i - y_i) = 0", ""),
            Step(f"{s * (sum_over(K, y[K]) - 1)} = 0", "the difference of the two sides"),
            Step(f"{sum_over(K, y[K])} = 1", "σ_i > 0, a quotient of sums of exponentials: the other factor is 0"),
        ),
        parts=(difference,),
    )
    return combine(
        "one label or several",
        "∂L/∂a_i = σ_i - y_i if and only if Σ_k y_k = 1",
        [if_part, only_if],
        "With several labels set, the gradient is -y_i + σ_i·Σ_k y_k.",
    )


def binary_cross_entropy() -> Proof:
    """``∂L/∂z = s(z) - y`` for ``L = -y log s(z) - (1 - y) log(1 - s(z))``, whatever y."""
    z, y = Symbol("z")(), Symbol("y")()
    loss = -y * log(sigmoid(z)) - (1 - y) * log(1 - sigmoid(z))
    return prove(diff(loss, z), sigmoid(z) - y, name="sigmoid cross-entropy gradient")
