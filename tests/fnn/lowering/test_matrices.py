"""Matrix products of JAX by machine code of our own: which, that they give what they gave, and in which order."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.extend.core import Var

import fnn
from fnn.kernels import machine, vectors
from fnn.lowering import canonical
from fnn.lowering.waiting import with_inputs_first

pytestmark = pytest.mark.skipif(vectors() is None, reason="no machine code for this processor")
OURS = {"fnn_matrix_product", "fnn_inner_products"}

FORMS = {
    # function, shapes
    "dense": (lambda x, w: x @ w, (40, 70), (70, 30)),
    "a time axis": (lambda x, w: x @ w, (3, 9, 70), (70, 30)),
    "weights as rows": (lambda x, w: x @ w.T, (40, 70), (30, 70)),
    "inputs as columns": (lambda x, w: x.T @ w, (70, 40), (70, 30)),
    "both": (lambda x, w: x.T @ w.T, (70, 40), (30, 70)),
    "a result that is turned": (lambda x, w: (x @ w).T, (40, 70), (70, 30)),
    "two axes summed": (lambda x, w: jnp.einsum("nij,ijo->no", x, w), (40, 10, 7), (10, 7, 30)),
    "heads": (lambda x, w: jnp.einsum("bthe,hed->btd", x, w), (3, 9, 4, 10), (4, 10, 30)),
    "any precision": (partial(jnp.matmul, precision="highest"), (40, 70), (70, 30)),
}


def names(function, *arguments):
    return [eqn.primitive.name for eqn in jax.make_jaxpr(function)(*arguments).jaxpr.eqns]


def normal(*shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize(("form", "x_shape", "w_shape"), FORMS.values(), ids=FORMS)
def test_any_product_with_its_gradients(form, x_shape, w_shape):
    x, w = normal(x_shape, w_shape)

    def run(x, w, g):
        y, pullback = jax.vjp(form, x, w)
        return y, *pullback(g)

    (g,) = normal(jax.eval_shape(form, x, w).shape)
    for result, wanted in zip(jax.jit(canonical(run))(x, w, g), run(x, w, g), strict=True):
        assert result.shape == wanted.shape
        np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-4)
    assert sum(name in OURS for name in names(canonical(run), x, w, g)) == 3
    assert "dot_general" not in names(canonical(run), x, w, g)


@pytest.mark.parametrize(
    ("form", "x_shape", "w_shape"),
    [
        (lambda x, w: x @ w, (40, 70), (70, 7)),
        (lambda x, w: x @ w, (4, 70), (70, 30)),
        (lambda x, w: x @ w, (3, 40, 70), (3, 70, 30)),
        (lambda x, w: jnp.einsum("nij,io->njo", x, w), (9, 10, 20), (10, 30)),
        (lambda x, w: lax.dot_general(x, w, (((1,), (1,)), ((), ()))), (40, 70, 8), (8, 70, 8)),
        (partial(jnp.matmul, precision="F32_F32_F32"), (40, 70), (70, 30)),
        (partial(jnp.matmul, preferred_element_type=jnp.bfloat16), (40, 70), (70, 30)),
        (lambda x, w: x @ w, (0, 70), (70, 30)),
        (lambda x, w: lax.dot_general(x, w, (((0, 1), (1, 0)), ((), ()))), (10, 7, 40), (7, 10, 30)),
    ],
    ids=[
        "few columns",
        "few rows",
        "several",
        "axis within",
        "both",
        "an algorithm asked for",
        "dtype",
        "none",
        "other order",
    ],
)
def test_what_is_left_to_xla(form, x_shape, w_shape):
    x, w = normal(x_shape, w_shape)
    assert not OURS & {*names(canonical(form), x, w)}
    np.testing.assert_allclose(canonical(form)(x, w), form(x, w), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float16, jnp.bfloat16, jnp.complex64, jnp.int32])
def test_other_dtypes_are_left_to_xla(dtype):
    with jax.enable_x64(True):
        x, w = jnp.ones((40, 70), dtype), jnp.ones((70, 30), dtype)
        assert not OURS & {*names(canonical(jnp.matmul), x, w)}


@pytest.mark.parametrize("form", [lambda x, w: x @ w, lambda x, w: x.T @ w, lambda x, w: (x.T @ w).T])
def test_a_form_is_compiled_once(form):
    """What an operation is told is equal each time, so that JAX knows it again."""
    x, w = normal((32, 32), (32, 70))
    first, second = (jax.make_jaxpr(canonical(form))(x, w).jaxpr.eqns for _ in range(2))
    told = [[eqn.params for eqn in eqns if eqn.primitive.name in OURS] for eqns in (first, second)]
    assert len(told[0]) == 1
    assert told[0] == told[1]
    assert hash(told[0][0]["reference"]) == hash(told[1][0]["reference"])


def test_a_wider_result():
    with jax.enable_x64(True):
        x, w = normal((40, 70), (70, 30))
        wide = partial(jnp.matmul, preferred_element_type=jnp.float64)
        assert canonical(wide)(x, w).dtype == jnp.float64
        np.testing.assert_allclose(canonical(wide)(x, w), wide(x, w), rtol=1e-12)


def two_layers(w, x):
    hidden = jnp.tanh(x @ w[0])
    return jnp.sum(jnp.square(hidden @ w[1]))


WEIGHTS_AND_INPUT = (90, 96), (96, 80), (32, 90)


def test_gradients_by_matrices_wait_for_those_by_inputs():
    *w, x = normal(*WEIGHTS_AND_INPUT)
    traced = jax.make_jaxpr(jax.grad(two_layers))(w, x)
    eqns, waiting = with_inputs_first(traced.jaxpr)
    assert sorted(map(id, eqns)) == sorted(map(id, traced.jaxpr.eqns))
    ((gradient, of_input),) = waiting.items()
    assert sorted(gradient.aval.shape) == [80, 96]
    assert of_input.aval.shape == (32, 96)
    made = {var: number for number, eqn in enumerate(eqns) for var in eqn.outvars}
    assert made[of_input] < made[gradient]
    rewritten = jax.make_jaxpr(canonical(jax.grad(two_layers)))(w, x)
    ours = [eqn for eqn in rewritten.jaxpr.eqns if eqn.primitive.name in OURS]
    assert [len(eqn.invars) for eqn in ours].count(3) == 1


def test_no_matrix_is_copied_in_a_loop(monkeypatch):
    """Which it is where the gradient by the matrix is XLA's: else this test would show nothing."""
    *w, x = normal(*WEIGHTS_AND_INPUT)

    def train(w, x):
        step = canonical(jax.value_and_grad(two_layers))

        def one(w, _):
            loss, slopes = step(w, x)
            return [old - 1e-4 * slope for old, slope in zip(w, slopes, strict=True)], loss

        return lax.scan(one, w, None, length=4)

    def copies():
        text = jax.jit(lambda w, x: train(w, x)).lower(w, x).compile().as_text()
        bodies = text[: text.index("ENTRY")]  # at its ends, a program copies what it is given
        return len(re.findall(r"f32\[96,80\]\{1,0\} copy\(", bodies))

    found = copies()
    monkeypatch.setattr(machine, "_of_processor", lambda: None)
    assert (found, copies() > 0) == (0, True)


