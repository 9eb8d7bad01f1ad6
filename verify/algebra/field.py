"""Integers modulo p = 2^61 - 1: an identity of programs becomes an identity of two numbers.

**What is evaluated.** Every real number of a program is replaced by a random element of the field; a transcendental
function by a random oracle, one value for each different argument; and beside each field element goes an ordinary
float64, the *sample*, which alone decides comparisons. On the set of inputs that take the same branches as the sample
(a cell), a program is a formal expression in its inputs and in the oracles' answers. Two programs whose expressions
are equal are equal on the whole cell.

**Why equality is a proof.** Let A and B be different expressions. Order the oracles' questions as they are first asked.
As long as no two different questions have met in one field element, the answers are independent and uniform, so that
A - B, a quotient of polynomials in inputs and answers, vanishes with probability at most D/p, D the degree of its
numerator (Schwartz and Zippel). Questions meet with probability at most (number of pairs) * (degree)/p each. The sum of
both is :meth:`Field.error`; the degrees are kept with the values (:mod:`verify.algebra.degree`), and independent
repetitions multiply. Two assumptions are made: the keyed hash behind the oracles behaves as a random function, and the
coefficients of A - B are not all multiples of p (a difference of 10^18 in the program's constants; the float64 samples
would show it).

**Which relations oracles keep.** Only true ones, so that equality stays a proof; enough of them, so that right programs
are equal. exp(a + b) = exp(a) exp(b), exp(c a) = exp(a)^c for rational c whose denominator divides 60, exp(log y) =
|y|, log(a b) = log a + log b, log(exp x) = x; the hyperbolic functions, the sigmoid and softplus by way of exp and log;
sin^2 + cos^2 = 1, tan = sin/cos; oddness. log means log |x|, which agrees with log wherever that is real.

**Roots.** r = sqrt(v) must satisfy r r = v, and half of all v have no root in the field. Where a program's v flows into
a root (:mod:`verify.gradients.trace` marks it) the *value v is replaced by w^60*, w an oracle of v, wherever v is used:
the program becomes one of a family, v + epsilon for arbitrary epsilon, whose derivatives are unchanged. An identity of
the family holds for epsilon = 0, so equality is still a proof; sqrt(v) = w^30, cbrt(v) = w^20.

Not equal is no proof of the contrary: a relation between transcendental functions may be missing above. See
:mod:`verify.gradients.prove` for what is done then.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.algebra import exponents, literals, modular, real
from verify.algebra.degree import ONE, ZERO, Degree, Ledger
from verify.algebra.field_array import UNIT, Exponent, FieldArray
from verify.algebra.field_constants import irrational, rational_root
from verify.algebra.field_functions import apply
from verify.algebra.modular import P, Residues
from verify.algebra.oracles import Answers
from verify.algebra.plain import Functions, Rearrangement, Undecided, Unsupported

_GENERATOR = 37  # of the multiplicative group (checked in the tests)
_CLOSE = 1e-9


class Field:
    """The algebra of the field: one instance is one trial, with its own oracles.

    Args:
        seed: of the random points and oracles; None draws one from the system.
        recognise: read long literals as the known constant that they round (see :mod:`verify.algebra.literals`).

    Attributes:
        unlucky: a division by zero, or a sample that overflowed: the trial says nothing and is to be repeated.
        readings: the literals that were read as the constants they round, as text.

    Example:
        >>> field = Field(seed=1)
        >>> x = field.random(np.array([0.3, 1.2]))
        >>> double = field.function("exp", x + x)
        >>> bool(np.all(double.value == (field.function("exp", x) ** 2).value))
        True
    """

    _table: Residues | None = None

    def __init__(self, seed: int | None = None, recognise: bool = True) -> None:
        self.seed = secrets.randbits(64) if seed is None else seed
        self.generator = np.random.default_rng(self.seed)
        self.recognise = recognise
        self.ledger = Ledger()
        self.unlucky = False
        self.readings: dict[str, str] = {}
        self.f = Functions(self)
        self._keys: dict[str, int] = {}
        self._exp_answers, self._log_answers = Answers(), Answers()
        self._exp_degrees: list[Degree] = []
        self._log_degrees: list[Degree] = []
        self._square_roots: dict[int, FieldArray] = {}
        self._replaced: dict[int, list[tuple[Residues, Residues, Residues]]] = {}

    # -- making arrays ------------------------------------------------------------------------------------------

    def random(self, sample: NDArray[np.float64]) -> FieldArray:
        """Independent uniform field elements beside the real ``sample``."""
        sample = np.asarray(sample, np.float64)
        value = np.asarray(self.generator.integers(0, P, sample.shape, dtype=np.uint64))
        return FieldArray(self, value, sample, ONE)

    def lift(self, other: Any) -> FieldArray:
        """A Python number as an array of shape ()."""
        if isinstance(other, FieldArray):
            return other
        number = Fraction(other)
        value = np.array(modular.residue(number), np.uint64)
        return FieldArray(self, value, np.array(float(number)), ZERO, rational=number)

    def constant(self, values: NDArray[Any]) -> FieldArray:
        values = np.asarray(values)
        sample = values.astype(np.float64)
        if values.size == 0:
            return FieldArray(self, np.zeros(values.shape, np.uint64), sample, ZERO)
        flat = values.ravel()
        if (flat == flat[0]).all():  # the common case, and not worth a sort
            distinct, where = flat[:1], np.zeros(flat.size, np.intp)
        else:
            distinct, where = np.unique(flat, return_inverse=True)
        known = [self._constant(v) for v in distinct]
        value = np.array([k[0] for k in known], np.uint64)[where].reshape(values.shape)
        rational = known[0][1] if len(known) == 1 else None
        return FieldArray(self, value, sample, ZERO, rational=rational)

    def _constant(self, number: Any) -> tuple[int, Fraction | None]:
        if isinstance(number, np.integer | np.bool_):
            return int(number) % P, Fraction(int(number))
        if not np.isfinite(number):
            return 0, None
        reading = literals.read(number)
        if reading.rounded and not self.recognise:
            reading = literals.Reading(Fraction(literals.shortest(number)), "", rounded=False)
        if reading.rounded:
            self.readings[literals.shortest(number)] = str(reading)
        factor = modular.residue(reading.factor)
        if not reading.constant:
            return factor, reading.factor
        value = factor * irrational(self, reading.constant) % P
        if reading.constant in ("pi", "1/pi"):
            root = self.f.sqrt(self.pi())
            rational = self.power(self.lift(reading.factor), Fraction(1, 2))
            self._square_roots[value] = rational * (root if reading.constant == "pi" else 1 / root)
        return value, None

    def pi(self) -> FieldArray:
        w = self.oracle("pi", np.zeros((), np.uint64))
        return FieldArray(self, modular.power(w, UNIT), np.array(np.pi), Degree(UNIT), root=w)

    def replace_radicand(self, x: FieldArray) -> FieldArray:
        """``x``, whose value flows into a root, with its entries replaced by 60th powers (see above)."""
        if x.root is not None or x.rational is not None:
            return x
        known = self.replace_known(x)
        if known is not x:
            return known
        w = np.where(x.value == 0, x.value, self.oracle("root", x.value, x.degree))
        value = modular.power(w, UNIT)
        self._replaced.setdefault(x.value.size, []).append((x.value.ravel(), value.ravel(), w.ravel()))
        return FieldArray(self, value, x.sample, Degree(UNIT), root=w)

    def replace_known(self, x: FieldArray) -> FieldArray:
        """``x``, unless it is a value that was replaced elsewhere: then the same replacement."""
        for raw, new, w in self._replaced.get(x.value.size, ()):
            flat = x.value.ravel()
            if raw.size and x.root is None and (np.array_equal(raw, flat) or np.array_equal(new, flat)):
                return FieldArray(self, new.reshape(x.shape), x.sample, Degree(UNIT), root=w.reshape(x.shape))
        return x

    # -- oracles ------------------------------------------------------------------------------------------------

    def oracle(self, name: str, x: Residues, degree: Degree = ZERO) -> Residues:
        """The answers of the oracle ``name``: pseudo-random, equal for equal questions."""
        if name not in self._keys:
            self._keys[name] = int.from_bytes(self.generator.bytes(16), "little")
        self.ledger.ask(degree, x.size)
        return modular.keyed_hash(self._keys[name], x)

    def odd(self, name: str, x: FieldArray, sample: NDArray[np.float64]) -> FieldArray:
        """An oracle for an odd function."""
        negative = x.value > np.uint64(P // 2)
        answer = self.oracle(name, np.where(negative, modular.neg(x.value), x.value), x.degree)
        answer = np.where(negative, modular.neg(answer), np.where(x.value == 0, x.value, answer))
        return FieldArray(self, answer, sample, ONE)

    def exponent(self, x: FieldArray) -> Exponent:
        """What exp(x) is made of."""
        known = x._exponent() if x._exponent is not None else None
        if known is not None:
            x._exponent = lambda: known
            return known
        negative = x.value > np.uint64(P // 2)
        h = self.oracle("exp", np.where(negative, modular.neg(x.value), x.value), x.degree)
        h = np.where(x.value == 0, np.uint64(0), np.where(negative, np.uint64(exponents.ORDER) - h, h))
        atom = Exponent(h % np.uint64(exponents.ORDER))
        x._exponent = lambda: atom
        return atom

    def exponent_sum(self, x: FieldArray, y: FieldArray) -> Exponent | None:
        """Of x + y."""
        a, b = self.exponent(x), self.exponent(y)
        unit = int(np.gcd(a.unit, b.unit))
        total = exponents.add(exponents.times(a.h, a.unit // unit), exponents.times(b.h, b.unit // unit))
        weight = a.weight * (a.unit // unit) + b.weight * (b.unit // unit)
        if a.factor is None or b.factor is None:
            return Exponent(total, unit, weight, a.factor if b.factor is None else b.factor)
        return Exponent(total, unit, weight, a.factor * b.factor)

    def exponent_scaled(self, x: FieldArray, scale: Fraction) -> Exponent | None:
        """Of scale * x, where that can be had."""
        if scale == 0 or abs(scale.numerator) > UNIT:
            return None
        h, unit, weight, factor = self.exponent(x)
        if unit % scale.denominator or (factor is not None and scale.denominator != 1):
            return None
        scaled = None if factor is None else self.power(factor, scale)
        return Exponent(
            exponents.times(h, scale.numerator), unit // scale.denominator, weight * abs(scale.numerator), scaled
        )

    def exp(self, x: FieldArray) -> FieldArray:
        """exp, a homomorphism from sums to products."""
        h, unit, weight, factor = self.exponent(x)
        if Field._table is None:
            Field._table = modular.power_table(_GENERATOR)
        value = modular.generator_power(Field._table, exponents.times(np.broadcast_to(h, x.shape), unit))
        key = hash(x.value.tobytes()) ^ 1
        largest = unit * weight  # of a product of positive and negative powers, brought over one denominator
        self.ledger.degrees[key] = max(largest * x.value.size, self.ledger.degrees.get(key, 0))
        degree = Degree(largest * (x.value.size + 1), {key: 1})
        if factor is not None:
            value = modular.mul(value, factor.value)
            degree = self.ledger.product(degree, factor.degree)
        self.ledger.ask(x.degree, x.value.size)
        proposed, value = value, self._exp_answers.settle(x.value, value)
        degree = self._settled(self._exp_degrees, degree, bool(np.any(value != proposed)))
        with np.errstate(all="ignore"):
            sample = np.exp(x.sample)
        self.unlucky |= bool(np.any(np.isinf(sample) & np.isfinite(x.sample)))
        return FieldArray(self, value, sample, degree, x.depth + 1, logarithm=lambda: x)

    def log(self, x: FieldArray) -> FieldArray:
        """log |x|, a homomorphism from products to sums."""
        if x._logarithm is not None:
            structured = x._logarithm()
            proposed, degree = np.broadcast_to(structured.value, x.shape), structured.degree
        elif x.root is not None:
            proposed = modular.mul(self._log_atom(x.root, ONE), np.array(UNIT, np.uint64))
            structured, degree = None, ONE
        else:
            proposed, degree, structured = self._log_atom(x.value, x.degree), ONE, None
        canonical = np.minimum(x.value, modular.neg(x.value))
        self.ledger.ask(x.degree, x.value.size)
        value = self._log_answers.settle(canonical, proposed)
        degree = self._settled(self._log_degrees, degree, bool(np.any(value != proposed)))
        sample = (
            np.log(np.abs(x.sample)) if structured is not None and structured.shape == x.shape else np.log(x.sample)
        )

        def exponent() -> Exponent:
            if structured is not None:
                return self.exponent(structured)
            # |x|: its sign is the same in the whole cell
            absolute = self.select(x.sample < 0, [x, -x]) if np.any(x.sample < 0) else x
            return Exponent(np.zeros(x.shape, np.uint64), UNIT, 0, absolute)

        return FieldArray(self, value, sample, degree, x.depth + 1, exponent=exponent)

    def _settled(self, earlier: list[Degree], degree: Degree, answered_before: bool) -> Degree:
        """The degree of an answer: where it was given before, put otherwise, that of whichever it was."""
        earlier.append(degree)
        return self.ledger.union(*earlier) if answered_before else degree

    def _log_atom(self, x: Residues, degree: Degree) -> Residues:
        answer = self.oracle("log", np.minimum(x, modular.neg(x)), degree)
        return np.where(x == 1, np.uint64(0), answer)

    # -- the algebra --------------------------------------------------------------------------------------------

    def function(self, name: str, x: FieldArray) -> FieldArray:
        if name not in real.FUNCTIONS:
            raise Unsupported(name)
        result = apply(self, name, x)
        sample = np.asarray(real.FUNCTIONS[name](x.sample))
        result.sample = sample
        if not np.isfinite(x.sample).all():
            result = self._at_infinity(x, result)
        return result

    def sign(self, x: FieldArray) -> NDArray[np.float64]:
        """The signs of the samples; 0 for an identical zero.

        Raises:
            Undecided: where a sample is 0 and its expression is not.
        """
        if np.any((x.sample == 0) & (x.value != 0)):
            raise Undecided("an expression that is not identically zero has the sample 0")
        return np.asarray(np.where(x.value == 0, 0.0, np.sign(x.sample)))

    def _at_infinity(self, x: FieldArray, result: FieldArray) -> FieldArray:
        """Limits are exact constants: exp(-inf) = 0, tanh(inf) = 1. Any other would be left undefined (nan)."""
        limit = ~np.isfinite(x.sample) & np.isfinite(result.sample)
        if limit.any():
            whole = np.isin(result.sample, (-1.0, 0.0, 1.0))
            exact = np.where(whole & limit, result.sample, 0.0)
            value = np.where(limit, self.constant(exact).value, result.value)
            sample = np.where(limit & ~whole, np.nan, result.sample)
            return FieldArray(self, value, sample, result.degree)
        return result

    def reciprocal(self, x: FieldArray, numerator: NDArray[np.float64] | None = None) -> FieldArray:
        """1/x. An entry that is zero in the field only makes the trial ``unlucky``; 1/inf is 0."""
        with np.errstate(all="ignore"):
            sample = 1 / x.sample
        self.unlucky |= bool(np.any((x.value == 0) & (x.sample != 0) & np.isfinite(x.sample)))
        distinct = np.unique(x.value)
        degree = self.ledger.reciprocal(x.degree, hash(distinct.tobytes()), distinct.size)
        value = modular.inverse(x.value)
        value = np.where(np.isinf(x.sample), np.uint64(0), value)
        sample = np.where(x.value == 0, np.where(np.isfinite(x.sample), np.inf, sample), sample)
        rational = None if not x.rational else 1 / x.rational
        root = None if x.root is None else modular.inverse(x.root)
        return FieldArray(
            self, value, sample, degree, x.depth + 1, logarithm=lambda: -self.log(x), rational=rational, root=root
        )

    def power(self, x: FieldArray, exponent: Fraction) -> FieldArray:
        if exponent.denominator == 1:
            count = abs(int(exponent))
            if count > 1 << 12:
                raise Unsupported(f"a power of {exponent}")
            base = x if exponent >= 0 else self.reciprocal(x)
            # (-2)^2 is no 60th power of a positive number with the root that -2 was given: sqrt((-2)^2) is not -2
            rooted = base.root is not None and (count % 2 == 1 or not np.any(x.sample < 0))
            result = FieldArray(
                self,
                modular.power(base.value, count),
                np.power(x.sample, float(exponent)),
                self.ledger.power(base.degree, count),
                x.depth + 1,
                logarithm=lambda: self.log(x).scaled(exponent),
                rational=None if base.rational is None else base.rational**count,
                root=modular.power(base.root, count) if rooted and base.root is not None else None,
            )
            return result
        whole = exponent.numerator // exponent.denominator
        part = exponent - whole
        with np.errstate(all="ignore"):
            sample = np.power(x.sample, float(exponent))  # of a negative number nan: only cbrt (a function) is a root
        if UNIT % part.denominator:  # no exact relation to x is known: a power of an oracle's answer
            answer = FieldArray(self, self.oracle(f"^{part}", x.value, x.degree), sample, ONE)
            result = answer * self.power(x, Fraction(whole)) if whole else answer
            result.sample = sample
            return result
        known = self._known_square_root(x) if part == Fraction(1, 2) else None
        if known is not None:
            result = known * self.power(x, Fraction(whole))
        elif x.root is None and x.rational is not None and (exact := rational_root(self, x, part)) is not None:
            result = exact * self.power(x, Fraction(whole))
        else:
            w = x.root
            if w is None:
                w = np.where(x.value == 0, x.value, self.oracle("root", x.value, x.degree))
            root = FieldArray(self, w, np.abs(x.sample) ** (1 / UNIT), ONE)
            result = self.power(root, exponent * UNIT)
        result.sample = sample
        result._logarithm = lambda: self.log(x).scaled(exponent)
        return result

    def _known_square_root(self, x: FieldArray) -> FieldArray | None:
        """Of a literal that was read as a multiple of pi."""
        if x.value.size == 0 or not (x.value == x.value.flat[0]).all():
            return None
        root = self._square_roots.get(int(x.value.flat[0]))
        return None if root is None else self.rearrange(lambda v: np.broadcast_to(v, x.shape), root)

    def general_power(self, x: FieldArray, y: FieldArray) -> FieldArray:
        self.unlucky |= bool(np.any(x.sample <= 0))  # exp(y log |x|) is another function there
        if y.shift is not None and y.shift[0].shape == y.shape:
            result = self.general_power(x, y.shift[0]) * self.power(x, y.shift[1])
        else:
            result = self.exp(y * self.log(x))
        result.sample = np.asarray(np.power(x.sample, y.sample))
        return result

    def sum(self, x: FieldArray, axes: tuple[int, ...]) -> FieldArray:
        value, sample = modular.total(x.value, axes), np.asarray(x.sample.sum(axis=axes))

        def exponent() -> Exponent | None:
            h, unit, weight, factor = self.exponent(x)
            if factor is not None:
                return None
            terms = int(np.prod([x.shape[axis] for axis in axes]))
            return Exponent(exponents.total(np.broadcast_to(h, x.shape), axes), unit, weight * terms)

        return FieldArray(self, value, sample, x.degree, x.depth + 1, exponent=exponent)

    def matmul(self, x: FieldArray, y: FieldArray) -> FieldArray:
        degree = self.ledger.product(x.degree, y.degree)
        return FieldArray(
            self, modular.matmul(x.value, y.value), np.matmul(x.sample, y.sample), degree, max(x.depth, y.depth) + 1
        )

    def rearrange(self, fn: Rearrangement, *xs: FieldArray) -> FieldArray:
        def exponent() -> Exponent | None:
            parts = [self.exponent(x) for x in xs]
            unit = parts[0].unit
            if any(part.unit != unit for part in parts):
                return None
            full = [np.broadcast_to(part.h, x.shape) for part, x in zip(parts, xs, strict=True)]
            factor: FieldArray | None = None
            if any(part.factor is not None for part in parts):
                ones = [self.lift(1) if part.factor is None else part.factor for part in parts]
                spread = [
                    f if f.shape == x.shape else self.rearrange(lambda v, s=x.shape: np.broadcast_to(v, s), f)
                    for f, x in zip(ones, xs, strict=True)
                ]
                factor = self.rearrange(fn, *spread)
            return Exponent(np.asarray(fn(*full)), unit, max(part.weight for part in parts), factor)

        roots = [x.root for x in xs]
        structured = any(x._logarithm is not None for x in xs)
        return FieldArray(
            self,
            np.asarray(fn(*[x.value for x in xs])),
            np.asarray(fn(*[x.sample for x in xs])),
            self.ledger.union(*[x.degree for x in xs]),
            max(x.depth for x in xs) + 1,
            exponent=exponent if any(x._exponent is not None for x in xs) else None,
            logarithm=(lambda: self.rearrange(fn, *[self.log(x) for x in xs])) if structured else None,
            rational=xs[0].rational if all(x.rational == xs[0].rational for x in xs) else None,
            root=None if any(r is None for r in roots) else np.asarray(fn(*roots)),
        )

    def select(self, which: NDArray[Any], cases: Sequence[FieldArray]) -> FieldArray:
        chosen = np.asarray(which).astype(np.intp)
        shape = np.broadcast_shapes(chosen.shape, *[c.shape for c in cases])
        spread = [
            c if c.shape == shape else self.rearrange(lambda v: np.broadcast_to(v, shape), c) for c in cases
        ]  # so that ``pick`` sees arrays of one shape

        def pick(*arrays: NDArray[Any]) -> NDArray[Any]:
            answer = arrays[0]
            for number, array in enumerate(arrays[1:], start=1):
                answer = np.where(chosen == number, array, answer)
            return np.asarray(answer)

        return self.rearrange(pick, *spread)

    def compare(self, relation: str, x: FieldArray, y: FieldArray) -> NDArray[np.bool_]:
        a, b = np.broadcast_arrays(x.sample, y.sample)
        finite = np.isfinite(a) & np.isfinite(b)
        same = np.where(finite, x.value == y.value, a == b)
        with np.errstate(all="ignore"):
            close = np.abs(a - b) <= _CLOSE * (np.abs(a) + np.abs(b))
        if np.any(finite & ~same & close):
            raise Undecided("two different expressions have almost the same sample")
        if relation in ("eq", "ne"):
            return np.asarray(same if relation == "eq" else ~same)
        strict = real.RELATIONS["lt" if relation in ("lt", "le") else "gt"](a, b)
        return np.asarray((strict & ~same) if relation in ("lt", "gt") else (strict | same))

    def order(self, x: FieldArray, axis: int) -> NDArray[np.intp]:
        order = np.argsort(x.sample, axis=axis, kind="stable")
        value, sample = np.take_along_axis(x.value, order, axis), np.take_along_axis(x.sample, order, axis)
        below = np.take(sample, np.arange(max(sample.shape[axis] - 1, 0)), axis)
        above = np.take(sample, np.arange(1, sample.shape[axis]), axis)
        with np.errstate(all="ignore"):
            close = np.abs(above - below) <= _CLOSE * (np.abs(above) + np.abs(below))
        if np.any(close & (np.diff(value, axis=axis) != 0)):
            raise Undecided("two different entries to be sorted have almost the same sample")
        return order

    def integral(self, kind: str, x: FieldArray) -> NDArray[np.float64]:
        nearest = np.round(x.sample)
        with np.errstate(all="ignore"):
            close = np.abs(x.sample - nearest) <= _CLOSE * (1 + np.abs(nearest))
        close &= np.isfinite(nearest)
        whole = self.constant(np.where(close, nearest, 0.0).astype(np.int64))
        same = close & (whole.value == x.value)
        if np.any(close & ~same):
            raise Undecided("an expression that is not an integer has almost an integer for a sample")
        return np.asarray(real.INTEGRAL[kind](np.where(same, nearest, x.sample)))

    def finite(self, x: FieldArray) -> NDArray[np.bool_]:
        return np.isfinite(x.sample)

    def stop(self, x: FieldArray) -> FieldArray:
        return x

    def error(self, difference: Degree) -> float:
        """The probability that a difference of this degree, not identically zero, vanished in this trial."""
        bound = difference.numerator + self.ledger.collisions() + self.ledger.denominator(difference)
        return min(1.0, bound / P)
