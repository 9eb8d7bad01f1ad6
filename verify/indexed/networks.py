"""Backpropagation through a fully connected network: BP1 to BP4, for every width and every depth.

Layer m computes ``z^m`` from ``a^{m-1}``, ``a^m = φ(z^m)``, and the cost is an unknown function of ``a^L``. What the
decks disagree on is which number the weights between two layers carry; `Forward` says so, `Formulas` holds the numbers
that the backward formulas use, and the proof tells whether the two fit.

The statement for every depth is an induction from the last layer down: ``J^m`` is the cost as a function of ``z^m``,
and the hypothesis is that ``δ^{l+1}`` holds the derivatives of ``J^{l+1}``. Counterexamples are complete networks of
five layers with exact numbers.

Source: deck 004 (equations 3 to 5 and BP1 to BP4), deck 003 (the matrix recursions); M. Nielsen, Neural Networks and
Deep Learning, chapter 2, for the names BP1 to BP4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from verify.indexed.canonical import Assumption
from verify.indexed.instances import Instance
from verify.indexed.proof import Proof, combine, prove, refuse
from verify.indexed.structure import define
from verify.indexed.terms import (
    Atom,
    Call,
    Definition,
    Index,
    Layer,
    Size,
    SizeError,
    Symbol,
    Term,
    apply,
    call,
    diff,
    sum_over,
)

__all__ = [
    "DECK_003",
    "DECK_003_SUM",
    "DECK_004",
    "Formulas",
    "Forward",
    "Network",
    "backpropagation",
    "bp1",
    "bp2",
    "bp3",
    "bp4",
    "fitting_formulas",
]


@dataclass(frozen=True)
class Forward:
    """The numbering of a forward equation: ``z^{m} = W^{m-shift} a^{m-1} + b^{m-shift}``.

    Attributes:
        shift: 0 where weights carry the number of the layer they lead to, 1 where that of the layer they start from.
        transposed: True where ``w_jk`` leads from neuron j to neuron k.

    Example:
        >>> str(DECK_004), str(DECK_003)
        ('z^{l+1} = W^l a^l + b^l', 'z^{l+1} = W^{l+1} a^l + b^{l+1}')
    """

    shift: int = 0
    transposed: bool = False

    def __str__(self) -> str:
        number = {0: "l+1", 1: "l"}.get(self.shift, f"l{1 - self.shift:+d}")
        upper = number if len(number) == 1 else "{" + number + "}"
        weights = f"(W^{upper})^T" if self.transposed else f"W^{upper}"
        return f"z^{{l+1}} = {weights} a^l + b^{upper}"


DECK_003 = Forward(shift=0)
"""Deck 003, and most textbooks."""
DECK_003_SUM = Forward(shift=0, transposed=True)
"""Deck 003's remark 1 writes the sum as ``Σ_j w_ji x_j``, against its own note that ``w_ji`` leads from i to j."""
DECK_004 = Forward(shift=1)
"""Deck 004, equation (3)."""


@dataclass(frozen=True)
class Formulas:
    """The layer numbers in the backward formulas; the defaults are deck 004's.

    Attributes:
        bp2_weight: ``δ^l = ((W^{l+bp2_weight})^T δ^{l+1}) ⊙ φ'(z^l)``.
        bp2_transpose: False for ``w_ij`` in place of ``w_ji`` in BP2, no transposition.
        bp3_delta: ``∂J/∂b^l_j = δ^{l+bp3_delta}_j``.
        bp4_activation: ``∂J/∂w^l_jk = a^{l+bp4_activation}_k δ^{l+bp4_delta}_j``.
        bp4_delta: see ``bp4_activation``.
        bp4_swap: True for ``a_j δ_k``.
    """

    bp2_weight: int = 1
    bp2_transpose: bool = True
    bp3_delta: int = 0
    bp4_activation: int = -1
    bp4_delta: int = 0
    bp4_swap: bool = False


