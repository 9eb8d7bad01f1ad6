"""The elementary functions over the field: most are rational in exp, the others are oracles."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from verify.algebra.degree import ONE
from verify.algebra.field_array import FieldArray
from verify.algebra.plain import Unsupported

if TYPE_CHECKING:
    from verify.algebra.field import Field


def apply(field: Field, name: str, x: FieldArray) -> FieldArray:
    """The function ``name`` of ``x``; the caller sees to the sample.

    Raises:
        Unsupported: for a name without a meaning here.
    """
    match name:
        case "exp":
            return field.exp(x)
        case "exp2":
            return field.exp(x * field.f.log(2))
        case "expm1":
            return field.exp(x) - 1
        case "log":
            return field.log(x)
        case "log1p":
            return field.log(x + 1)
        case "sqrt":
            return field.power(x, Fraction(1, 2))
        case "rsqrt":
            return field.power(x, Fraction(-1, 2))
        case "cbrt":
            return field.power(x, Fraction(1, 3))
        case "sigmoid":
            e = field.exp(x)
            return e / (e + 1)
        case "softplus":
            return field.log(field.exp(x) + 1)
        case "tanh":
            square = field.exp(x) ** 2
            return (square - 1) / (square + 1)
        case "sinh":
            e = field.exp(x)
            return (e - 1 / e) / 2
        case "cosh":
            e = field.exp(x)
            return (e + 1 / e) / 2
        case "atanh":
            return (field.log(x + 1) - field.log(1 - x)) / 2
        case "sin" | "cos" | "tan":
            t = field.odd("half-angle tangent", x, np.tan(x.sample / 2))
            square = t * t
            if name == "sin":
                return 2 * t / (square + 1)
            return (1 - square) / (square + 1) if name == "cos" else 2 * t / (1 - square)
        case "acos":
            return field.pi() / 2 - field.odd("asin", x, x.sample)
        case "erfc":
            return 1 - field.odd("erf", x, x.sample)
        case "asin" | "atan" | "asinh" | "erf" | "erfinv":
            return field.odd(name, x, x.sample)
        case "acosh" | "lgamma" | "digamma":
            return FieldArray(field, field.oracle(name, x.value, x.degree), x.sample, ONE)
        case "abs":
            return field.select(field.sign(x) < 0, [x, -x])
        case "sign":
            return field.constant(field.sign(x))
        case "relu":
            return field.select(field.sign(x) > 0, [field.lift(0), x])
        case "step":
            return field.constant((field.sign(x) > 0).astype(np.float64))
    raise Unsupported(name)
