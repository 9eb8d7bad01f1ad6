"""The checker's own reverse mode, against SymPy and against JAX, on examples of every construct."""

from __future__ import annotations

import pytest

from verify.expr import variables
from verify.reading.example import Example, What, loads
from verify.worked.autodiff import Autodiff
from verify.worked.derivation import Kind, build
from verify.worked.routes import Balls, Symbolic, compare

HEAD = 'id = "t"\ntitle = "t"\nsource = "t"\n'
EXAMPLES = {
    "shared": 'given = {w = "0.3", x = "2"}\ncompute = {u = "w*x", v = "u*u + w", E = "exp(v)/u"}',
    "softmax": 'given = {w = ["0.3", "-1", "0.5"], t = ["0", "1", "0"]}\n'
    'compute = {p = "softmax(w)", E = "-sum(t*log(p))"}',
    "pieces": 'given = {w = ["0.3", "-1.5"]}\n'
    'compute = {r = "relu(w)", l = "leaky_relu(w, 0.1)", e = "elu(w)", m = "max(w)", n = "min(w)", '
    'E = "sum(r) + 2*sum(l) + 3*sum(e) + 5*m + 7*n + abs(w[2])"}',
    "matrices": 'given = {w = [["0.1", "0.2"], ["-0.3", "0.4"]], x = ["1", "-2"], b = ["0.5", "0.25"]}\n'
    'compute = {z = "w @ x + b", a = "tanh(z)", q = "transpose(w) @ a", E = "mean(q*q) + dot(a, x)"}',
    "convolution": 'given = {x = [["1", "2", "0"], ["0", "1", "3"], ["2", "1", "1"]], '
    'w = [["0.5", "-1"], ["0.2", "0.3"]]}\n'
    'compute = {c = "conv2d(x, w)", E = "sum(sigmoid(c))"}',
    "elementary": 'given = {w = "0.7"}\n'
    'compute = {E = "log(w) + sqrt(w) + sin(w)*cos(w) + tan(w) + sinh(w) + cosh(w) + atan(w) + softplus(w)"}',
}


def example(body: str) -> Example:
    return loads(f'{HEAD}{body}\nlearn = {{loss = "E", rate = "0.01", parameters = ["w"]}}')


@pytest.mark.parametrize("name", EXAMPLES)
def test_three_routes_agree_on_every_derivative_and_after_two_updates(name: str) -> None:
    derivation = build(example(EXAMPLES[name]))
    balls, symbolic, autodiff = Balls(derivation), Symbolic(derivation), Autodiff(derivation)
    for what in [What("E", p, k) for p in derivation.carried for k in (0, 2)] + [What("E", None, 2)]:
        found = balls.digits(what, 20)
        assert found is not None
        assert compare(what, found[1], symbolic, autodiff).agree, what


def test_each_step_uses_only_what_stands_before_it(two_two_two: Example) -> None:
    derivation = build(two_two_two)
    known = {given.name for given in derivation.given}
    for step in derivation.steps:
        assert set(variables(step.expr)) <= known, step
        assert step.name not in known
        known.add(step.name)


def test_a_parameter_that_the_loss_does_not_depend_on_stays() -> None:
    derivation = build(
        loads(
            HEAD + 'given = {w = "1", v = "2"}\ncompute = {E = "w*w"}\n'
            'learn = {loss = "E", rate = "0.1", parameters = ["w", "v"]}'
        )
    )
    assert Balls(derivation).enclose(What("v", None, 3), 64) == (2, 2)


def test_an_own_update_rule() -> None:
    derivation = build(
        loads(
            HEAD + 'given = {w = "1", lam = "0.5"}\ncompute = {E = "w*w"}\n'
            'learn = {loss = "E", rate = "0.1", parameters = ["w"], rule = "w - rate*(g + lam*w)"}'
        )
    )
    # 1 - 0.1*(2 + 0.5) = 0.75
    low, high = Balls(derivation).enclose(What("w", None, 1), 128)
    assert low <= 0.75 <= high
    assert high - low < 1e-30


def test_the_steps_are_forward_backward_update(two_two_two: Example) -> None:
    kinds = [step.kind for step in build(two_two_two).steps]
    assert kinds == sorted(kinds, key=[Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE].index)
