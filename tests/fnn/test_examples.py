"""The scripts in examples/ about fnn run, and do what they say."""

import runpy
from pathlib import Path

import jax
import numpy as np

from fnn import fit, softmax_cross_entropy_with_integer_labels, supervised

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_loop_of_ones_own_reaches_the_bits_of_fit():
    path = EXAMPLES / "own_loop.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 25
    with jax.numpy_dtype_promotion("standard"):  # as a user has it; Optax needs it
        names = runpy.run_path(str(path))
    assert names["step"] + 1 == 3 * 45
    params, state = names["model"].init(jax.random.key(1), names["data"].x[:1])
    objective = supervised(names["model"], softmax_cross_entropy_with_integer_labels)
    fitted = fit(
        objective, names["optimizer"], params, state, names["data"], key=jax.random.key(0), n_epochs=3, batch_size=32
    )
    assert fitted.history[-1]["loss"] < 0.5 * fitted.history[0]["loss"]
    jax.tree.map(np.testing.assert_array_equal, names["params"], fitted.params)