Claim = Callable[["Network", Layer], Term]


class Network:
    """The quantities of a network by layer: independent symbols, or (with ``depth``) all computed from the input.

    Args:
        forward: the numbering of the weights.
        equal_widths: one width for all layers.
        depth: the number L of layers, the input being layer 1; None for symbols.
    """

    def __init__(self, forward: Forward, equal_widths: bool = False, depth: int | None = None) -> None:
        self.forward = forward
        self.equal_widths = equal_widths
        self.depth = depth

    def width(self, layer: Layer) -> Size:
        """The number of neurons of a layer."""
        return Size("n") if self.equal_widths else Size("n", layer)

    def index(self, name: str, layer: Layer) -> Index:
        """An index over the neurons of a layer."""
        return Index(name, self.width(layer))

    def w(self, layer: Layer) -> Symbol:
        """The weights with this number."""
        into = layer + self.forward.shift
        shape = (self.width(into), self.width(into - 1))
        return Symbol("w", shape[::-1] if self.forward.transposed else shape, layer)

    def b(self, layer: Layer) -> Symbol:
        """The biases with this number."""
        return Symbol("b", (self.width(layer + self.forward.shift),), layer)

    def z(self, layer: Layer) -> Symbol | Definition:
        """What the neurons of a layer receive."""
        if self.depth is None:
            return Symbol("z", (self.width(layer),), layer)
        return self.received(layer, lambda k: self.a(layer - 1)[k], nudged=True)

    def a(self, layer: Layer) -> Symbol | Definition:
        """The activations of a layer."""
        if self.depth is None or layer.offset <= 1:
            return Symbol("a", (self.width(layer),), layer)
        j = self.index("j", layer)
        return define("a", j, apply("φ", self.z(layer)[j]), layer)

    def delta(self, layer: Layer) -> Symbol | Definition:
        """``∂J/∂z`` of a layer: with ``depth``, by nudging the layer's ``z``."""
        if self.depth is None:
            return Symbol("δ", (self.width(layer),), layer)
        j = self.index("j", layer)
        return define("δ", j, diff(self.cost(), self._nudge(layer)[j]), layer)

    def received(self, layer: Layer, activation: Callable[[Index], Term], nudged: bool = False) -> Definition:
        """``z`` of a layer from the activations of the layer before."""
        j, k = self.index("j", layer), self.index("k", layer - 1)
        number = layer - self.forward.shift
        weight = self.w(number)[k, j] if self.forward.transposed else self.w(number)[j, k]
        total = sum_over(k, weight * activation(k)) + self.b(number)[j]
        return define("z", j, total + self._nudge(layer)[j] if nudged else total, layer)

    def cost(self) -> Term:
        """The cost as a function of the last layer's activations (with ``depth``)."""
        last = Layer("", self.depth or 0)
        j = self.index("j", last)
        return call(Symbol("C"), j, self.a(last)[j])

    def _nudge(self, layer: Layer) -> Symbol:
        return Symbol("ε", (self.width(layer),), layer)


_L = Layer("l")
_LAST = Layer("L")
_DEPTH = 5
_MIDDLE = Layer("", 3)


def bp1(right: Claim | None = None) -> Proof:
    """``δ^L_j = ∂C/∂a^L_j · φ'(z^L_j)``, the start of the recursion.

    Args:
        right: another right side, as a function of the network and the last layer.
    """
    net = Network(DECK_003)
    j, k = net.index("j", _LAST), net.index("k", _LAST)
    a = define("a", j, apply("φ", net.z(_LAST)[j]), _LAST)

    def printed(net: Network, layer: Layer) -> Term:
        return call(Symbol("C"), k, a[k], j) * apply("φ", net.z(layer)[j], 1)

    claim = right or printed
    return prove(diff(call(Symbol("C"), k, a[k]), net.z(_LAST)[j]), claim(net, _LAST), name="BP1")


