"""SymPy expressions as numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from jax import lax

from verify.algebra.dual import Dual, DualArray
from verify.algebra.plain import Unsupported
from verify.algebra.symbolic import Symbolic, symbols
from verify.gradients.interpret import interpret
from verify.gradients.trace import trace, trace_vjp


def test_a_sigmoid_unit():
    algebra = Symbolic()
    x, w = symbols("x", (2,)), symbols("w", (2,))
    (y,) = interpret(trace(lambda a, b: jax.nn.sigmoid(a @ b), jnp.ones(2), jnp.ones(2)), algebra, [x, w])
    z = x[0] * w[0] + x[1] * w[1]
    assert sympy.simplify(y[()] - 1 / (1 + sympy.exp(-z))) == 0


def test_functions_can_be_named():
    sigma = sympy.Function("sigma")
    algebra = Symbolic({"sigmoid": sigma})
    (y,) = interpret(trace(jax.nn.sigmoid, 1.0), algebra, [symbols("x", ())])
    assert y[()] == sigma(sympy.Symbol("x", real=True))


def test_literals_and_constants():
    numbers = Symbolic().constant(np.array([0.1, 1 / 3, 0.7978845608], np.float32))
    assert list(numbers[:2]) == [sympy.Rational(1, 10), sympy.Rational(1, 3)]
    assert sympy.simplify(numbers[2] - sympy.sqrt(2 / sympy.pi)) == 0


def gradient_on_a_branch(f, x, point):
    """JAX's gradient with the indicators' values at the point, and the checker's own directional derivative."""
    algebra = Symbolic()
    variables, ct = symbols("x", x.shape), symbols("c", ())
    (gradient,) = interpret(trace_vjp(lambda v: (f(v),), [x], [1.0]), algebra, [variables, ct])
    dual = Dual(algebra)
    tangents = symbols("t", x.shape)
    (y,) = interpret(trace(f, x), dual, [DualArray(dual, variables, tangents)])
    values = algebra.branch(dict(zip(variables, point, strict=True)))
    mine = sum(g.subs(values) * t for g, t in zip(gradient, tangents, strict=True))
    return [g.subs(values) for g in gradient], sympy.expand(mine - ct[()] * y.tangent[()].subs(values))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jnp.sum(jax.nn.relu(x) * x),
        lambda x: jnp.max(jax.nn.relu(x)),
        lambda x: jnp.sum(jnp.abs(x) + jnp.clip(x, -1.0, 1.0) + jnp.minimum(x, x[::-1])),
        lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2,), (2,), "VALID").sum(),
        lambda x: jnp.sum(jnp.where((x > 0) & ~(x > 2), x * x, 3 * x)),
    ],
)
def test_branches_as_indicators(f):
    for point in ([3.0, -1.0, 0.5, 2.5], [-1.0, -2.0, 4.0, 0.25]):
        _, difference = gradient_on_a_branch(f, jnp.ones(4), point)
        assert difference == 0


def test_pooling_sends_the_gradient_to_the_winner():
    f = lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2,), (2,), "VALID").sum()  # noqa: E731
    gradient, _ = gradient_on_a_branch(f, jnp.ones(4), [1.0, 2.0, 5.0, 4.0])
    c = sympy.Symbol("c", real=True)
    assert gradient == [0, c, c, 0]


def test_masks_are_decided():
    algebra = Symbolic()
    f = lambda x: jax.nn.softmax(jnp.where(jnp.arange(2) < 1, x, -jnp.inf))  # noqa: E731
    (y,) = interpret(trace(f, jnp.ones(2)), algebra, [symbols("x", (2,))])
    assert list(y) == [1, 0]


def test_what_would_need_a_decision_is_unsupported():
    algebra = Symbolic()
    with pytest.raises(Unsupported):
        algebra.order(symbols("x", (2,)), 0)
    with pytest.raises(Unsupported):
        algebra.integral("floor", symbols("x", (2,)))
    assert algebra.integral("floor", algebra.constant(np.array([1.5]))).tolist() == [1.0]