def boltzmann(v, h, w):
    """Each of three matrices multiplied by the two others, none of them the slope of a product."""
    return jnp.einsum("bi,bj->ij", v, h), v @ w, lax.dot_general(w, h, (((1,), (1,)), ((), ())))


def cell(wx, wh, x, h):
    return jnp.sum(jnp.tanh(x @ wx + h @ wh))


def tied(w, x):
    return jnp.sum(jnp.tanh(jnp.tanh(x @ w) @ w))


def in_a_loop(w, x):
    return jnp.sum(lax.scan(lambda x, _: (jnp.tanh(x @ w), None), x, None, length=3)[0])


def by_rows(w, x):
    return jnp.sum(jnp.tanh(w @ x))


def given_slope(w, x, g):
    _, pullback = jax.vjp(lambda w, x: x @ w, w, x)
    return pullback(g)


def first_layer(w, x):
    y, pullback = jax.vjp(lambda w, x: jnp.tanh(x.reshape(32, 48) @ w), w, x)
    return pullback(jnp.ones_like(y))[0]


PROGRAMS = {
    # function, shapes, pairs
    "one by another": (boltzmann, ((32, 64), (32, 48), (64, 48)), 0),
    "a square": (lambda x: jnp.log(jnp.square(x @ x) + 1), ((9, 9),), 0),
    "vectors": (lambda v, w: (jnp.dot(np.float32(2), v), jnp.dot(v, w)), ((9,), (9,)), 0),
    "a slope that is given": (given_slope, ((48, 40), (32, 48), (32, 40)), 0),
    "an input's gradient that nobody uses": (first_layer, ((48, 40), (32, 6, 8)), 0),
    "two products, one slope": (jax.grad(cell, (0, 1, 2, 3)), ((40, 24), (16, 24), (32, 40), (32, 16)), 2),
    "two alike": (jax.grad(cell, (0, 1, 2, 3)), ((24, 24), (24, 24), (32, 24), (32, 24)), 2),
    "the matrix twice": (jax.grad(tied, (0, 1)), ((40, 40), (32, 40)), 2),
    "examples as columns": (jax.grad(by_rows, (0, 1)), ((40, 48), (48, 32)), 1),
    "a loop": (jax.grad(in_a_loop, (0, 1)), ((40, 40), (32, 40)), 0),
    "a checkpoint": (jax.grad(jax.checkpoint(two_layers)), WEIGHTS_AND_INPUT, None),
}


