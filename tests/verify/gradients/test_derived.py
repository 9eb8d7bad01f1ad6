"""Closed forms from code: the textbook's formula, the names of the code, and JAX's program proved equal."""

from __future__ import annotations

import json
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

from verify.gradients.closed_form import lowest_terms, symbol
from verify.gradients.derived import Derived, derive
from verify.gradients.interpret import UnsupportedStep
from verify.worked.derivation import Kind


def _array(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.round(np.random.default_rng(seed).normal(size=shape), 2), jnp.float32)


def _zero(form: sympy.Expr) -> bool:
    return bool(lowest_terms(form) == 0)


def _symbols(*names: str) -> list[sympy.Symbol]:
    return [symbol(name) for name in names]


def softmax(a):
    e = jnp.exp(a)
    s = e / jnp.sum(e)
    return s


def cross_entropy(a, y):
    e = jnp.exp(a)
    s = e / jnp.sum(e)
    loss = -jnp.sum(y * jnp.log(s))
    return loss


def library_cross_entropy(a, y):
    return -jnp.sum(y * jax.nn.log_softmax(a))


def neuron(w, b, x, y):
    z = jnp.dot(w, x) + b
    a = jax.nn.sigmoid(z)
    E = 0.5 * (a - y) ** 2
    return E


def network(params, x, y):
    for w, b in params:
        z = w @ x + b
        x = jax.nn.sigmoid(z)
    return 0.5 * jnp.sum((x - y) ** 2)


def convolution(k, v, x):
    c = jax.lax.conv_general_dilated(x[None, None], k[None, None], (1, 1), "VALID")[0, 0]
    h = jax.nn.relu(c)
    p = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (2, 2), (2, 2), "VALID")
    loss = jnp.sum(p * v)
    return loss


def test_softmax_jacobian() -> None:
    derived = derive(softmax, _array(3))
    s = _symbols("s[1]", "s[2]", "s[3]")
    for i in range(3):
        for j in range(3):
            form = derived.gradient(f"a[{j + 1}]", f"s[{i + 1}]")
            assert sympy.expand(form - s[i] * (int(i == j) - s[j])) == 0
    assert derived.proof.verdict == "PROVED"
    assert derived.proof.error < 2**-50


def test_softmax_cross_entropy_in_the_names_of_the_code() -> None:
    derived = derive(cross_entropy, _array(3), jnp.array([0.0, 1.0, 0.0]))
    s, y1, y2, y3 = _symbols("s[1]", "y[1]", "y[2]", "y[3]")
    assert derived.gradient("a[1]") == s * (y1 + y2 + y3) - y1
    assert [step.name for step in derived.derivation.of_kind(Kind.FORWARD)][:6:3] == ["e[1]", "s[1]"]
    assert derived.outputs == ("loss",)
    assert derived.proof.verdict == "PROVED"
    a1, a2, a3 = (sympy.exp(a) for a in _symbols("a[1]", "a[2]", "a[3]"))
    assert _zero(derived.closed_form("a[2]") - (a2 / (a1 + a2 + a3) * (y1 + y2 + y3) - y2))


def test_what_stop_gradient_holds_cancels_in_the_closed_form() -> None:
    derived = derive(library_cross_entropy, _array(3), jnp.array([0.0, 1.0, 0.0]))
    assert derived.held == ("held1",)
    assert derived.proof.verdict == "PROVED"
    assert derived.proof.branches > 1
    y1, y2, y3 = _symbols("y[1]", "y[2]", "y[3]")
    a1, a2, a3 = (sympy.exp(a) for a in _symbols("a[1]", "a[2]", "a[3]"))
    assert _zero(derived.closed_form("a[3]") - (a3 / (a1 + a2 + a3) * (y1 + y2 + y3) - y3))


def test_sigmoid_with_squared_error() -> None:
    derived = derive(neuron, _array(2), _array(), _array(2, seed=1), 1.0, argnums=(0, 1))
    a, x1, y = _symbols("a", "x[1]", "y")
    assert derived.gradient("w[1]") == (a - y) * a * (1 - a) * x1
    assert derived.gradient("b") == (a - y) * a * (1 - a)
    backward = [str(step) for step in derived.derivation.of_kind(Kind.BACKWARD)]
    assert backward == [
        "dE/da = a - y",
        "dE/dz = dE/da*a*(1 - a)",
        "dE/db = dE/dz",
        "dE/dw[1] = dE/dz*x[1]",
        "dE/dw[2] = dE/dz*x[2]",
    ]
    assert derived.sympy("dE/dz") == symbol("dE/da") * a * (1 - a)


@pytest.mark.parametrize("widths", [(2, 2, 2), (2, 3, 2, 1)])
def test_networks(widths: tuple[int, ...]) -> None:
    params = [(_array(n, m, seed=n), _array(n, seed=m)) for m, n in pairwise(widths)]
    derived = derive(network, params, _array(widths[0]), _array(widths[-1]))
    assert derived.proof.verdict == "PROVED"
    layers = len(widths) - 1
    x, z_in, y = _symbols(f"x{layers}[1]", f"x{layers - 1}[1]", "y[1]")
    assert derived.gradient(f"params.{layers - 1}.0[1,1]") == (x - y) * x * (1 - x) * z_in
    assert len(derived.inputs) == sum(n * m + n for m, n in pairwise(widths))


