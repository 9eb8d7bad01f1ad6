"""A network that knows the ten digits lends its lower layers to one that learns odd from even from 50 examples."""

import jax
import numpy as np
import optax

import fnn

(x, y, _), (x_test, y_test, _) = fnn.load_digits()[1:3]
loss, key = fnn.softmax_cross_entropy_with_integer_labels, jax.random.key(0)
digits, parity = fnn.mlp([64, 32], 10), fnn.mlp([64, 32], 2)
pretrained = digits.init(key, x)[0]
pretrained = fnn.fit(
    fnn.supervised(digits, loss), optax.adam(3e-3), pretrained, {}, (x, y), key=key, n_epochs=15
).params

lower = "01_dense/*", "03_dense/*"
objective, adam, few = fnn.supervised(parity, loss), optax.adam(1e-2), (x[:50], y[:50] % 2)
found: dict[str, list[float]] = {"from nothing": [], "pre-trained, lower layers frozen": []}
for seed in (1, 2, 3):
    fresh = parity.init(jax.random.key(seed), x)[0]
    taken = fnn.take_over(fresh, pretrained, *lower)
    for name, params, optimizer in zip(found, (fresh, taken), (adam, fnn.freeze(adam, *lower)), strict=True):
        tuned = fnn.fit(objective, optimizer, params, {}, few, key=key, n_epochs=60).params
        found[name].append(
            fnn.evaluate(parity, tuned, {}, (x_test, y_test % 2), {"accuracy": fnn.accuracy})["accuracy"]
        )
for name, scores in found.items():
    print(f"{name}: {np.mean(scores):.3f} of the test digits right")
