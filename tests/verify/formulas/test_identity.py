"""Identities: proved, refuted rigorously, or left open; never proved where two sides differ."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from verify.algebra.normal import Domain, NeedSign, Workspace
from verify.expr import Call, Expr, Num, Var, call, children, lift, rebuild
from verify.formulas.identity import Answer, compare, prove, within
from verify.formulas.points import Screen, Setting, Values, points
from verify.reading.formula import Value, parse

DOMAINS = {
    **dict.fromkeys(("x", "y", "z", "v", "alpha"), Domain.REAL),
    "u": Domain.UNIT,
    "p": Domain.POSITIVE,
    "q": Domain.POSITIVE,
    **dict.fromkeys(("c1", "c2", "c3"), Domain.BIT),
}
NAMES: dict[str, Value] = {name: Var(name) for name in (*DOMAINS, "a", "E", "half")}
NAMES["k"] = parse("[x, y, z]", NAMES)
SETTING = Setting(
    DOMAINS,
    {name: parse(text, NAMES) for name, text in {"a": "sigmoid(z)", "E": "1/2*(y - a)**2"}.items()},  # type: ignore[misc]
    {"half": Fraction(1, 2)},
)


def expr(text: str) -> Expr:
    value = parse(text, NAMES)
    assert isinstance(value, Expr)
    return value


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("(x + y)**2", "x**2 + 2*x*y + y**2"),
        ("1/x + 1/y", "(x + y)/(x*y)"),
        ("half*x", "x/2"),
        ("sigmoid(z)", "1/(1 + exp(-z))"),
        ("sigmoid(-z)", "1 - sigmoid(z)"),
        ("tanh(v)", "2*sigmoid(2*v) - 1"),
        ("tanh(x + y)", "(tanh(x) + tanh(y))/(1 + tanh(x)*tanh(y))"),
        ("cosh(x)**2 - sinh(x)**2", "1"),
        ("exp(x/2)*exp(x/3)", "exp(5*x/6)"),
        ("exp(x - 3*y)", "exp(x)/exp(y)**3"),
        ("exp(x/y)*exp(-2*x/y)", "exp(-x/y)"),
        ("log(1 - sigmoid(z))", "-softplus(z)"),
        ("log(4*p/q)", "2*log(2) + log(p) - log(q)"),
        ("log(u) - log(1 - u)", "-log(1/u - 1)"),
        ("exp(2*log(p))", "p**2"),
        ("log(exp(x)*p)", "x + log(p)"),
        ("log(3*p + 2)", "log(p + 2/3) + log(3)"),
        ("sum(softmax(k))", "1"),
        ("sqrt(x**2 + 1)**3", "(x**2 + 1)*sqrt(x**2 + 1)"),
        ("1/sqrt(p)", "sqrt(p)/p"),
        ("a*(1 - a)", "exp(-z)/(1 + exp(-z))**2"),
        ("(a - y)**2", "2*E"),
        ("phi(x + y)*dphi(x*y)", "phi(y + x)*dphi(y*x)"),
        ("abs(u - 1)", "1 - u"),
        ("abs(x)*abs(x)", "x**2"),
        ("relu(x) - relu(-x)", "x"),
        ("max(x, y)", "relu(x - y) + y"),
        ("max(x, y) + min(x, y)", "x + y"),
        ("max(v, 0.01*v)", "leaky_relu(v)"),
        ("max(v, u*v)", "prelu(v, u)"),
        ("v if v > 0 else alpha*(exp(v) - 1)", "elu(v, alpha)"),
        ("step(x*y)", "step(x)*step(y) + step(-x)*step(-y)"),
        ("step(c1 + c2 + c3 - 2.5)", "c1*c2*c3"),
        ("step(c1 - 0.5)*x", "c1*x"),
        ("softplus(x) - softplus(-x)", "x"),
        ("sin(x + y) + tan(x)", "sin(y + x) + sin(x)/cos(x)"),
    ],
)
def test_proved(left: str, right: str) -> None:
    found = compare(expr(left), expr(right), SETTING)
    assert found.answer == Answer.PROVED, found.how
    assert not found.condition


@pytest.mark.parametrize(
    ("left", "right", "condition"),
    [
        ("x", "y", ""),
        ("sigmoid(z)", "a*(1 - a)", ""),
        ("(a - y)*a*(1 - a)*x", "(a - y)*a*(1 - y)*x", ""),
        ("log(p*q)", "log(p)*log(q)", ""),
        ("max(v, alpha*v)", "prelu(v, alpha)", "alpha - 1 <= 0"),
        ("relu(x)", "x", "x >= 0"),
        ("1 if v >= 0 else 0", "step(v)", "away from v = 0"),
        ("phi(x)", "dphi(x)", ""),
        ("step(c1 + c2 - 0.5)", "c1*c2", ""),
        ("half", "0.50000000000000000000001", ""),
        ("exp(1)", "2.718281828459045235360287", ""),
    ],
)
def test_wrong_with_a_rigorous_witness(left: str, right: str, condition: str) -> None:
    found = compare(expr(left), expr(right), SETTING)
    assert found.answer == Answer.WRONG
    assert found.condition == condition
    assert found.witness is not None
    (a, b), (c, d) = found.witness.left, found.witness.right
    assert a <= b
    assert c <= d
    assert b < c or d < a
    for name, value in found.witness.point.items():
        assert {Domain.UNIT: 0 < value < 1, Domain.POSITIVE: value > 0, Domain.BIT: value in (0, 1)}.get(
            DOMAINS[name], True
        )


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("sin(x)**2", "1 - cos(x)**2"),  # true, but no rule here knows it
        ("1/(x - x)", "x"),  # no value anywhere
        ("(x + y + z + v + alpha + p + q)**30", "(v + x + y + z + alpha + q + p)**30 + 0*x"),  # too large
    ],
)
def test_inconclusive_is_an_answer(left: str, right: str) -> None:
    found = compare(expr(left), expr(right), SETTING)
    assert found.answer == Answer.INCONCLUSIVE
    assert found.how


def test_a_kink_is_named() -> None:
    slope = call("heaviside", Var("v"))
    found = compare(slope, expr("1 if v > 0 else 0"), SETTING)
    assert (found.answer, found.condition) == (Answer.PROVED, "away from v = 0")


def test_long_chains_do_not_recurse() -> None:
    definitions: dict[str, Expr] = {"d0": Var("x")}
    for i in range(1, 3_000):
        definitions[f"d{i}"] = Var(f"d{i - 1}") + 1
    setting = Setting({"x": Domain.REAL}, definitions)
    assert compare(Var("d2999"), Var("d2998") + 2, setting).answer == Answer.WRONG
    assert compare(Var("d2999"), Var("x") + 2999, setting).answer != Answer.WRONG


@pytest.mark.parametrize(
    ("inside", "low", "high", "answer"),
    [
        ("a", "0", "1", Answer.PROVED),
        ("a*(1 - a)", "0", "1/4", Answer.PROVED),
        ("a*(1 - a)", "0", "exp(-z)", Answer.PROVED),
        ("tanh(x)", "-1", "1", Answer.PROVED),
        ("x**2 - 2*x + 1", "0", "x**4 + 2*x**2 + x**2 - 2*x + 1", Answer.PROVED),
        ("relu(x)", "0", "abs(x)", Answer.PROVED),
        ("u", "0", "1", Answer.PROVED),
        ("tanh(x)", "0", "1", Answer.WRONG),
        ("p", "0", "100", Answer.INCONCLUSIVE),
        ("sin(x)", "-1", "1", Answer.INCONCLUSIVE),
    ],
)
def test_ranges(inside: str, low: str, high: str, answer: Answer) -> None:
    found = within(expr(inside), expr(low), expr(high), SETTING)
    assert found.answer == answer
    assert (found.witness is not None) == (answer == Answer.WRONG)


def test_a_sign_is_asked_for_only_where_it_is_not_known() -> None:
    workspace = Workspace(DOMAINS)
    assert workspace.numerator(expr("abs(p + 1) - p - 1")).is_zero()
    with pytest.raises(NeedSign):
        workspace.numerator(expr("abs(x + 1)"))


def random_expr(draw: random.Random, depth: int) -> Expr:
    """An expression over x, y, p with functions that the normal form knows, and with phi."""
    if depth == 0:
        return draw.choice([Var("x"), Var("y"), Var("p"), Num(Fraction(draw.randint(1, 4), draw.randint(1, 3)))])
    a, b = (random_expr(draw, depth - 1) for _ in range(2))
    match draw.randrange(7):
        case 0 | 1:
            return a + b
        case 2:
            return a * b
        case 3:
            return a - b
        case 4:
            return a / (2 + call("exp", b))
        case 5:
            return call(draw.choice(["sigmoid", "tanh", "relu", "phi"]), a)
    return a**2


def rewritten(draw: random.Random, node: Expr) -> Expr:
    """The same function, written otherwise."""
    if children(node):
        node = rebuild(node, tuple(rewritten(draw, child) for child in children(node)))
    match node:
        case Call("sigmoid", (x,)):
            return draw.choice([node, 1 / (1 + call("exp", -x)), call("exp", x) / (1 + call("exp", x))])
        case Call("tanh", (x,)):
            return draw.choice([node, 2 * call("sigmoid", 2 * x) - 1])
        case Call("relu", (x,)):
            return draw.choice([node, call("max", lift(0), x), (x + call("abs", x)) / 2])
    extra = draw.choice([Var("x"), Var("p")])
    return draw.choice([node, node, (node * extra) / extra if extra == Var("p") else node + extra - extra])


def test_random_rewritings_are_proved_and_random_changes_never() -> None:
    draw = random.Random(7)
    setting = Setting({"x": Domain.REAL, "y": Domain.REAL, "p": Domain.POSITIVE})
    proved = refuted = 0
    for _ in range(120):
        left = random_expr(draw, 3)
        right = rewritten(draw, left)
        same = prove(left, right, setting)
        assert compare(left, right, setting).answer != Answer.WRONG
        proved += same.answer == Answer.PROVED
        changed = right + draw.choice([Num(Fraction(1, 1000)), Var("x"), call("exp", -Var("p"))])
        assert prove(left, changed, setting).answer != Answer.PROVED
        refuted += compare(left, changed, setting).answer == Answer.WRONG
    assert proved >= 110
    assert refuted >= 118


def test_points_stay_in_their_domains_and_tell_names_apart() -> None:
    names = tuple(f"n{i}" for i in range(30))
    domains = {name: (Domain.REAL, Domain.POSITIVE, Domain.UNIT)[i % 3] for i, name in enumerate(names)}
    values: dict[str, list[Fraction]] = {name: [] for name in names}
    for point in points(names, domains):
        for name, value in point.items():
            values[name].append(value)
            if domains[name] != Domain.REAL:
                assert value > 0
            if domains[name] == Domain.UNIT:
                assert value < 1
    assert len({tuple(run) for run in values.values()}) == len(names)


def test_all_bits_are_tried() -> None:
    domains = dict.fromkeys(("c1", "c2"), Domain.BIT)
    assert [tuple(p.values()) for p in points(("c1", "c2"), domains)] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_values_are_enclosed() -> None:
    values = Values({"z": Fraction(0), "y": Fraction(1)}, SETTING)
    assert values.enclosure(expr("E"), 64) == (Fraction(1, 8), Fraction(1, 8))
    low, high = values.enclosure(expr("exp(y)"), 64) or (Fraction(0), Fraction(0))
    assert low < Fraction("2.718281828459045235360287471352662497757") < high
    low, high = values.enclosure(expr("(exp(y) - exp(y))**2"), 64) or (Fraction(1), Fraction(1))
    assert low <= 0 <= high < Fraction(1, 10**30)  # a ball around 0 has a square
    assert values.enclosure(expr("log(z)"), 64) is None
    assert values.machine(expr("1/z")) is None


def test_screen() -> None:
    screen = Screen(SETTING)
    target = screen.values(expr("tanh(v)"))
    assert screen.matches(target, expr("2*sigmoid(2*v) - 1"))
    assert not screen.matches(target, expr("2*sigmoid(2*x) - 1"))


@pytest.mark.parametrize(
    ("left", "right"),
    [("sqrt(-1 - x**2)", "sqrt(-1 - x**2)"), ("log(-x**2 - 1)", "log(-x**2 - 1)"), ("x", "sqrt(x)*sqrt(x)"),
     ("x + y", "sqrt(x)*sqrt(x) + y")],
)  # fmt: skip
def test_equal_normal_forms_of_what_has_no_value_prove_nothing(left: str, right: str) -> None:
    found = compare(expr(left), expr(right), SETTING)
    assert found.answer == Answer.INCONCLUSIVE
    assert "value" in found.how


@pytest.mark.parametrize(
    ("left", "right"), [("p", "sqrt(p)*sqrt(p)"), ("x**2/x", "x"), ("1/log(p)", "log(p)/log(p)**2")]
)
def test_a_single_point_without_value_is_no_objection(left: str, right: str) -> None:
    assert compare(expr(left), expr(right), SETTING).answer == Answer.PROVED
