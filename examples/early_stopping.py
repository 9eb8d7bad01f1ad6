"""Training ends when examples that were held out are no longer predicted better, and gives back the best epoch."""

import jax
import optax

import fnn

digits = fnn.load_digits()
learned, held_out = fnn.split(digits.train, 0.2, jax.random.key(2), stratify=True)
model, loss = fnn.mlp([64], 10), fnn.softmax_cross_entropy_with_integer_labels
params, state = model.init(jax.random.key(0), digits.train.x)


def validate(params, state):
    return fnn.evaluate(model, params, state, held_out, {"validation_loss": loss})


optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=0.03)  # a rate that can be changed on the way
watch = (
    fnn.keep_best("validation_loss"),
    fnn.reduce_on_plateau("validation_loss"),
    fnn.early_stopping("validation_loss", patience=8),
)
arguments = fnn.supervised(model, loss), optimizer, params, state, learned
fitted = fnn.fit(*arguments, key=jax.random.key(1), n_epochs=200, validate=validate, callbacks=watch)
best = fitted.callbacks[0]
scores = fnn.evaluate(model, best["params"], best["state"], digits.test, {"accuracy": fnn.accuracy})
print(f"best after epoch {best['epoch']} of {len(fitted.history)}: {scores['accuracy']:.3f} of the test digits right")
