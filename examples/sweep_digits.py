"""Six learning rates, eight seeds each: 48 trainings of a small network on the digits, as one program."""

import jax
import optax

import fnn
from fnn.tables import text_table

digits = fnn.load_digits()
model = fnn.mlp([30], 10, activation=fnn.sigmoid)
objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)


def run(key, learning_rate):
    init_key, fit_key = jax.random.split(key)
    params, state = model.init(init_key, digits.train.x)
    optimizer = optax.sgd(learning_rate)
    trained = fnn.fit_scan(objective, optimizer, params, state, digits.train, key=fit_key, n_epochs=5, batch_size=10)
    logits, _ = model.apply(trained.params, trained.state, digits.test.x)
    return {"loss": trained.history["loss"][-1], "accuracy": fnn.accuracy(logits, digits.test.y).mean()}


swept = fnn.sweep(run, seeds=8, learning_rate=[0.01, 0.03, 0.1, 0.3, 1.0, 3.0])
print(text_table(swept.over_seeds()))
