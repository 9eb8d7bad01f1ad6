"""Loss sums, regularisation and update rules, for every number of weights and of examples.

All weights of a network, of whatever layer, are here one vector ``θ_1 .. θ_P``; the loss is an unknown function of it.

Source: deck 003 (remarks 2 and 3), deck 001 (batch learning), deck 004 (Adaline, the quadratic cost).
"""

from __future__ import annotations

from fractions import Fraction

from verify.indexed.proof import Proof, prove
from verify.indexed.terms import Extent, Index, Layer, Number, Size, Symbol, Term, apply, call, diff, sum_over

__all__ = [
    "adaline_gradient",
    "batch_gradient",
    "inertia_update",
    "l2_gradient",
    "l2_gradient_of_layer",
    "output_delta",
    "squared_error_gradient",
]

WEIGHTS, EXAMPLES, OUTPUTS = Size("P"), Size("N"), Size("n")
R, S = Index("r", WEIGHTS), Index("s", WEIGHTS)
M = Index("m", EXAMPLES)
THETA = Symbol("θ", (WEIGHTS,))
LAMBDA, ALPHA, BETA = Symbol("λ")(), Symbol("α")(), Symbol("β")()
HALF = Number(Fraction(1, 2))


def _loss(*slots: Index) -> Term:
    return call(Symbol("E"), S, THETA[S], *slots)


def l2_gradient(right: Term | None = None) -> Proof:
    """``∂/∂θ_r (E + λ/2 Σ_s θ_s²) = ∂E/∂θ_r + λ θ_r``.

    Args:
        right: another right side; its free index is ``r``.

    Example:
        >>> l2_gradient().verdict, l2_gradient(_loss(R) + 2 * LAMBDA * THETA[R]).verdict
        ('PROVED', 'REFUTED')
    """
    total = _loss() + HALF * LAMBDA * sum_over(S, THETA[S] ** 2)
    claim = _loss(R) + LAMBDA * THETA[R] if right is None else right
    return prove(diff(total, THETA[R]), claim, name="L2 regularisation")


def l2_gradient_of_layer(number: int = 0) -> Proof:
    """The regularisation term of ``∂E/∂w^{l+1}`` is ``λ w^{l+1}``; deck 003 prints ``λ W^{(l)}`` (``number=0``).

    Args:
        number: the claim is ``λ w^{l+number}``.

    Example:
        >>> l2_gradient_of_layer(0).verdict, l2_gradient_of_layer(1).verdict
        ('REFUTED', 'PROVED')
    """
    layer = Layer("l")
    j, k = Index("j", OUTPUTS), Index("k", OUTPUTS)

    def w(layer: Layer) -> Symbol:
        return Symbol("w", (OUTPUTS, OUTPUTS), layer)

    norm = sum_over((j, k), w(layer)[j, k] ** 2) + sum_over((j, k), w(layer + 1)[j, k] ** 2)
    return prove(
        diff(HALF * LAMBDA * norm, w(layer + 1)[j, k]),
        LAMBDA * w(layer + number)[j, k],
        name="L2 regularisation, by layer",
        note="The squares of two layers are shown; those of all others are constants as well.",
    )


def inertia_update(sign: int = -1) -> Proof:
    """The update with inertia of the regularised error: ``θ + β(-α ∂E/∂θ ± αλ θ) + (1-β) Δθ``.

    Args:
        sign: of the regularisation term. Descent on ``E + λ/2 Σ θ²`` gives -1; deck 003 prints +1.

    Example:
        >>> inertia_update(-1).verdict, inertia_update(+1).verdict
        ('PROVED', 'REFUTED')
    """
    total = _loss() + HALF * LAMBDA * sum_over(S, THETA[S] ** 2)
    step = Symbol("Δθ", (WEIGHTS,))[R]
    descent = THETA[R] + BETA * (-ALPHA * diff(total, THETA[R])) + (1 - BETA) * step
    written = THETA[R] + BETA * (-ALPHA * _loss(R) + sign * ALPHA * LAMBDA * THETA[R]) + (1 - BETA) * step
    return prove(descent, written, name="update with inertia")


def batch_gradient(right: Term | None = None, mean: bool = True) -> Proof:
    """The gradient of a mean of losses is the mean of the gradients (with ``mean=False``: of the sum, the sum).

    Args:
        right: another right side; its free index is ``r``.
        mean: whether the loss is the mean or the sum over the examples.

    Example:
        >>> batch_gradient().verdict, batch_gradient(sum_over(M, example_loss(R))).verdict
        ('PROVED', 'REFUTED')
    """
    factor: Term = 1 / Extent(EXAMPLES) if mean else Number(Fraction(1))
    claim = factor * sum_over(M, example_loss(R)) if right is None else right
    return prove(diff(factor * sum_over(M, example_loss()), THETA[R]), claim, name="batch gradient")


def example_loss(*slots: Index) -> Term:
    """``E_m(θ)``, the loss of example m, or its derivative in the weight of each slot."""
    return call(Symbol("E", (EXAMPLES,)), S, THETA[S], *slots, labels=(M,))


def squared_error_gradient(right: Term | None = None) -> Proof:
    """``J = 1/(2N) Σ_m Σ_k (y_mk - a_mk)²`` has the derivative ``(a_mj - y_mj)/N`` in ``a_mj``.

    Args:
        right: another right side; its free indices are ``m`` and ``j``.
    """
    j, k, p = Index("j", OUTPUTS), Index("k", OUTPUTS), Index("p", EXAMPLES)
    a, y = Symbol("a", (EXAMPLES, OUTPUTS)), Symbol("y", (EXAMPLES, OUTPUTS))
    cost = sum_over((p, k), (y[p, k] - a[p, k]) ** 2) / (2 * Extent(EXAMPLES))
    claim = (a[M, j] - y[M, j]) / Extent(EXAMPLES) if right is None else right
    return prove(diff(cost, a[M, j]), claim, name="squared error of a batch")


def output_delta(right: Term | None = None) -> Proof:
    """``E = 1/2 Σ_k (φ(z_k) - y_k)²`` gives ``∂E/∂z_i = (φ(z_i) - y_i) φ'(z_i)`` at the last layer.

    Args:
        right: another right side; its free index is ``i``.
    """
    i, k = Index("i", OUTPUTS), Index("k", OUTPUTS)
    z, y = Symbol("z", (OUTPUTS,)), Symbol("y", (OUTPUTS,))
    error = HALF * sum_over(k, (apply("φ", z[k]) - y[k]) ** 2)
    claim = (apply("φ", z[i]) - y[i]) * apply("φ", z[i], 1) if right is None else right
    return prove(diff(error, z[i]), claim, name="delta of the last layer")


def adaline_gradient(right: Term | None = None) -> Proof:
    """``J_m = 1/2 (y_m - Σ_s x_ms θ_s)²`` has the gradient ``-x_mr (y_m - Σ_s x_ms θ_s)``.

    Args:
        right: another right side; its free indices are ``m`` and ``r``.
    """
    x, y = Symbol("x", (EXAMPLES, WEIGHTS)), Symbol("y", (EXAMPLES,))
    residual = y[M] - sum_over(S, x[M, S] * THETA[S])
    claim = -x[M, R] * residual if right is None else right
    return prove(diff(HALF * residual**2, THETA[R]), claim, name="Adaline")
