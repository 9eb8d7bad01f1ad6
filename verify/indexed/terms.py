"""Terms with indices: atoms such as ``w[j, k]``, sums over an index whose range is a symbol, Kronecker deltas.

A term is plain, immutable data. The operators ``+ - * / **`` build terms and do no more than flatten nested sums and
products and fold numbers; everything else is a named rule (`verify.indexed.rules`) or part of the canonical form
(`verify.indexed.canonical`).

Sizes are symbols, so a term stands for every size at once. Each symbol declares the sizes that its indices run over,
and an index of another size is refused: a transposed matrix is an error, unless the two sizes are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

__all__ = [
    "Add",
    "Apply",
    "Atom",
    "Call",
    "Definition",
    "Delta",
    "Diff",
    "Extent",
    "Index",
    "Layer",
    "Mul",
    "Named",
    "Number",
    "Power",
    "Size",
    "SizeError",
    "Sum",
    "Symbol",
    "Term",
    "add",
    "apply",
    "as_term",
    "call",
    "diff",
    "exp",
    "log",
    "mul",
    "power",
    "sigmoid",
    "sum_except",
    "sum_over",
]


class SizeError(ValueError):
    """An index runs over another range than the place where it stands."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer number: a symbol plus an integer, or (with ``base=""``) a number.

    Example:
        >>> str(Layer("l") + 1), str(Layer("", 3))
        ('l+1', '3')
    """

    base: str
    offset: int = 0

    def __add__(self, step: int) -> Layer:
        return Layer(self.base, self.offset + step)

    def __sub__(self, step: int) -> Layer:
        return self + -step

    def __str__(self) -> str:
        if not self.base:
            return str(self.offset)
        return self.base + (f"{self.offset:+d}" if self.offset else "")


@dataclass(frozen=True, slots=True)
class Size:
    """The range of an index: ``1..n`` for a symbol ``n >= 1``, or the width ``n^l`` of a layer."""

    name: str
    layer: Layer | None = None

    def __str__(self) -> str:
        return self.name if self.layer is None else f"{self.name}^{_braced(str(self.layer))}"


@dataclass(frozen=True, slots=True)
class Index:
    """An index variable and the size it runs over."""

    name: str
    size: Size

    def __str__(self) -> str:
        return self.name


class Term:
    """What all terms share: the operators."""

    __slots__ = ()

    def __add__(self, other: Operand) -> Term:
        return add(self, as_term(other))

    def __radd__(self, other: Operand) -> Term:
        return add(as_term(other), self)

    def __sub__(self, other: Operand) -> Term:
        return add(self, mul(Number(Fraction(-1)), as_term(other)))

    def __rsub__(self, other: Operand) -> Term:
        return add(as_term(other), mul(Number(Fraction(-1)), self))

    def __mul__(self, other: Operand) -> Term:
        return mul(self, as_term(other))

    def __rmul__(self, other: Operand) -> Term:
        return mul(as_term(other), self)

    def __truediv__(self, other: Operand) -> Term:
        return mul(self, power(as_term(other), -1))

    def __rtruediv__(self, other: Operand) -> Term:
        return mul(as_term(other), power(self, -1))

    def __pow__(self, exponent: int) -> Term:
        return power(self, exponent)

    def __neg__(self) -> Term:
        return mul(Number(Fraction(-1)), self)

    def __str__(self) -> str:
        from verify.indexed.printing import text

        return text(self)


Operand: TypeAlias = Term | int | Fraction


@dataclass(frozen=True, slots=True)
class Number(Term):
    """A rational constant."""

    value: Fraction

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Symbol:
    """An independent quantity with indices: its name, the size of each index and, for layered ones, the layer.

    Example:
        >>> n, p = Size("n"), Size("p")
        >>> w = Symbol("w", (n, p))
        >>> j, k = Index("j", n), Index("k", p)
        >>> str(w[j, k])
        'w_{jk}'
        >>> w[k, j]
        Traceback (most recent call last):
        verify.indexed.terms.SizeError: w_{kj}: index 1 of w runs over n, but k runs over p
    """

    name: str
    sizes: tuple[Size, ...] = ()
    layer: Layer | None = None

    def __getitem__(self, indices: Index | tuple[Index, ...]) -> Atom:
        places = indices if isinstance(indices, tuple) else (indices,)
        check_sizes(str(self), self.sizes, places)
        return Atom(self, places)

    def __call__(self) -> Atom:
        """The atom of a symbol without indices."""
        return self[()]

    def __str__(self) -> str:
        return self.name if self.layer is None else f"{self.name}^{_braced(str(self.layer))}"


@dataclass(frozen=True, slots=True)
class Atom(Term):
    """An entry of a symbol, such as ``w_{jk}``."""

    symbol: Symbol
    indices: tuple[Index, ...]

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Delta(Term):
    """Kronecker's delta: 1 where the two indices are equal, else 0."""

    left: Index
    right: Index

    def __post_init__(self) -> None:
        if self.left.size != self.right.size:
            raise SizeError(
                f"δ_{{{self.left}{self.right}}}: {self.left} runs over {self.left.size}, "
                f"but {self.right} runs over {self.right.size}"
            )

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Extent(Term):
    """A size as a number: ``Σ_k 1``."""

    size: Size

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Add(Term):
    """A sum of two or more terms."""

    terms: tuple[Term, ...]

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Mul(Term):
    """A product of two or more factors; a numerical one, if any, comes first."""

    factors: tuple[Term, ...]

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Power(Term):
    """An integer power; a quotient is a product with a negative power."""

    base: Term
    exponent: int

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Sum(Term):
    """The sum of ``body`` over all values of ``index``."""

    index: Index
    body: Term

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Apply(Term):
    """The derivative of the given order of a scalar function, at ``argument``.

    ``exp``, ``log``, ``sigmoid``, ``tanh`` and ``softplus`` are known; every other name is an unknown smooth function.
    """

    function: str
    argument: Term
    order: int = 0

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Call(Term):
    """A partial derivative of an unknown smooth function of an indexed argument: ``∂_j C`` at the array ``k ↦ body``.

    ``labels`` pick one function of a family (the cost of example m); each slot is one partial derivative, given by the
    position (one index for each of ``binders``) of the entry it is taken in.
    """

    function: Symbol
    labels: tuple[Index, ...]
    binders: tuple[Index, ...]
    body: Term
    slots: tuple[tuple[Index, ...], ...] = ()

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Diff(Term):
    """The partial derivative of ``body`` in the independent quantity ``variable``, not yet carried out."""

    body: Term
    variable: Atom

    __str__ = Term.__str__