def test_every_derivative_has_the_value_that_jax_computes() -> None:
    params = [(_array(2, 2, seed=1), _array(2, seed=2)), (_array(2, 2, seed=3), _array(2, seed=4))]
    x, y = _array(2, seed=5), _array(2, seed=6)
    derived = derive(network, params, x, y)
    point = {symbol(given.name): given.value for given in derived.derivation.given}
    gradient = jax.grad(network)(params, x, y)
    for layer in range(2):
        for i in range(2):
            for j in range(2):
                exact = derived.closed_form(f"params.{layer}.0[{i + 1},{j + 1}]").subs(point)
                np.testing.assert_allclose(float(exact), gradient[layer][0][i, j], rtol=2e-4, atol=1e-6)


def test_convolution_with_pooling() -> None:
    derived = derive(convolution, _array(3, 3), _array(2, 2, seed=1), _array(6, 6, seed=2), argnums=(0, 1))
    assert derived.proof.verdict == "PROVED"
    assert derived.proof.branches >= 5
    assert derived.gradient("v[1,2]") == symbol("p[1,2]")
    names = {step.name for step in derived.derivation.of_kind(Kind.FORWARD)}
    assert {"c[4,4]", "h[1,1]", "p[2,2]", "loss"} <= names


@pytest.mark.parametrize("root", [lambda v: 1 / jnp.sqrt(v), jax.lax.rsqrt])
def test_roots(root) -> None:
    def layer_norm(x, g):
        m = jnp.mean(x)
        v = jnp.mean((x - m) ** 2)
        y = g * (x - m) * root(v + 1e-5)
        return y

    derived = derive(layer_norm, _array(3), 1.5)
    assert derived.proof.verdict == "PROVED"
    assert len(derived.inputs) * len(derived.outputs) == 9


def test_a_root_of_an_input() -> None:
    derived = derive(lambda x: jnp.sum(x * jax.lax.rsqrt(x) + 1 / x), jnp.array([2.0, 3.0]))
    assert derived.proof.verdict == "PROVED"
    x = symbol("x[1]")
    assert sympy.simplify(derived.closed_form("x[1]") - (1 / (2 * sympy.sqrt(x)) - x**-2)).subs(x, 4) == 0


def test_a_piecewise_function_on_both_of_its_branches() -> None:
    derived = derive(lambda x: jnp.sum(jnp.where(x > 0, x, 0.1 * x)), jnp.array([1.0, -2.0]))
    assert derived.proof.verdict == "PROVED"
    assert derived.proof.branches == 4


def test_names_from_the_caller_and_from_dictionaries() -> None:
    def linear(params, x):
        return jnp.dot(params["w"], x) + params["b"]

    arguments = ({"w": _array(2), "b": 0.5}, _array(2))
    assert derive(linear, *arguments).inputs == ("b", "w[1]", "w[2]")
    derived = derive(linear, *arguments, names=({"w": "weights", "b": "bias"}, "u"))
    assert derived.gradient("weights[2]") == symbol("u[2]")


def test_a_wrong_custom_rule_is_found_with_a_witness() -> None:
    @jax.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, g: (g * x,))
    derived = derive(lambda x: jnp.sum(square(x)), _array(2))
    assert derived.proof.verdict == "WRONG"
    assert "jax.grad gives" in derived.proof.detail
    assert derived.gradient("x[1]") == 2 * symbol("x[1]")


def test_a_straight_through_estimator_is_what_its_code_says() -> None:
    def through(x):
        return jnp.sum(x + jax.lax.stop_gradient(jnp.exp(x) - x))

    derived = derive(through, _array(2))
    assert derived.gradient("x[1]") == 1
    assert derived.held
    assert derived.proof.verdict == "PROVED"


def test_a_literal_and_a_constant_result() -> None:
    derived = derive(lambda x: 0.1 * x[0] + 0 * x[1], _array(2))
    assert derived.gradient("x[1]") == sympy.Rational(1, 10)
    assert derived.gradient("x[2]") == 0
    assert derived.proof.verdict == "PROVED"


def test_the_report_and_json() -> None:
    derived = derive(neuron, _array(2), _array(), _array(2, seed=1), 1.0)
    text = str(derived)
    assert "dE/dz = dE/da*a*(1 - a)" in text
    assert "chain rule through a" in text
    assert text.splitlines()[-1].startswith("PROVED: jax.grad's program")
    assert json.loads(json.dumps(derived.to_dict()))["gradient"]["dE/dw[1]"] == "a*x[1]*(1 - a)*(a - y)"


def test_bad_input_has_one_clear_error() -> None:
    with pytest.raises(ValueError, match="at most 4000 entries"):
        derive(lambda x: jnp.sum(x * x), jnp.ones(5000))
    with pytest.raises(ValueError, match="one floating-point array"):
        derive(lambda x: (x, x), jnp.ones(2))
    with pytest.raises(ValueError, match="expected 1 strings"):
        derive(lambda x: jnp.sum(x), jnp.ones(2), names=("x", "y"))
    with pytest.raises(ValueError, match="two arguments are named"):
        derive(lambda x, y: jnp.sum(x + y), jnp.ones(2), jnp.ones(2), names=("x", "x"))
    with pytest.raises(UnsupportedStep, match="sort"):
        derive(lambda x: jnp.sort(x)[0], jnp.ones(2))
    derived: Derived = derive(softmax, _array(2))
    with pytest.raises(KeyError, match="2 entries"):
        derived.gradient("a[1]")
