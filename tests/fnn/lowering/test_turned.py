"""A step that carries narrow matrices transposed does what it does without."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import fnn
from fnn.lowering import canonical, repeated, turned
from fnn.train import make_step, start


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def shapes(tree):
    return jax.tree.map(jnp.shape, tree)


def assert_close(one, other):
    def close(a, b):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5 * np.abs(np.asarray(b, np.float64)).max(initial=0))

    jax.tree.map(close, one, other)


def assert_same(step, carry, x, n_steps=3):
    """In a loop and out of it; gives the shapes that the loop carries."""
    loop = repeated(step, carry, x)
    expected = carry
    for _ in range(n_steps):
        expected, y = jax.jit(step)(expected, x)
    began = loop.turned(carry)
    end, ys = jax.jit(lambda carry: lax.scan(lambda c, _: loop.step(c, x), carry, length=n_steps))(began)
    assert shapes(end) == shapes(began)
    assert_close(loop.turned_back(end), expected)
    assert_close(jax.tree.map(lambda leaf: leaf[-1], ys), y)
    return shapes(began)


def loss_of(w, x):
    return jnp.mean(jnp.tanh(x @ w) ** 2)


def descent(w, x):
    return w - 0.1 * jax.grad(loss_of)(w, x), loss_of(w, x)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((784, 30), True),
        ((784, 9), True),
        ((682, 48), True),
        ((64, 9), True),
        ((63, 30), False),
        ((784, 8), False),
        ((784, 49), False),
        ((683, 48), False),
        ((1024, 32), True),
        ((1025, 9), False),
        ((30, 784), False),
        ((0, 30), False),
        ((784,), False),
        ((3, 3, 30), False),
    ],
)
def test_what_is_narrow(shape, expected):
    assert turned.is_narrow(jnp.ones(shape)) is expected
    assert turned.is_narrow(jax.ShapeDtypeStruct(shape, jnp.bfloat16)) is expected
    assert not turned.is_narrow(jnp.ones(shape, jnp.int32))
    assert not turned.is_narrow(jax.ShapeDtypeStruct(shape, jnp.float64))


def test_not_elsewhere(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert repeated(descent, jnp.ones((100, 20)), jnp.ones((3, 100))).step is descent


@pytest.mark.parametrize("form", [descent, jax.jit(descent), canonical(descent), lambda w, x: jax.jit(descent)(w, x)])
def test_a_matrix_that_a_step_multiplies_by(form):
    assert assert_same(form, draw(100, 20), draw(3, 100)) == (20, 100)


OPTIMIZERS = {
    "accumulated": optax.MultiSteps(optax.sgd(0.1), 2),
    "adafactor": optax.adafactor(1e-2, min_dim_size_to_factor=8),
    "adam": optax.adam(1e-2),
    "clipped": optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(1e-2)),
    "injected": optax.inject_hyperparams(optax.adam)(learning_rate=1e-2),
    "lamb": optax.lamb(1e-2),
    "lbfgs": optax.lbfgs(),
    "lion": optax.lion(1e-3),
    "masked": optax.masked(optax.adam(1e-2), lambda tree: jax.tree.map(lambda leaf: leaf.ndim == 2, tree)),
    "momentum": optax.sgd(0.1, 0.9, nesterov=True),
    "noisy": optax.add_noise(0.1, 0.5, jax.random.key(0)),
    "plateau": optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()),
    "rmsprop": optax.rmsprop(1e-2),
    "scheduled": optax.sgd(optax.cosine_decay_schedule(0.1, 10)),
    "skipped": optax.apply_if_finite(optax.adam(1e-2), 3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    model = fnn.serial(fnn.dense(20), fnn.tanh, fnn.dropout(0.1), fnn.dense(10))
    objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
    batch = draw(6, 100), np.arange(6, dtype=np.int32)
    params, state = model.init(jax.random.key(0), batch[0])
    begin = start(OPTIMIZERS[name], params, state, jax.random.key(1))
    carried = assert_same(make_step(objective, OPTIMIZERS[name]), begin, batch)
    assert carried.params["00_dense"]["w"] == ((100, 20) if name in ("accumulated", "lbfgs") else (20, 100))
    if name == "adam":
        assert carried.opt_state[0].mu["00_dense"]["w"] == carried.opt_state[0].nu["00_dense"]["w"] == (20, 100)


def looked_up(w, x):
    return descent(w + 0.01 * w[jnp.array([1] * len(w))], x)


def reshaped(w, x):
    return w - 0.1 * jax.grad(lambda w: jnp.sum(w.reshape(2, -1) ** 2) + loss_of(w, x))(w), ()


def normed(w, x):
    return w - 0.1 * jax.grad(lambda w: loss_of(w / jnp.linalg.norm(w, axis=0, keepdims=True), x))(w), ()


def in_a_loop(w, x):
    return lax.fori_loop(0, 2, lambda _, w: descent(w, x)[0], w), ()


def in_a_branch(w, x):
    return lax.cond(x[0, 0] > 0, lambda w: descent(w, x)[0], lambda w: w, w), ()


def on_the_left(w, x):
    return w - 0.1 * jax.grad(lambda w: jnp.mean((w @ x[:, :20].T) ** 2))(w), ()


def not_multiplied(w, x):
    return w * 0.9, jnp.sum(w)


@pytest.mark.parametrize(
    "step", [looked_up, reshaped, normed, in_a_loop, in_a_branch, on_the_left, not_multiplied], ids=lambda f: f.__name__
)
def test_what_has_no_counterpart_in_the_other_order_stays(step):
    assert assert_same(step, draw(100, 20), draw(3, 100)) == (100, 20)


def test_what_is_updated_with_a_matrix_goes_with_it():
    def step(carry, x):
        w, mean, other, table = carry
        g = jax.grad(loss_of)(w, x)
        mean = 0.9 * mean + jnp.where(jnp.abs(g) > 0.01, g, 0) + draw(100, 20)
        return (w - 0.1 * mean, mean, other + 1, table + 0.1 * other), table[jnp.array([0, 2])]

    carry = draw(100, 20), draw(100, 20), draw(100, 20), draw(100, 20)
    assert assert_same(step, carry, draw(3, 100)) == ((20, 100), (20, 100), (100, 20), (100, 20))


def test_a_call_that_says_where_it_runs_stays_one():
    at = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    told = jax.jit(lambda w: w * 2, in_shardings=at, out_shardings=at)
    assert assert_same(lambda w, x: descent(told(w) / 2, x), draw(100, 20), draw(3, 100)) == (100, 20)


def test_other_arrays_of_the_same_shape():
    """A batch of as many examples as there are columns, whose transpose has the shape of the matrix."""

    def step(w, x):
        y = jnp.sort(x.T, axis=0)
        return w - 0.1 * (jax.grad(loss_of)(w, x) + y * x.T + jnp.cumsum(x.T, 1)), (y, x.T)

    assert assert_same(step, draw(100, 20), draw(20, 100)) == (20, 100)


FUNCTIONS = {
    "abs": jnp.abs,
    "add": lambda w: w + 1,
    "add_any": lambda w: jax.vjp(lambda w: (w, w), w)[1]((w, w * 2))[0],
    "and": lambda w: jnp.where((w > 0) & (w < 1), w, 0),
    "cbrt": jnp.cbrt,
    "ceil": jnp.ceil,
    "clamp": lambda w: lax.clamp(-0.5, w, 0.5),
    "convert_element_type": lambda w: w.astype(jnp.bfloat16).astype(w.dtype),
    "copy": lambda w: lax.copy_p.bind(w) if hasattr(lax, "copy_p") else jnp.array(w, copy=True),
    "cos": jnp.cos,
    "div": lambda w: w / 3,
    "eq": lambda w: jnp.where(w == 0, 1.0, w),
    "erf": lax.erf,
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "floor": jnp.floor,
    "ge": lambda w: jnp.where(w >= 0, 1.0, w),
    "gt": lambda w: jnp.where(w > 0, 1.0, w),
    "integer_pow": lambda w: w**3,
    "is_finite": lambda w: jnp.where(jnp.isfinite(w), w, 0),
    "le": lambda w: jnp.where(w <= 0, 1.0, w),
    "log": lambda w: jnp.log(jnp.abs(w) + 1),
    "log1p": lambda w: jnp.log1p(jnp.abs(w)),
    "logistic": jax.nn.sigmoid,
    "lt": lambda w: jnp.where(w < 0, 1.0, w),
    "max": lambda w: jnp.maximum(w, 0.1),
    "min": lambda w: jnp.minimum(w, 0.1),
    "mul": lambda w: w * 3,
    "ne": lambda w: jnp.where(w != 0, 1.0, w),
    "neg": jnp.negative,
    "not": lambda w: jnp.where(~(w > 0), w, 0),
    "or": lambda w: jnp.where((w > 1) | (w < 0), w, 0),
    "pow": lambda w: jnp.abs(w) ** 1.5,
    "round": jnp.round,
    "rsqrt": lambda w: lax.rsqrt(jnp.abs(w) + 1),
    "select_n": lambda w: jnp.where(w > 0, w, 2 * w),
    "sign": jnp.sign,
    "sin": jnp.sin,
    "sqrt": lambda w: jnp.sqrt(jnp.abs(w)),
    "square": jnp.square,
    "sub": lambda w: 1 - w,
    "tanh": jnp.tanh,
    "xor": lambda w: jnp.where((w > 1) ^ (w < 0), w, 0),
}


def test_every_operation_number_by_number_is_tried():
    assert set(FUNCTIONS) == turned._NUMBER_BY_NUMBER


def test_operations_number_by_number():
    def update(name, w, x):
        return w - 0.1 * FUNCTIONS[name](w) + 0.01 * jnp.max(FUNCTIONS[name](w)), x @ w

    def step(carry, x):
        pairs = {name: update(name, w, x) for name, w in carry.items()}
        return {name: w for name, (w, _) in pairs.items()}, [y for _, y in pairs.values()]

    for name in FUNCTIONS:
        text = str(jax.make_jaxpr(lambda *arguments, name=name: update(name, *arguments))(draw(100, 20), draw(3, 100)))
        assert re.search(rf"\b{name}\b", text)
    carried = assert_same(step, dict.fromkeys(FUNCTIONS, draw(100, 20)), draw(3, 100), n_steps=1)
    assert set(carried.values()) == {(20, 100)}


@pytest.mark.parametrize("seed", range(8))
def test_steps_put_together_at_random(seed):
    rng = np.random.default_rng(seed)
    names = rng.choice(sorted(FUNCTIONS), 6)
    order = rng.permutation(8)

    def step(carry, x):
        w, m, v = carry
        g = jax.grad(lambda w: loss_of(FUNCTIONS[names[0]](w), x))(w)
        pieces = [
            lambda m, v: (0.9 * m + 0.1 * FUNCTIONS[names[1]](g), v),
            lambda m, v: (m, 0.9 * v + g * g),
            lambda m, v: (m * jnp.linalg.norm(g), v),
            lambda m, v: (jnp.where(v > 0.1, m, FUNCTIONS[names[2]](w)), v),
            lambda m, v: (m, v + draw(100, 20) ** 2),
            lambda m, v: (m.T.T, (v.T * 0.5).T),
            lambda m, v: (m + jnp.arange(20.0)[None], v * jnp.arange(100.0)[:, None] / 100),
            lambda m, v: (m, jnp.abs(FUNCTIONS[names[3]](v))),
        ]
        for place in order[: 3 + seed % 5]:
            m, v = pieces[place](m, v)
        update = 0.01 * jnp.tanh(m) / (jnp.sqrt(v) + 1)
        return (w - update, jnp.tanh(m), jnp.tanh(v)), (jnp.sum(w), x @ m @ v.T)

    carry = draw(100, 20), draw(100, 20), np.abs(draw(100, 20))
    assert (20, 100) in assert_same(step, carry, draw(3, 100), n_steps=2)


@pytest.mark.parametrize("optimizer", [optax.sgd(0.1, 0.9), optax.adam(1e-2)], ids=["sgd", "adam"])
def test_nothing_is_transposed_or_copied_in_the_loop(optimizer):
    """But the gradients on both sides of the products, which are small."""
    model = fnn.serial(fnn.dense(30), fnn.sigmoid, fnn.dense(10))
    objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
    batch = draw(10, 784), np.arange(10, dtype=np.int32)
    params, state = model.init(jax.random.key(0), batch[0])
    step, begin = make_step(objective, optimizer), start(optimizer, params, state, jax.random.key(1))
    loop = repeated(step, begin, batch)
    text = str(jax.make_jaxpr(loop.step)(loop.turned(begin), batch))
    assert set(re.findall(r"f32\[([\d,]+)\] = transpose", text)) <= {"30,10", "10,10"}

    def many(carry):
        return lax.fori_loop(0, 5, lambda _, carry: loop.step(carry, batch)[0], carry)

    compiled = jax.jit(many).lower(jax.eval_shape(loop.turned, begin)).compile().as_text()
    body = compiled[: compiled.index("ENTRY")]
    assert not re.search(r"= f32\[(30,784|784,30)\]\S* (copy|transpose)\(", body)


@pytest.mark.parametrize("batch_size", [2, 40])
@pytest.mark.parametrize("widths", [(9,), (48, 33, 16)], ids=str)
@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_a_loop_written_by_hand_comes_to_the_same_bits(name, widths, batch_size):
    optimizer, key = OPTIMIZERS[name], jax.random.key(3)
    hidden = [part for width in widths[:-1] for part in (fnn.dense(width), fnn.tanh)]
    model = fnn.serial(*hidden, fnn.dense(widths[-1]))
    objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
    data = draw(80, 64), np.arange(80, dtype=np.int32) % widths[-1]
    params, state = model.init(jax.random.key(0), data[0])
    order_key, step_key = jax.random.split(key)
    train_state, step = start(optimizer, params, state, step_key), jax.jit(make_step(objective, optimizer))
    for batch in fnn.batches(data, batch_size, jax.random.fold_in(order_key, 0)):
        train_state, _ = step(train_state, batch)
    fitted = fnn.fit(objective, optimizer, params, state, data, key=key, n_epochs=1, batch_size=batch_size)
    jax.tree.map(np.testing.assert_array_equal, fitted.params, train_state.params)


@pytest.mark.parametrize("as_in_loop", [False, True])
def test_outside_of_a_loop_only_gradients_take_the_transpose(as_in_loop):
    def product(w, x):
        return jax.jit(lambda w, x: lax.fori_loop(0, 2, lambda _, y: y + x @ w, x @ w))(w, x)

    text = str(jax.make_jaxpr(canonical(product, as_in_loop=as_in_loop))(draw(100, 20), draw(3, 100)))
    assert text.count("dot_general") == 2
    assert text.count("transpose") == (1 if as_in_loop else 0)  # never within the loop
    assert "transpose" not in str(jax.make_jaxpr(canonical(product))(draw(100, 20), draw(3, 100)))


def test_a_carry_that_a_loop_promotes():
    def update(updates, count, params=None):
        return jax.tree.map(lambda g: -0.1 * g / (1.0 + count), updates), count * 2 + 0.5

    with jax.numpy_dtype_promotion("standard"):
        optimizer = optax.GradientTransformation(lambda params: 0, update)
        model, x = fnn.dense(20), draw(8, 100)
        params, state = model.init(jax.random.key(0), x)
        objective, data = fnn.supervised(model, fnn.mean_squared_error), (x, draw(8, 20))
        train = jax.jit(
            lambda params: fnn.fit_scan(
                objective, optimizer, params, state, data, key=jax.random.key(0), n_epochs=3, batch_size=4
            )
        )
        losses = train(params).history["loss"]
    assert losses[2] < losses[0]


def test_halves():
    def step(w, x):
        return w - (0.1 * jax.grad(lambda w: loss_of(w.astype(jnp.bfloat16), x).astype(jnp.float32))(w)), x @ w

    x = draw(3, 100).astype(jnp.bfloat16)
    with jax.numpy_dtype_promotion("standard"):
        loop = repeated(step, draw(100, 20), x)
        w, _ = loop.step(loop.turned(jnp.asarray(draw(100, 20))), x)
        np.testing.assert_allclose(w.T, step(draw(100, 20), x)[0], rtol=1e-2, atol=1e-3)
        assert w.shape == (20, 100)


def test_runs_side_by_side():
    model = fnn.dense(12)
    objective = fnn.supervised(model, fnn.mean_squared_error)
    x, y = draw(8, 100), draw(8, 12)

    def run(key):
        params, state = model.init(key, x)
        return fnn.fit_scan(objective, optax.adam(1e-2), params, state, (x, y), key=key, n_epochs=3, batch_size=3)

    keys = jax.random.split(jax.random.key(0), 4)
    together = jax.jit(jax.vmap(run))(keys)
    alone = jax.jit(run)(keys[2])
    assert_close(jax.tree.map(lambda leaf: leaf[2], together.train_state), alone.train_state)
    assert together.params["w"].shape == (4, 100, 12)