@pytest.mark.parametrize(("function", "shapes", "n_pairs"), PROGRAMS.values(), ids=PROGRAMS)
def test_any_program_is_carried_out_in_an_order_that_can_be(function, shapes, n_pairs):
    arrays = normal(*shapes)
    if n_pairs is None:
        *arrays, x = arrays
        arrays = [arrays, x]
    jaxpr = jax.make_jaxpr(function)(*arrays).jaxpr
    rng = np.random.default_rng(0)
    for _ in range(20):
        eqns, waiting = with_inputs_first(jaxpr)
        if n_pairs is not None:
            assert len(waiting) == n_pairs
        assert sorted(map(id, eqns)) == sorted(map(id, jaxpr.eqns))
        made = {var: number for number, eqn in enumerate(eqns) for var in eqn.outvars}
        for number, eqn in enumerate(eqns):
            needed = [*eqn.invars, *(waiting[var] for var in eqn.outvars if var in waiting)]
            assert all(made.get(atom, -1) < number for atom in needed if isinstance(atom, Var))
        jaxpr = jaxpr.replace(eqns=shuffled(jaxpr.eqns, rng))
    results = jax.tree.leaves(jax.jit(canonical(function))(*arrays))
    for result, wanted in zip(results, jax.tree.leaves(function(*arrays)), strict=True):
        np.testing.assert_allclose(result, wanted, rtol=1e-3, atol=1e-3)


def shuffled(eqns, rng):
    """In another order in which they can be carried out."""
    left, done, order = list(eqns), set(), []
    inside = {var for eqn in eqns for var in eqn.outvars}
    while left:
        ready = [
            eqn for eqn in left if all(atom in done for atom in eqn.invars if isinstance(atom, Var) and atom in inside)
        ]
        eqn = ready[int(rng.integers(len(ready)))]
        left.remove(eqn)
        done.update(eqn.outvars)
        order.append(eqn)
    return order


def test_programs_of_unknown_sizes():
    """Are exported as they are."""
    (count,) = jax.export.symbolic_shape("b")
    spec = jax.ShapeDtypeStruct
    w = [spec(shape, jnp.float32) for shape in WEIGHTS_AND_INPUT[:2]]
    exported = jax.export.export(jax.jit(canonical(jax.grad(two_layers))))(w, spec((count, 90), jnp.float32))
    *given, x = normal(*WEIGHTS_AND_INPUT)
    for slope, wanted in zip(exported.call(given, x), jax.grad(two_layers)(given, x), strict=True):
        np.testing.assert_allclose(slope, wanted, rtol=1e-4, atol=1e-3)


def test_what_waits_is_given_what_it_waits_for():
    """Where inputs are columns, too, whose gradients are products of another form."""
    w, x = normal((40, 48), (48, 32))
    traced = jax.make_jaxpr(canonical(jax.grad(by_rows, (0, 1))))(w, x)
    ours = [eqn for eqn in traced.jaxpr.eqns if eqn.primitive.name in OURS]
    assert sorted(len(eqn.invars) for eqn in ours) == [2, 2, 3]


def trained(model, x, y, how):
    objective, optimizer = (
        fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels),
        optax.sgd(0.1, momentum=0.9),
    )
    params, state = model.init(jax.random.key(0), x[:1])
    if how == "fit":
        told = {"key": jax.random.key(1), "n_epochs": 2, "batch_size": 16}
        return fnn.fit(objective, optimizer, params, state, (x, y), **told).params
    value_and_grad = fnn.loss_and_grad(objective)

    @jax.jit
    def update(params, state, opt_state, batch, key):
        (_, (state, _)), grads = value_and_grad(params, state, batch, key)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), state, opt_state

    order_key, step_key = jax.random.split(jax.random.key(1))
    opt_state, step = optimizer.init(params), 0
    for epoch in range(2):
        for batch in fnn.batches((x, y), 16, jax.random.fold_in(order_key, epoch)):
            key = jax.random.fold_in(step_key, step)
            params, state, opt_state = update(params, state, opt_state, batch, key)
            step += 1
    return params


@pytest.mark.parametrize("width", [24, 72, 100])
def test_fit_and_a_loop_of_ones_own_come_to_the_same_bits(width):
    """Of narrow matrices, which a loop carries transposed, and of others."""
    rng = np.random.default_rng(0)
    x, y = rng.random((128, 200), np.float32), rng.integers(0, 10, 128)
    model = fnn.serial(fnn.dense(width), fnn.relu, fnn.dense(width), fnn.sigmoid, fnn.dense(10))
    ends = [jax.tree.leaves(trained(model, x, y, how)) for how in ("fit", "own")]
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_ends_where_it_ends_without(monkeypatch):
    """A training with machine code and one without, of the same seed: the same up to rounding."""
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 100), np.float32), rng.integers(0, 10, 64)
    model = fnn.serial(fnn.dense(70), fnn.tanh, fnn.dense(30), fnn.tanh, fnn.dense(10))
    ends = []
    for on in (machine._of_processor(), None):
        monkeypatch.setattr(machine, "_of_processor", lambda on=on: on)
        ends.append(jax.tree.leaves(trained(model, x, y, "fit")))
    for with_code, without in zip(*ends, strict=True):
        np.testing.assert_allclose(with_code, without, rtol=1e-3, atol=1e-4)
