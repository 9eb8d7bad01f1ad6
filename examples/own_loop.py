"""A training loop of one's own: it reaches the parameters of `fit`, bit for bit."""

import jax
import optax

import fnn

data, optimizer = fnn.load_digits().train, optax.adam(1e-2)
model = fnn.serial(fnn.flatten(), fnn.dense(32), fnn.relu, fnn.dropout(0.2), fnn.dense(10))
value_and_grad = fnn.loss_and_grad(fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels))


@jax.jit  # gradient and update in one program, as in fit: apart, they might round differently
def update(params, state, opt_state, batch, key):
    (_, (state, _)), grads = value_and_grad(params, state, batch, key)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), state, opt_state


order_key, step_key = jax.random.split(jax.random.key(0))
params, state = model.init(jax.random.key(1), data.x[:1])
opt_state = optimizer.init(params)
for step, batch in enumerate(b for e in range(3) for b in fnn.batches(data, 32, jax.random.fold_in(order_key, e))):
    params, state, opt_state = update(params, state, opt_state, batch, jax.random.fold_in(step_key, step))
