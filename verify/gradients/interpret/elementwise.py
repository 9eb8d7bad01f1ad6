"""Entry by entry: arithmetic, elementary functions, comparisons, selection, conversions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from verify.algebra.plain import Unsupported
from verify.gradients.interpret.call import Call, Handler

_SAME_NAME = (
    "exp exp2 expm1 log log1p sqrt rsqrt cbrt sin cos tan asin acos atan sinh cosh tanh "
    "asinh acosh atanh erf erfc lgamma digamma abs sign"
)
FUNCTIONS = {**{name: name for name in _SAME_NAME.split()}, "logistic": "sigmoid", "erf_inv": "erfinv"}
"""JAX's primitives that are one elementary function, and its name in :mod:`verify.rules`."""


def _arithmetic(of_algebra: Callable[[Any, Any], Any], of_integers: Callable[[Any, Any], Any]) -> Handler:
    def handler(call: Call, x: Any, y: Any) -> Any:
        if call.floating:
            return of_algebra(x, y)
        return np.asarray(of_integers(x, y)).astype(call.out_types[0].dtype)

    return handler


def _quotient(x: Any, y: Any) -> Any:
    """Integer division that truncates, as XLA's does."""
    safe = np.where(y == 0, 1, y).astype(y.dtype)
    if np.issubdtype(x.dtype, np.unsignedinteger):
        return np.where(y == 0, ~np.zeros_like(x), x // safe)
    return np.where(y == 0, -1, np.sign(x) * np.sign(safe) * (np.abs(x) // np.abs(safe)))


def _remainder(call: Call, x: Any, y: Any) -> Any:
    if not call.floating:
        return np.asarray(np.fmod(x, np.where(y == 0, 1, y))).astype(call.out_types[0].dtype)
    quotient = call.algebra.constant(call.algebra.integral("trunc", x / y))
    return x - call.algebra.stop(quotient) * y


def _extremum(name: str) -> Handler:
    def handler(call: Call, x: Any, y: Any) -> Any:
        if call.floating:
            return call.larger(x, y) if name == "max" else call.smaller(x, y)
        return np.maximum(x, y) if name == "max" else np.minimum(x, y)

    return handler


def _function(name: str) -> Handler:
    def handler(call: Call, x: Any) -> Any:
        if not call.floating:
            return np.asarray({"abs": np.abs, "sign": np.sign}[name](x)).astype(call.out_types[0].dtype)
        if name in ("abs", "sign"):
            call.compare("gt", x, call.zero())
        return call.algebra.function(name, x)

    return handler


def _negative(call: Call, x: Any) -> Any:
    return -x


def _comparison(relation: str) -> Handler:
    plain = {
        "eq": np.equal,
        "ne": np.not_equal,
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
    }

    def handler(call: Call, x: Any, y: Any) -> NDArray[Any]:
        if call.in_types[0].floating:
            return call.compare(relation, x, y)
        if _undecided(x) or _undecided(y):
            if relation not in ("eq", "ne"):
                raise Unsupported("an order of conditions that are not decided")
            different = x + y - 2 * x * y
            return np.asarray(different if relation == "ne" else 1 - different, dtype=object)
        if jnp.issubdtype(call.in_types[0].dtype, jnp.bool_) or isinstance(x, np.ndarray):
            return np.asarray(plain[relation](x, y))
        raise Unsupported("a comparison of random keys")

    return handler


def _undecided(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == object


def _logic(name: str) -> Handler:
    bitwise = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}[name]

    def handler(call: Call, x: Any, y: Any) -> NDArray[Any]:
        if not (_undecided(x) or _undecided(y)):
            return np.asarray(bitwise(x, y))
        a, b = (np.asarray(v, dtype=object) if _undecided(v) else v.astype(int).astype(object) for v in (x, y))
        return np.asarray({"and": a * b, "or": a + b - a * b, "xor": a + b - 2 * a * b}[name], dtype=object)

    return handler


def _not(call: Call, x: Any) -> NDArray[Any]:
    return np.asarray(1 - x, dtype=object) if _undecided(x) else np.asarray(np.invert(x))


def _select(call: Call, which: Any, *cases: Any) -> Any:
    if call.floating:
        return call.algebra.select(which, list(cases))
    if _undecided(which):
        a, b = (np.asarray(c).astype(int).astype(object) if not _undecided(c) else c for c in cases)
        return np.asarray(a + which * (b - a), dtype=object)
    if not isinstance(cases[0], np.ndarray):
        raise Unsupported("a selection between random keys")
    answer = cases[0]
    for number, case in enumerate(cases[1:], start=1):
        answer = np.where(np.asarray(which).astype(int) == number, case, answer)
    return np.asarray(answer)


def _clamp(call: Call, low: Any, x: Any, high: Any) -> Any:
    if call.floating:
        return call.smaller(call.larger(x, low), high)
    return np.asarray(np.clip(x, low, high)).astype(call.out_types[0].dtype)


def _integer_power(call: Call, x: Any) -> Any:
    if call.floating:
        return call.algebra.power(x, Fraction(call.params["y"]))
    return np.asarray(x ** call.params["y"]).astype(call.out_types[0].dtype)


def _power(call: Call, x: Any, y: Any) -> Any:
    if not call.in_types[1].floating:
        if not isinstance(y, np.ndarray) or y.size == 0 or not (y.ravel() == y.ravel()[0]).all():
            raise Unsupported("a power with different integer exponents")
        return call.algebra.power(x, Fraction(int(y.ravel()[0])))
    if call.known[1] is not None:
        return call.algebra.power(x, call.known[1])
    return call.algebra.general_power(x, y)


def _square(call: Call, x: Any) -> Any:
    return x * x


def _one_minus_square(call: Call, x: Any) -> Any:
    return 1 - x * x


def _polynomial(call: Call, x: Any, *coefficients: Any) -> Any:
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def _exp_neg_sq(call: Call, x: Any) -> Any:
    return call.algebra.function("exp", -(x * x))


def _log2(call: Call, x: Any) -> Any:
    two = call.algebra.constant(np.array(2))
    return call.algebra.function("log", x) / call.algebra.function("log", two)


def _atan2(call: Call, y: Any, x: Any) -> Any:
    principal, pi = call.algebra.function("atan", y / x), call.algebra.pi()
    zero = call.zero()
    shifted = call.algebra.select(call.compare("lt", y, zero), [principal + pi, principal - pi])
    return call.algebra.select(call.compare("lt", x, zero), [principal, shifted])


def _is_finite(call: Call, x: Any) -> NDArray[np.bool_]:
    return call.algebra.finite(x)


def _round(call: Call, x: Any) -> Any:
    kind = "floor" if call.step.primitive == "floor" else "ceil" if call.step.primitive == "ceil" else ""
    if not kind:
        kind = "round_away" if int(call.params["rounding_method"]) == 0 else "round_even"
    return call.algebra.constant(call.algebra.integral(kind, x))


def _convert(call: Call, x: Any) -> Any:
    source, target = call.in_types[0], call.out_types[0]
    if source.floating and target.floating:
        return x
    if target.floating:
        return call.algebra.constant(x)
    if not source.floating:
        return x if _undecided(x) else np.asarray(x).astype(target.dtype)
    if jnp.issubdtype(target.dtype, jnp.bool_):
        return call.compare("ne", x, call.zero())
    if jnp.issubdtype(target.dtype, jnp.integer):
        return call.algebra.integral("trunc", x).astype(target.dtype)
    raise Unsupported(f"a conversion to {target.dtype}")


def _bitcast(call: Call, x: Any) -> Any:
    if call.in_types[0].floating:
        raise Unsupported("the bits of a real number")
    if call.floating:
        return call.algebra.constant(np.asarray(x).view(call.out_types[0].dtype))
    return np.asarray(x).view(call.out_types[0].dtype)


def _same(call: Call, x: Any) -> Any:
    return x


def _stop(call: Call, x: Any) -> Any:
    return call.algebra.stop(x) if call.floating else x


def _barrier(call: Call, *xs: Any) -> list[Any]:
    return list(xs)


HANDLERS: dict[str, Handler] = {
    "add": _arithmetic(lambda x, y: x + y, lambda x, y: x + y),
    "add_any": _arithmetic(lambda x, y: x + y, lambda x, y: x + y),
    "sub": _arithmetic(lambda x, y: x - y, lambda x, y: x - y),
    "mul": _arithmetic(lambda x, y: x * y, lambda x, y: x * y),
    "div": _arithmetic(lambda x, y: x / y, _quotient),
    "rem": _remainder,
    "neg": _negative,
    "max": _extremum("max"),
    "min": _extremum("min"),
    **{primitive: _function(name) for primitive, name in FUNCTIONS.items()},
    **{relation: _comparison(relation) for relation in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{f"{relation}_to": _comparison(relation) for relation in ("eq", "lt", "le")},  # of a total order: no nan here
    **{name: _logic(name) for name in ("and", "or", "xor")},
    "not": _not,
    "select_n": _select,
    "clamp": _clamp,
    "integer_pow": _integer_power,
    "pow": _power,
    "square": _square,
    "one_minus_square": _one_minus_square,
    "polynomial": _polynomial,
    "exp_neg_sq": _exp_neg_sq,
    "log2": _log2,
    "atan2": _atan2,
    "is_finite": _is_finite,
    "floor": _round,
    "ceil": _round,
    "round": _round,
    "convert_element_type": _convert,
    "bitcast_convert_type": _bitcast,
    "copy": _same,
    "copy_p": _same,
    "reduce_precision": _same,
    "name": _same,
    "sharding_constraint": _same,
    "layout_constraint": _same,
    "stop_gradient": _stop,
    "optimization_barrier": _barrier,
}
