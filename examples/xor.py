"""One neuron learns "and" but never "xor"; with a hidden layer, xor is learned too."""

import jax
import jax.numpy as jnp
import optax

import fnn

zeros = {"w": jnp.zeros((2, 1)), "b": jnp.zeros(1)}
mistakes = {}
for name in ("and", "xor"):
    learned = fnn.learn(fnn.perceptron_rule, zeros, fnn.toy.logic_gate(name), n_epochs=50)
    mistakes[name] = int(learned.errors[-1])
    print(f"perceptron, {name}: {mistakes[name]} mistakes in pass 50")

gate, task = fnn.toy.logic_gate("xor"), fnn.for_task("binary")
model = fnn.mlp([4], 1, activation=fnn.tanh)
params, state = model.init(jax.random.key(0), gate.x)
objective = fnn.supervised(model, task.loss)
fitted = fnn.fit(objective, optax.adam(0.1), params, state, gate, key=jax.random.key(0), n_epochs=100)
probabilities = task.activation(fnn.predict(model, fitted.params, state, gate.x))[:, 0]
for (a, b), p in zip(gate.x, probabilities, strict=True):
    print(f"hidden layer, {a:.0f} xor {b:.0f}: {p:.2f}")
