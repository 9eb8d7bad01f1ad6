"""One network written with Flax Linen, Flax NNX and Equinox: the same lines train each of them."""

import equinox
import jax
import optax
from flax import linen, nnx

import fnn

digits = fnn.load_digits()
train, test = (fnn.Batch(part.x.reshape(len(part.x), -1), part.y) for part in (digits.train, digits.test))
models = {
    "linen": fnn.from_linen(linen.Sequential([linen.Dense(32), linen.relu, linen.Dense(10)])),
    "nnx": fnn.from_nnx(
        lambda rngs: nnx.Sequential(nnx.Linear(64, 32, rngs=rngs), nnx.relu, nnx.Linear(32, 10, rngs=rngs))
    ),
    "equinox": fnn.from_equinox(lambda key: equinox.nn.MLP(64, 10, width_size=32, depth=1, key=key)),
}
for name, model in models.items():
    params, state = model.init(jax.random.key(0), train.x)
    objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
    fitted = fnn.fit(objective, optax.adam(1e-2), params, state, train, key=jax.random.key(1), n_epochs=3)
    print(name, fnn.evaluate(model, fitted.params, fitted.state, test, {"accuracy": fnn.accuracy}))