def bp2(forward: Forward = DECK_003, formulas: Formulas | None = None, right: Claim | None = None) -> Proof:
    """``δ^l_i = Σ_j w_ji δ^{l+1}_j φ'(z^l_i)``, the step of the recursion, under the hypothesis for layer l + 1.

    Args:
        forward: which weights lead from layer l to layer l + 1.
        formulas: which weights the formula uses.
        right: another right side, as a function of the network and of l; its free index is ``i``, over layer l.

    Example:
        >>> bp2(DECK_003).verdict, bp2(DECK_004).verdict, bp2(DECK_004, Formulas(bp2_weight=0)).verdict
        ('PROVED', 'REFUTED', 'PROVED')
    """
    numbers = formulas or Formulas()

    def printed(net: Network, layer: Layer) -> Term:
        i, j = net.index("i", layer), net.index("j", layer + 1)
        weights = net.w(layer + numbers.bp2_weight)
        weight = weights[j, i] if numbers.bp2_transpose else weights[i, j]
        return sum_over(j, weight * net.delta(layer + 1)[j]) * apply("φ", net.z(layer)[i], 1)

    def left(net: Network, layer: Layer) -> Term:
        return diff(_rest(net, layer + 1, lambda k: apply("φ", net.z(layer)[k])), net.z(layer)[net.index("i", layer)])

    def concrete(net: Network, layer: Layer) -> Term:
        return net.delta(layer)[net.index("i", layer)]

    return _judge(
        "BP2",
        forward,
        left,
        concrete,
        right or printed,
        lambda net: _hypothesis(net, _L + 1, lambda k: apply("φ", net.z(_L)[k])),
    )


def bp3(forward: Forward = DECK_003, formulas: Formulas | None = None, right: Claim | None = None) -> Proof:
    """``∂J/∂b^l_j = δ_j`` of the layer that the biases numbered l lead to.

    Args:
        forward: the numbering of the biases.
        formulas: the layer of the δ in the formula.
        right: another right side; its free index is ``j``, over the layer that the biases lead to.
    """
    numbers = formulas or Formulas()

    def printed(net: Network, layer: Layer) -> Term:
        return net.delta(layer + numbers.bp3_delta)[net.index("j", layer + forward.shift)]

    return _parameter(
        "BP3", forward, lambda net, layer: net.b(layer)[net.index("j", layer + forward.shift)], right or printed
    )


def bp4(forward: Forward = DECK_003, formulas: Formulas | None = None, right: Claim | None = None) -> Proof:
    """``∂J/∂w^l_jk = a_k δ_j``, with a of the layer that the weights start from and δ of that they lead to.

    Args:
        forward: the numbering of the weights.
        formulas: the layers of the a and the δ in the formula.
        right: another right side; its free indices are ``j`` and ``k``, those of ``w_jk``.
    """
    numbers = formulas or Formulas()

    def places(net: Network, layer: Layer) -> tuple[Index, Index]:
        first, second = net.w(layer).sizes
        return Index("j", first), Index("k", second)

    def variable(net: Network, layer: Layer) -> Atom:
        return net.w(layer)[places(net, layer)]

    def printed(net: Network, layer: Layer) -> Term:
        j, k = places(net, layer)[:: -1 if numbers.bp4_swap else 1]
        return net.a(layer + numbers.bp4_activation)[k] * net.delta(layer + numbers.bp4_delta)[j]

    return _parameter("BP4", forward, variable, right or printed)


def backpropagation(forward: Forward = DECK_003, formulas: Formulas | None = None) -> Proof:
    """BP1 to BP4 together: the derivatives of the cost in every weight and bias, for every width and depth.

    Example:
        >>> backpropagation().verdict, backpropagation(DECK_004).verdict
        ('PROVED', 'REFUTED')
    """
    parts = [bp1(), bp2(forward, formulas), bp3(forward, formulas), bp4(forward, formulas)]
    return combine(
        "backpropagation",
        f"δ^l, ∂J/∂b^l and ∂J/∂w^l for every l, where {forward}",
        parts,
        "Induction from l = L down: BP1 starts it, BP2 carries it from layer l+1 to layer l, so δ^l = ∂J/∂z^l for "
        "every l and every L; BP3 and BP4 then hold at every layer."
        if all(part.verdict == "PROVED" for part in parts)
        else "",
    )


