"""Proofs for every size: the theorems hold, wrong variants never pass, and the calculus agrees with SymPy."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Mapping
from fractions import Fraction

import pytest
import sympy

from verify.indexed import (
    DECK_003,
    DECK_003_SUM,
    DECK_004,
    Assumption,
    Canonical,
    Delta,
    Extent,
    Formulas,
    Forward,
    Index,
    Layer,
    Network,
    Proof,
    Size,
    SizeError,
    Symbol,
    Term,
    UndecidedError,
    adaline_gradient,
    all_proofs,
    apply,
    backpropagation,
    batch_gradient,
    binary_cross_entropy,
    bp1,
    bp2,
    bp3,
    bp4,
    call,
    define,
    diff,
    exp,
    find_counterexample,
    fitting_formulas,
    gradient_when_labels_sum_to_one,
    inertia_update,
    l2_gradient,
    l2_gradient_of_layer,
    log,
    output_delta,
    prove,
    prove_lines,
    sigmoid,
    softmax_cross_entropy,
    softmax_cross_entropy_lines,
    softmax_jacobian,
    softmax_jacobian_cases,
    squared_error_gradient,
    sum_except,
    sum_over,
)
from verify.indexed.exact import Dual, Inexact, LogOf, apply_function
from verify.indexed.instances import World
from verify.indexed.softmax import CROSS_ENTROPY, LABELS, ONE_LABEL, SCORES, SOFTMAX, I as SI, J as SJ, K as SK
from verify.indexed.structure import rename, unfold
from verify.indexed.terms import Add, Atom, Call, Diff, Mul, Named, Number, Power, Sum, as_term
from verify.indexed.updates import ALPHA, BETA, LAMBDA, THETA, M, R, S, example_loss

N = Size("n")
I, J, K, L, Q = (Index(name, N) for name in "ijklq")
X, Y = Symbol("x", (N,)), Symbol("y", (N,))
W = Symbol("w", (N, N))


# -- the theorems ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "theorem",
    [
        softmax_jacobian,
        softmax_jacobian_cases,
        softmax_cross_entropy,
        softmax_cross_entropy_lines,
        gradient_when_labels_sum_to_one,
        binary_cross_entropy,
        output_delta,
        squared_error_gradient,
        adaline_gradient,
        batch_gradient,
        lambda: batch_gradient(mean=False),
        bp1,
        backpropagation,
        lambda: backpropagation(DECK_004, fitting_formulas(DECK_004)),
        l2_gradient,
        lambda: l2_gradient_of_layer(1),
        inertia_update,
    ],
)
def test_theorem(theorem: Callable[[], Proof]) -> None:
    proof = theorem()
    assert proof.verdict == "PROVED", str(proof)
    leaves = [proof] if not proof.parts else list(proof.parts)
    assert all(len(leaf.steps) >= 2 and all(step.rule for step in leaf.steps[1:]) for leaf in leaves)
    assert proof.sizes or theorem is binary_cross_entropy
    assert json.loads(json.dumps(proof.to_dict()))["verdict"] == "PROVED"


def test_the_softmax_proof_is_printed_one_rule_a_step() -> None:
    text = str(softmax_jacobian())
    for rule in ("quotient rule", "chain rule", "delta picks one term", "definition", "factor"):
        assert rule in text
    assert text.endswith("points)")
    assert "PROVED for every K" in text


def test_cross_entropy_uses_the_jacobian_as_a_lemma() -> None:
    rules = [step.rule for step in softmax_cross_entropy().steps]
    assert "softmax Jacobian" in rules


def test_labels_that_do_not_sum_to_one_are_the_counterexample() -> None:
    proof = softmax_cross_entropy(SOFTMAX[SI] - LABELS[SI])
    assert proof.verdict == "REFUTED"
    assert proof.counterexample is not None
    values = proof.counterexample.values
    labels = sum(Fraction(text) for name, text in values.items() if name.startswith("y"))
    assert labels != 1


def test_only_if_needs_both_parts() -> None:
    proof = gradient_when_labels_sum_to_one()
    assert [part.name for part in proof.parts] == ["if the labels sum to 1", "only if"]
    assert "σ_i > 0" in str(proof)


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (DECK_003, Formulas()),
        (DECK_004, Formulas(bp2_weight=0, bp3_delta=1, bp4_activation=0, bp4_delta=1)),
        (DECK_003_SUM, Formulas(bp2_transpose=False, bp4_swap=True)),
    ],
)
def test_which_formulas_fit_which_forward_equation(forward: Forward, expected: Formulas) -> None:
    assert fitting_formulas(forward) == expected


def test_deck_004_is_off_by_one_against_its_own_forward_equation() -> None:
    proof = backpropagation(DECK_004)
    assert [part.verdict for part in proof.parts] == ["PROVED", "REFUTED", "REFUTED", "REFUTED"]
    assert all("sizes do not fit" in part.note and part.counterexample is not None for part in proof.parts[1:])


def test_deck_003_sum_contradicts_its_transpose() -> None:
    verdicts = [part.verdict for part in backpropagation(DECK_003_SUM).parts]
    assert verdicts == ["PROVED", "REFUTED", "PROVED", "REFUTED"]


def test_all_proofs_are_decided() -> None:
    proofs = all_proofs()
    assert {proof.verdict for proof in proofs} == {"PROVED", "REFUTED"}
    assert [proof.name for proof in proofs if proof.verdict == "REFUTED"] == [
        "backpropagation",
        "backpropagation",
        "L2 regularisation, by layer",
        "update with inertia",
    ]
    json.dumps([proof.to_dict() for proof in proofs])


# -- wrong variants --------------------------------------------------------------------------------------------------

_S, _T, _Y = SOFTMAX[SI], SOFTMAX[SJ], LABELS
_TOTAL = sum_over(SK, LABELS[SK])
_LOSS = call(Symbol("E"), S, THETA[S])
_SLOPE = call(Symbol("E"), S, THETA[S], R)


def _jacobian(right: Term) -> Callable[[], Proof]:
    return lambda: prove(diff(SOFTMAX[SI], SCORES[SJ]), right)


def _bp2(right: Callable[[Network, Layer, Index, Index], Term], forward: Forward = DECK_003) -> Callable[[], Proof]:
    def claim(net: Network, layer: Layer) -> Term:
        return right(net, layer, net.index("i", layer), net.index("j", layer + 1))

    return lambda: bp2(forward, right=claim)


def _bp4(right: Callable[[Network, Layer, Index, Index], Term]) -> Callable[[], Proof]:
    return lambda: bp4(right=lambda n, l: right(n, l, n.index("j", l), n.index("k", l - 1)))


WRONG: dict[str, Callable[[], Proof]] = {
    "jacobian: sign": _jacobian(_S * (_T - Delta(SI, SJ))),
    "jacobian: i for j": _jacobian(_S * (Delta(SI, SJ) - _S)),
    "jacobian: delta missing": _jacobian(_S * (1 - _T)),
    "jacobian: factor missing": _jacobian(Delta(SI, SJ) - _T),
    "jacobian: diagonal only": _jacobian(Delta(SI, SJ) * _S * (1 - _S)),
    "jacobian: plus": _jacobian(_S * (Delta(SI, SJ) + _T)),
    "jacobian: not normalised": _jacobian(exp(SCORES[SI]) * (Delta(SI, SJ) - _T)),
    "jacobian: cases with -s_i s_i": lambda: softmax_jacobian_cases(-_S * _S),
    "jacobian: cases with 0": lambda: softmax_jacobian_cases(as_term(0)),
    "cross-entropy: label sum omitted": lambda: softmax_cross_entropy(_S - _Y[SI]),
    "cross-entropy: sign": lambda: softmax_cross_entropy(_Y[SI] - _S * _TOTAL),
    "cross-entropy: label missing": lambda: softmax_cross_entropy(_S * _TOTAL),
    "cross-entropy: label squared": lambda: softmax_cross_entropy(-_Y[SI] + _S * sum_over(SK, _Y[SK] ** 2)),
    "cross-entropy: sum of s too": lambda: softmax_cross_entropy(-_Y[SI] + sum_over(SK, _Y[SK] * SOFTMAX[SK])),
    "cross-entropy: sum without i": lambda: softmax_cross_entropy(-_Y[SI] + _S * sum_except(SK, SI, _Y[SK])),
    "cross-entropy: mean": lambda: softmax_cross_entropy(_S * _TOTAL / Extent(SK.size) - _Y[SI]),
    "binary: sign": lambda: prove(diff(log(sigmoid(X[I])), X[I]), sigmoid(X[I]) - 1),
    "sigmoid: a for 1 - a": lambda: prove(diff(sigmoid(X[I]), X[I]), sigmoid(X[I]) ** 2),
    "sigmoid: input for output": lambda: prove(diff(sigmoid(X[I]), X[I]), X[I] * (1 - X[I])),
    "tanh: factor 2": lambda: prove(apply("tanh", X[I]), sigmoid(2 * X[I]) - 1),
    "tanh: derivative": lambda: prove(diff(apply("tanh", X[I]), X[I]), 1 - apply("tanh", X[I])),
    "softplus: derivative": lambda: prove(diff(apply("softplus", X[I]), X[I]), exp(X[I]) / (1 + exp(-X[I]))),
    "BP1: phi' missing": lambda: bp1(lambda n, l: _bp1_slope(n, l)),
    "BP1: phi for phi'": lambda: bp1(lambda n, l: _bp1_slope(n, l) * apply("φ", n.z(l)[n.index("j", l)])),
    "BP1: phi'' for phi'": lambda: bp1(lambda n, l: _bp1_slope(n, l) * apply("φ", n.z(l)[n.index("j", l)], 2)),
    "BP2: phi' missing": _bp2(lambda n, l, i, j: sum_over(j, n.w(l + 1)[j, i] * n.delta(l + 1)[j])),
    "BP2: phi' of the wrong layer": _bp2(
        lambda n, l, i, j: sum_over(j, n.w(l + 1)[j, i] * n.delta(l + 1)[j] * apply("φ", n.z(l + 1)[j], 1))
    ),
    "BP2: sign": _bp2(lambda n, l, i, j: -_bp2_right(n, l, i, j)),
    "BP2: factor 2": _bp2(lambda n, l, i, j: 2 * _bp2_right(n, l, i, j)),
    "BP2: weights missing": _bp2(lambda n, l, i, j: sum_over(j, n.delta(l + 1)[j]) * apply("φ", n.z(l)[i], 1)),
    "BP2: phi' squared": _bp2(lambda n, l, i, j: _bp2_right(n, l, i, j) * apply("φ", n.z(l)[i], 1)),
    "BP2: two sums": _bp2(
        lambda n, l, i, j: sum_over(j, n.w(l + 1)[j, i]) * sum_over(j, n.delta(l + 1)[j]) * apply("φ", n.z(l)[i], 1)
    ),
    "BP2: not transposed": lambda: bp2(DECK_003, Formulas(bp2_transpose=False)),
    "BP2: W^l": lambda: bp2(DECK_003, Formulas(bp2_weight=0)),
    "BP2: W^{l+1} in deck 004": lambda: bp2(DECK_004),
    "BP3: delta of the next layer": lambda: bp3(DECK_003, Formulas(bp3_delta=1)),
    "BP3: deck 004": lambda: bp3(DECK_004),
    "BP3: phi' once more": lambda: bp3(
        right=lambda n, l: n.delta(l)[n.index("j", l)] * apply("φ", n.z(l)[n.index("j", l)], 1)
    ),
    "BP4: z for a": _bp4(lambda n, l, j, k: n.z(l - 1)[k] * n.delta(l)[j]),
    "BP4: activation missing": _bp4(lambda n, l, j, k: n.delta(l)[j]),
    "BP4: sum over k": _bp4(lambda n, l, j, k: sum_over(k, n.a(l - 1)[k]) * n.delta(l)[j]),
    "BP4: swapped": lambda: bp4(DECK_003, Formulas(bp4_swap=True)),
    "BP4: activation of its own layer": lambda: bp4(DECK_003, Formulas(bp4_activation=0)),
    "BP4: deck 004": lambda: bp4(DECK_004),
    "L2: factor 2": lambda: l2_gradient(_SLOPE + 2 * LAMBDA * THETA[R]),
    "L2: sign": lambda: l2_gradient(_SLOPE - LAMBDA * THETA[R]),
    "L2: sum of weights": lambda: l2_gradient(_SLOPE + LAMBDA * sum_over(S, THETA[S])),
    "L2: term missing": lambda: l2_gradient(_SLOPE),
    "L2: layer l for l+1": lambda: l2_gradient_of_layer(0),
    "inertia: + as printed": lambda: inertia_update(+1),
    "batch: sum for mean": lambda: batch_gradient(sum_over(M, example_loss(R))),
    "batch: mean for sum": lambda: batch_gradient(sum_over(M, example_loss(R)) / Extent(M.size), mean=False),
    "squared error: 1/N missing": lambda: squared_error_gradient(
        Symbol("a", (M.size, N))[M, J] - Symbol("y", (M.size, N))[M, J]
    ),
    "last layer: phi' missing": lambda: output_delta(
        apply("φ", Symbol("z", (N,))[I]) - Symbol("y", (N,))[I],
    ),
    "Adaline: sign": lambda: adaline_gradient(
        Symbol("x", (M.size, R.size))[M, R]
        * (Symbol("y", (M.size,))[M] - sum_over(S, Symbol("x", (M.size, R.size))[M, S] * THETA[S]))
    ),
}


def _bp1_slope(net: Network, layer: Layer) -> Term:
    j, k = net.index("j", layer), net.index("k", layer)
    return call(Symbol("C"), k, define("a", j, apply("φ", net.z(layer)[j]), layer)[k], j)


def _bp2_right(net: Network, layer: Layer, i: Index, j: Index) -> Term:
    return sum_over(j, net.w(layer + 1)[j, i] * net.delta(layer + 1)[j]) * apply("φ", net.z(layer)[i], 1)


@pytest.mark.parametrize("claim", WRONG.values(), ids=WRONG)
def test_a_wrong_variant_is_refuted(claim: Callable[[], Proof]) -> None:
    proof = claim()
    assert proof.verdict == "REFUTED", str(proof)
    assert proof.counterexample is not None
    assert proof.counterexample.left != proof.counterexample.right
    assert not proof.steps
    assert "REFUTED" in str(proof)


def test_there_are_enough_wrong_variants() -> None:
    assert len(WRONG) >= 50


def test_the_first_wrong_line_of_a_derivation_is_named() -> None:
    s, y = SOFTMAX, LABELS
    lines: list[tuple[Term, str]] = [
        (-sum_over(SK, y[SK] / s[SK] * diff(s[SK], SCORES[SI])), ""),
        (-y[SI] * (1 - s[SI]) - sum_except(SK, SI, y[SK] * s[SI]), "the sign of the second part"),
        (-y[SI] + s[SI] * sum_over(SK, y[SK]), "join"),
    ]
    proof = prove_lines(lines)
    assert proof.verdict == "REFUTED"
    assert proof.note.startswith("line 2 does not follow")


# -- the calculus ----------------------------------------------------------------------------------------------------


def test_equal_up_to_names_and_order() -> None:
    same = Canonical().equal
    assert same(sum_over((J, K), W[J, K] * X[K] * Y[J]), sum_over((K, J), Y[K] * W[K, J] * X[J]))
    assert not same(sum_over((J, K), W[J, K] * X[K] * Y[J]), sum_over((J, K), W[J, K] * X[J] * Y[K]))
    assert same(sum_over(J, X[J]) ** 2, sum_over((J, K), X[J] * X[K]))
    assert not same(sum_over(J, X[J]) ** 2, sum_over(J, X[J] ** 2))
    triangle = sum_over((I, J, K), W[I, J] * W[J, K] * W[K, I])
    assert same(triangle, sum_over((L, I, Q), W[Q, L] * W[I, Q] * W[L, I]))
    assert not same(triangle, sum_over((I, J, K), W[I, J] * W[J, K] * W[I, K]))


def test_deltas_and_sizes() -> None:
    same = Canonical().equal
    assert same(sum_over(J, Delta(J, I)), as_term(1))
    assert same(sum_over((I, J), Delta(I, J)), Extent(N))
    assert same(Delta(I, J) * X[I], Delta(I, J) * X[J])
    assert same(Delta(I, J) * Delta(J, K), Delta(I, K) * Delta(K, J))
    assert same(Delta(I, J) ** 2, Delta(J, I))
    assert not same(Delta(I, J) * Delta(J, K), Delta(I, K))
    assert same(sum_over(K, X[K]), X[I] + sum_except(K, I, X[K]))
    assert same(sum_over(J, Delta(I, J) / X[J]), 1 / X[I])


def test_rational_functions() -> None:
    same = Canonical().equal
    a, b = X[I], X[J]
    assert same(a / (a + b) + b / (a + b), as_term(1))
    assert same(1 / (1 + 2 * a + a**2), (1 + a) ** -2)
    assert same(sum_over(K, Y[K] / (1 + X[K]) + Y[K] * X[K] / (1 + X[K])), sum_over(K, Y[K]))
    assert same(1 / a - 1 / b, (b - a) / (a * b))
    assert not same(1 / (a + b), 1 / a + 1 / b)


def test_functions() -> None:
    same = Canonical().equal
    x, y = X[I], X[J]
    assert same(exp(x + y), exp(x) * exp(y))
    assert same(exp(-x), 1 / exp(x))
    assert same(exp(log(X[I])), X[I])
    assert same(log(exp(x) / exp(y)), x - y)
    assert not same(log(x * y), log(x) + log(y))  # not where both are negative
    assert same(sigmoid(-x), 1 - sigmoid(x))
    assert same(apply("softplus", x) - apply("softplus", -x), x)
    assert same(diff(apply("g", x * x), x), 2 * x * apply("g", x * x, 1))


def test_an_assumption_holds_at_a_point_and_not_near_it() -> None:
    total = sum_over(K, Y[K])
    judge = Canonical([Assumption(total, as_term(1))])
    assert judge.equal(total * X[I], X[I])
    assert judge.equal(diff(total, Y[I]), as_term(1))
    assert not judge.equal(diff(total, Y[I]), as_term(0))
    assert prove(diff(total, Y[I]), 0, assumptions=[Assumption(total, as_term(1))]).verdict != "PROVED"


def test_assumptions_hold_for_all_values_of_their_indices() -> None:
    judge = Canonical([Assumption(W[I, J], X[I] * Y[J])])
    assert judge.equal(sum_over((K, L), W[K, L]), sum_over(K, X[K]) * sum_over(K, Y[K]))
    assert judge.equal(sum_over(K, W[K, K]), sum_over(I, X[I] * Y[I]))
    # The index of the sum must not be captured by a free index of the same name.
    assert judge.equal(sum_over(J, W[I, J] * X[J]), X[I] * sum_over(K, Y[K] * X[K]))


def test_unknown_functions_of_an_array() -> None:
    f = Symbol("F")
    value = call(f, K, X[K] ** 2)
    assert prove(diff(value, X[I]), call(f, K, X[K] ** 2, I) * 2 * X[I]).verdict == "PROVED"
    twice = diff(diff(value, X[I]), X[J])
    hessian = 4 * X[I] * X[J] * call(f, L, X[L] ** 2, J, I) + 2 * Delta(I, J) * call(f, K, X[K] ** 2, I)
    assert prove(twice, hessian).verdict == "PROVED"
    assert prove(twice, hessian - 2 * Delta(I, J) * call(f, K, X[K] ** 2, I)).verdict == "REFUTED"


def test_assumptions_that_nothing_satisfies_are_pointed_out() -> None:
    impossible = Assumption(exp(X[I]), as_term(-1))
    proof = prove(exp(X[I]) * Y[I], -Y[I], assumptions=[impossible])
    assert "may be empty" in proof.note


def test_what_is_not_decided_is_inconclusive() -> None:
    # True for real numbers, but the calculus does not know it: no proof, and no counterexample either.
    proof = prove(exp(X[I] / 2) ** 2, exp(X[I]))
    assert proof.verdict == "INCONCLUSIVE"
    assert proof.counterexample is None


def test_bad_input_has_one_clear_error() -> None:
    p = Index("p", Size("p"))
    with pytest.raises(SizeError, match="index 2 of w runs over n, but p runs over p"):
        W[I, p]
    with pytest.raises(SizeError, match="w has 2 indices, got 1"):
        W[I]
    with pytest.raises(SizeError, match="runs over"):
        Delta(I, p)
    with pytest.raises(SizeError, match="rename"):
        rename(X[I], {I: p})
    with pytest.raises(SizeError, match="∂F"):
        call(Symbol("F"), K, X[K], p)
    with pytest.raises(TypeError, match="expected an atom"):
        diff(X[I], X[I] + 1)
    with pytest.raises(TypeError, match="got float"):
        as_term(0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="free index j"):
        define("g", I, X[I] * X[J])
    with pytest.raises(ValueError, match="one quantity"):
        Canonical([Assumption(X[I] + Y[I], as_term(1))])
    with pytest.raises(ValueError, match="index that the left side has not"):
        Canonical([Assumption(X[I], Y[J])])
    with pytest.raises(ValueError, match="not a proved equation"):
        prove(X[I], X[I], lemmas=[prove(X[I], Y[I])])
    lemma = prove(diff(CROSS_ENTROPY(), SCORES[SI]), SOFTMAX[SI] - LABELS[SI], assumptions=[ONE_LABEL])
    with pytest.raises(ValueError, match="assumes Σ_k y_k = 1"):
        prove(diff(CROSS_ENTROPY(), SCORES[SI]), X[I], lemmas=[lemma])
    with pytest.raises(UndecidedError, match="layers"):
        Canonical().poly(diff(Symbol("z", (), Layer("l"))(), Symbol("z", (), Layer("m"))()))
    with pytest.raises(UndecidedError, match="Kronecker"):
        Canonical().poly(1 / Delta(I, J))
    with pytest.raises(ZeroDivisionError):
        Canonical().poly(1 / (X[I] - X[I]))


def test_renaming_does_not_capture() -> None:
    term = sum_over(K, X[K] * Y[I])
    assert str(rename(term, {I: K})) == "Σ_{k'} x_{k'}·y_k"
    definition = define("g", I, sum_over(K, W[I, K]))
    assert Canonical().equal(sum_over(K, definition[K] * X[K]), sum_over((I, J), W[I, J] * X[I]))


# -- against SymPy, and against exact arithmetic ---------------------------------------------------------------------


def _sympy(term: Term, at: Mapping[Index, int], n: int) -> sympy.Expr:
    """The term at size n as a SymPy expression; nothing of the calculus is used."""
    match term:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Atom(symbol, indices):
            return sympy.Symbol(f"{symbol}_{'_'.join(str(at[i]) for i in indices)}")
        case Named():
            return _sympy(unfold(term), at, n)
        case Delta(left, right):
            return sympy.Integer(at[left] == at[right])
        case Extent():
            return sympy.Integer(n)
        case Add(terms):
            return sympy.Add(*(_sympy(t, at, n) for t in terms))
        case Mul(factors):
            return sympy.Mul(*(_sympy(f, at, n) for f in factors))
        case Power(base, exponent):
            return _sympy(base, at, n) ** exponent
        case Sum(index, body):
            return sympy.Add(*(_sympy(body, {**at, index: v}, n) for v in range(1, n + 1)))
        case Diff(body, variable):
            return sympy.diff(_sympy(body, at, n), _sympy(variable, at, n))
        case Call():
            raise AssertionError("no calls in the random terms")
        case _:
            inner = _sympy(term.argument, at, n)  # type: ignore[attr-defined]
            t = sympy.Dummy()
            polynomial = 3 * t**4 - 2 * t**3 + t
            return sympy.diff(polynomial, t, term.order).subs(t, inner)  # type: ignore[attr-defined]


def _random_term(draw: random.Random, depth: int, scope: tuple[Index, ...]) -> Term:
    kind = draw.choice(
        ["atom", "atom", "delta", "number"] if depth == 0 else ["add", "mul", "mul", "sum", "power", "g"]
    )
    if kind == "atom":
        return draw.choice([X[draw.choice(scope)], Y[draw.choice(scope)], W[draw.choice(scope), draw.choice(scope)]])
    if kind == "delta":
        return Delta(draw.choice(scope), draw.choice(scope))
    if kind == "number":
        return as_term(Fraction(draw.randint(-3, 3), draw.randint(1, 3)))
    if kind == "sum":
        index = draw.choice([I, J, K, L])
        return sum_over(index, _random_term(draw, depth - 1, (*scope, index)))
    if kind == "power":
        return _random_term(draw, depth - 1, scope) ** draw.choice([2, 2, 3])
    if kind == "g":
        return apply("g", _random_term(draw, depth - 1, scope))
    parts = [_random_term(draw, depth - 1, scope) for _ in range(2)]
    return parts[0] + parts[1] if kind == "add" else parts[0] * parts[1]


@pytest.mark.parametrize("seed", range(25))
def test_the_canonical_form_agrees_with_sympy(seed: int) -> None:
    draw = random.Random(seed)
    term = _random_term(draw, 3, (I, J))
    variable = draw.choice([X[I], Y[J], W[I, J], W[I, I]])
    for case in (term, diff(term, variable)):
        normal = Canonical().normal(case)
        for n, (i, j) in itertools.product((1, 2), [(1, 1), (1, 2), (2, 2)]):
            if max(i, j) > n:
                continue
            at = {I: i, J: j}
            values = {
                s: sympy.Rational(draw.randint(-4, 4), draw.randint(1, 3))
                for s in sorted(_sympy(case, at, n).free_symbols | _sympy(normal, at, n).free_symbols, key=str)
            }
            assert _sympy(case, at, n).subs(values) == _sympy(normal, at, n).subs(values), f"{case} became {normal}"


@pytest.mark.parametrize("seed", range(30))
def test_a_random_edit_is_never_proved(seed: int) -> None:
    """One index or one summand changed: equal only where exact arithmetic finds no difference."""
    draw = random.Random(1000 + seed)
    term = _random_term(draw, 3, (I, J))
    edited = rename(term, {I: J}) if seed % 2 else term + draw.choice([1, X[I], Delta(I, J), sum_over(K, Y[K])])
    equal = Canonical().equal(term, edited)
    found = find_counterexample(term, edited, tries=6)
    assert equal == (found is None), f"{term} and {edited}: {found}"


def test_exact_functions_against_their_textbook_values() -> None:
    two = LogOf(Fraction(2))
    assert apply_function("exp", 5, two) == 2
    assert two * 3 == LogOf(Fraction(8))
    assert two * 10**12 == Inexact()  # not computed: the number has 10^12 digits
    assert apply_function("sigmoid", 0, two) == Fraction(2, 3)
    assert apply_function("sigmoid", 1, two) == Fraction(2, 9)
    assert apply_function("sigmoid", 2, two) == Fraction(2, 9) * (1 - Fraction(4, 3))
    assert apply_function("tanh", 0, two) == Fraction(3, 5)
    assert apply_function("tanh", 1, two) == 1 - Fraction(9, 25)
    assert apply_function("softplus", 1, two) == Fraction(2, 3)
    assert apply_function("log", 0, Fraction(2)) == two
    assert apply_function("log", 3, Fraction(2)) == Fraction(2, 8)
    assert apply_function("log", 1, Dual(Fraction(2), Fraction(1))) == Dual(Fraction(1, 2), Fraction(-1, 4))


def test_a_constant_without_exact_form_keeps_the_slope_beside_it() -> None:
    for constant in (exp(as_term(2)), log(as_term(3)), exp(as_term(2)) * log(as_term(3))):
        assert prove(diff(constant + 2 * X[I] * exp(Y[J]), X[I]), 2 * exp(Y[J])).verdict == "PROVED"
        assert prove(diff(constant * X[I], X[I]), constant).verdict == "PROVED"


def test_the_inverse_of_an_inverse_is_expanded() -> None:
    canonical = Canonical()
    for term in (1 / apply("tanh", X[I], 1), sum_over(K, X[K] / apply("tanh", Y[K], 1)), 1 / (1 / (1 + X[I]))):
        assert canonical.equal(canonical.normal(term), term)
        assert canonical.normal(canonical.normal(term)) == canonical.normal(term)


def test_derivatives_of_derivatives_by_nested_dual_numbers() -> None:
    world = World(lambda _: 2)
    term = diff(diff(sum_over(K, X[K]) ** 3, X[I]), X[J])
    value = world.evaluate(term, {I: 1, J: 2})
    assert value == 6 * world.evaluate(sum_over(K, X[K]))


def test_parameters_of_the_update_rule_matter() -> None:
    step = Symbol("Δθ", (R.size,))[R]
    wrong = THETA[R] + BETA * (-ALPHA * _SLOPE) + BETA * step
    assert prove(THETA[R] - BETA * ALPHA * diff(_LOSS, THETA[R]) + (1 - BETA) * step, wrong).verdict == "REFUTED"


def test_a_sum_over_too_many_like_indices_is_not_decided() -> None:
    indices = [Index(f"k{n}", N) for n in range(8)]
    pairs = [X[a] + X[b] for a, b in itertools.combinations(indices, 2)]
    term: Term = as_term(1)
    for pair in pairs:
        term = term * apply("g", pair)
    proof = prove(sum_over(tuple(indices), term), as_term(0))
    assert proof.verdict in ("REFUTED", "INCONCLUSIVE")
    assert "look alike" in proof.note