@dataclass(frozen=True, slots=True)
class Definition:
    """An abbreviation: ``name[parameters] := body``. Indexing it gives a term."""

    symbol: Symbol
    parameters: tuple[Index, ...]
    body: Term

    def __getitem__(self, indices: Index | tuple[Index, ...]) -> Named:
        places = indices if isinstance(indices, tuple) else (indices,)
        check_sizes(str(self.symbol), self.symbol.sizes, places)
        return Named(self, places)

    def __call__(self) -> Named:
        """The term of a definition without indices."""
        return self[()]

    def __str__(self) -> str:
        return f"{Named(self, self.parameters)} = {self.body}"


@dataclass(frozen=True, slots=True)
class Named(Term):
    """A defined quantity, such as ``σ_i``."""

    definition: Definition
    indices: tuple[Index, ...]

    __str__ = Term.__str__


def _braced(text: str) -> str:
    return text if len(text) == 1 else "{" + text + "}"


def check_sizes(name: str, sizes: tuple[Size, ...], places: tuple[Index, ...]) -> None:
    shown = f"{name}_{_braced(''.join(map(str, places)))}" if places else name
    if len(sizes) != len(places):
        raise SizeError(f"{shown}: {name} has {len(sizes)} indices, got {len(places)}")
    for number, (size, index) in enumerate(zip(sizes, places, strict=True), start=1):
        if index.size != size:
            raise SizeError(f"{shown}: index {number} of {name} runs over {size}, but {index} runs over {index.size}")


def as_term(value: Operand) -> Term:
    """A term from a term, an integer or a fraction; floats are refused, they are not exact."""
    if isinstance(value, Term):
        return value
    if isinstance(value, int | Fraction):
        return Number(Fraction(value))
    raise TypeError(f"as_term: expected a term, an int or a Fraction, got {type(value).__name__}")