def fitting_formulas(forward: Forward) -> Formulas:
    """The layer numbers, found by trying, with which BP2, BP3 and BP4 are proved under a forward equation.

    Raises:
        LookupError: none, or more than one, is proved with numbers from -1 to 2.

    Example:
        >>> fitting_formulas(DECK_004)
        Formulas(bp2_weight=0, bp2_transpose=True, bp3_delta=1, bp4_activation=0, bp4_delta=1, bp4_swap=False)
    """
    tried = range(-1, 3)
    turned = (True, False)
    found2 = [(n, t) for n in tried for t in turned if _proved(bp2(forward, Formulas(bp2_weight=n, bp2_transpose=t)))]
    found3 = [n for n in tried if _proved(bp3(forward, Formulas(bp3_delta=n)))]
    found4 = [
        (a, d, not t)
        for a in tried
        for d in tried
        for t in turned
        if _proved(bp4(forward, Formulas(bp4_activation=a, bp4_delta=d, bp4_swap=not t)))
    ]
    if [len(found2), len(found3), len(found4)] != [1, 1, 1]:
        raise LookupError(f"fitting_formulas: for {forward}, found BP2 {found2}, BP3 {found3}, BP4 {found4}")
    (weight, transpose), (activation, delta, swap) = found2[0], found4[0]
    return Formulas(weight, transpose, found3[0], activation, delta, swap)


def _proved(proof: Proof) -> bool:
    return proof.verdict == "PROVED"


def _rest(net: Network, layer: Layer, activation: Callable[[Index], Term], *slots: Index) -> Call:
    """The cost as a function of what a layer receives: an unknown function, one for each layer."""
    j = net.index("j", layer)
    term = call(Symbol("J", (), layer), j, net.received(layer, activation)[j], *slots)
    assert isinstance(term, Call)
    return term


def _hypothesis(net: Network, layer: Layer, activation: Callable[[Index], Term]) -> Assumption:
    j = net.index("j", layer)
    return Assumption(
        _rest(net, layer, activation, j),
        net.delta(layer)[j],
        f"induction hypothesis: δ^{{{layer}}} = ∂J/∂z^{{{layer}}}",
    )


def _parameter(name: str, forward: Forward, variable: Callable[[Network, Layer], Atom], right: Claim) -> Proof:
    into = _L + forward.shift

    def left(net: Network, layer: Layer) -> Term:
        return diff(
            _rest(net, layer + forward.shift, lambda k: net.a(layer + forward.shift - 1)[k]), variable(net, layer)
        )

    def concrete(net: Network, layer: Layer) -> Term:
        return diff(net.cost(), variable(net, layer))

    return _judge(
        name, forward, left, concrete, right, lambda net: _hypothesis(net, into, lambda k: net.a(into - 1)[k])
    )


def _judge(
    name: str,
    forward: Forward,
    left: Claim,
    concrete: Claim,
    right: Claim,
    hypothesis: Callable[[Network], Assumption],
) -> Proof:
    def attempt(equal_widths: bool) -> Proof:
        net, case = Network(forward, equal_widths), Network(forward, equal_widths, _DEPTH)
        return prove(
            left(net, _L),
            right(net, _L),
            assumptions=[hypothesis(net)],
            name=name,
            instance=Instance(concrete(case, _MIDDLE), right(case, _MIDDLE), zeros=frozenset(("ε",)), largest_size=2),
        )

    try:
        return attempt(equal_widths=False)
    except SizeError as error:
        judged = attempt(equal_widths=True)
        return refuse(name, judged.claim, error, judged)
