"""Proofs for every size at once: sums and Kronecker deltas over symbolic sizes.

`prove` decides an equation between terms; the theorems of the lecture decks are functions that return its `Proof`.

Example:
    >>> from verify.indexed import softmax_jacobian
    >>> proof = softmax_jacobian()
    >>> print(proof.claim, "is", proof.verdict, "for every", *proof.sizes)
    ∂σ_i/∂a_j = σ_i·(δ_{ij} - σ_j) is PROVED for every K
"""

from verify.indexed.canonical import Assumption, Canonical
from verify.indexed.elementary import UndecidedError
from verify.indexed.instances import Counterexample, Instance, find_counterexample
from verify.indexed.networks import (
    DECK_003,
    DECK_003_SUM,
    DECK_004,
    Formulas,
    Forward,
    Network,
    backpropagation,
    bp1,
    bp2,
    bp3,
    bp4,
    fitting_formulas,
)
from verify.indexed.proof import Proof, SoundnessError, Step, prove, prove_lines
from verify.indexed.softmax import (
    binary_cross_entropy,
    gradient_when_labels_sum_to_one,
    softmax_cross_entropy,
    softmax_cross_entropy_lines,
    softmax_jacobian,
    softmax_jacobian_cases,
)
from verify.indexed.structure import define
from verify.indexed.terms import (
    Definition,
    Delta,
    Extent,
    Index,
    Layer,
    Size,
    SizeError,
    Symbol,
    Term,
    apply,
    call,
    diff,
    exp,
    log,
    sigmoid,
    sum_except,
    sum_over,
)
from verify.indexed.updates import (
    adaline_gradient,
    batch_gradient,
    inertia_update,
    l2_gradient,
    l2_gradient_of_layer,
    output_delta,
    squared_error_gradient,
)

__all__ = [
    "DECK_003",
    "DECK_003_SUM",
    "DECK_004",
    "Assumption",
    "Canonical",
    "Counterexample",
    "Definition",
    "Delta",
    "Extent",
    "Formulas",
    "Forward",
    "Index",
    "Instance",
    "Layer",
    "Network",
    "Proof",
    "Size",
    "SizeError",
    "SoundnessError",
    "Step",
    "Symbol",
    "Term",
    "UndecidedError",
    "adaline_gradient",
    "all_proofs",
    "apply",
    "backpropagation",
    "batch_gradient",
    "binary_cross_entropy",
    "bp1",
    "bp2",
    "bp3",
    "bp4",
    "call",
    "define",
    "diff",
    "exp",
    "find_counterexample",
    "fitting_formulas",
    "gradient_when_labels_sum_to_one",
    "inertia_update",
    "l2_gradient",
    "l2_gradient_of_layer",
    "log",
    "output_delta",
    "prove",
    "prove_lines",
    "sigmoid",
    "softmax_cross_entropy",
    "softmax_cross_entropy_lines",
    "softmax_jacobian",
    "softmax_jacobian_cases",
    "squared_error_gradient",
    "sum_except",
    "sum_over",
]


def all_proofs() -> tuple[Proof, ...]:
    """Every theorem of this package, and beside it what the decks print where that is something else."""
    fitting = fitting_formulas(DECK_004)
    return (
        softmax_jacobian(),
        softmax_jacobian_cases(),
        softmax_cross_entropy(),
        softmax_cross_entropy_lines(),
        gradient_when_labels_sum_to_one(),
        binary_cross_entropy(),
        output_delta(),
        squared_error_gradient(),
        adaline_gradient(),
        batch_gradient(),
        batch_gradient(mean=False),
        backpropagation(DECK_003),
        backpropagation(DECK_003_SUM),
        backpropagation(DECK_004),
        backpropagation(DECK_004, fitting),
        l2_gradient(),
        l2_gradient_of_layer(1),
        l2_gradient_of_layer(0),
        inertia_update(-1),
        inertia_update(+1),
    )
