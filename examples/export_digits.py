"""Trains on the digits, then writes the weights as safetensors and the whole network as StableHLO, into a folder."""

import sys
from pathlib import Path

import jax
import numpy as np
import optax

import fnn

folder = Path(sys.argv[1])
digits = fnn.load_digits()
model = fnn.mlp([32], 10)
params, state = model.init(jax.random.key(0), digits.train.x)
objective = fnn.supervised(model, fnn.softmax_cross_entropy_with_integer_labels)
fitted = fnn.fit(objective, optax.adam(1e-2), params, state, digits.train, key=jax.random.key(1), n_epochs=2)

fnn.save_weights(folder / "model.safetensors", fitted.params)
again = fnn.load_weights(folder / "model.safetensors", like=params)
fnn.export(folder / "model.stablehlo", model, again, fitted.state, digits.test.x)
np.save(folder / "inputs.npy", digits.test.x[:3])  # for run_exported.py
np.save(folder / "outputs.npy", fnn.predict(model, fitted.params, fitted.state, digits.test.x[:3]))