def add(*terms: Term) -> Term:
    """The sum, flattened, numbers folded into one at the end."""
    flat: list[Term] = []
    total = Fraction(0)
    for term in terms:
        for part in term.terms if isinstance(term, Add) else (term,):
            if isinstance(part, Number):
                total += part.value
            else:
                flat.append(part)
    if total:
        # A leading number reads best in 1 - x; elsewhere the place does not matter.
        flat.insert(0, Number(total))
    if not flat:
        return Number(Fraction(0))
    return flat[0] if len(flat) == 1 else Add(tuple(flat))


def mul(*factors: Term) -> Term:
    """The product, flattened, numbers folded into one at the front."""
    flat: list[Term] = []
    total = Fraction(1)
    for factor in factors:
        for part in factor.factors if isinstance(factor, Mul) else (factor,):
            if isinstance(part, Number):
                total *= part.value
            else:
                flat.append(part)
    if not total:
        return Number(Fraction(0))
    if total != 1 or not flat:
        flat.insert(0, Number(total))
    return flat[0] if len(flat) == 1 else Mul(tuple(flat))


def power(base: Term, exponent: int) -> Term:
    """An integer power; powers of powers and of numbers are folded.

    Raises:
        ZeroDivisionError: a negative power of the number 0.
    """
    if exponent == 0:
        return Number(Fraction(1))
    if exponent == 1:
        return base
    if isinstance(base, Number):
        if not base.value and exponent < 0:
            raise ZeroDivisionError("power: 0 has no negative power")
        return Number(base.value**exponent)
    if isinstance(base, Power):
        return power(base.base, base.exponent * exponent)
    return Power(base, exponent)


def sum_over(indices: Index | tuple[Index, ...], body: Operand) -> Term:
    """The sum over one index, or over several.

    Example:
        >>> k = Index("k", Size("K"))
        >>> str(sum_over(k, Symbol("y", (k.size,))[k]))
        'Σ_k y_k'
    """
    term = as_term(body)
    for index in reversed(indices if isinstance(indices, tuple) else (indices,)):
        term = Sum(index, term)
    return term


def sum_except(index: Index, skipped: Index, body: Operand) -> Term:
    """The sum over the values of ``index`` other than ``skipped``: ``Σ_k (1 - δ_{ki}) body``."""
    return Sum(index, mul(1 - Delta(index, skipped), as_term(body)))


def apply(function: str, argument: Operand, order: int = 0) -> Term:
    """``function``, or its derivative of the given order, at ``argument``."""
    return Apply(function, as_term(argument), order)


def exp(argument: Operand) -> Term:
    """The exponential function."""
    return apply("exp", argument)


def log(argument: Operand) -> Term:
    """The natural logarithm, of a positive argument."""
    return apply("log", argument)


def sigmoid(argument: Operand) -> Term:
    """The logistic function ``1/(1 + exp(-x))``."""
    return apply("sigmoid", argument)


def call(
    function: Symbol,
    binders: Index | tuple[Index, ...],
    body: Operand,
    *slots: Index | tuple[Index, ...],
    labels: tuple[Index, ...] = (),
) -> Term:
    """An unknown function at the array ``binders ↦ body``, or its partial derivative in the entries ``slots``.

    Raises:
        SizeError: a slot does not fit the shape of the array, or a label the sizes of the function.
    """
    bound = binders if isinstance(binders, tuple) else (binders,)
    places = tuple(slot if isinstance(slot, tuple) else (slot,) for slot in slots)
    for place in places:
        check_sizes(f"∂{function}", tuple(b.size for b in bound), place)
    check_sizes(str(function), function.sizes, labels)
    return Call(function, labels, bound, as_term(body), places)


def diff(body: Operand, variable: Term) -> Term:
    """The partial derivative of ``body`` in an atom.

    Raises:
        TypeError: the variable is not an atom (a defined quantity is not independent).
    """
    if not isinstance(variable, Atom):
        raise TypeError(f"diff: expected an atom to differentiate in, got {variable}")
    return Diff(as_term(body), variable)
