"""The metrics of every epoch in a file, one JSON object a line; run again after a kill, it goes on where it was."""

import sys

import jax
import optax

import fnn
from fnn.logs import json_lines

folder = sys.argv[1] if len(sys.argv) > 1 else "logged"
data, model = fnn.load_digits(), fnn.mlp([32], 10)
loss = fnn.softmax_cross_entropy_with_integer_labels
params, state = model.init(jax.random.key(0), data.train.x[:1])
training = fnn.epochs(
    fnn.supervised(model, loss, {"accuracy": fnn.accuracy}),
    optax.adam(1e-2),
    params,
    state,
    data.train,
    key=jax.random.key(1),
    n_epochs=3,
    checkpoints=fnn.Checkpoints(f"{folder}/checkpoints"),
    resume=True,
)
with json_lines(f"{folder}/metrics.jsonl", resume_by="epoch") as log:  # fnn.logs.tensorboard(folder) is alike
    for epoch in training:
        log.write({"epoch": epoch.number, "step": int(epoch.train_state.step), **epoch.metrics})
