"""Runs a network that `fnn.export` wrote, without fnn: python run_exported.py model.stablehlo inputs.npy"""

import json
import sys

import jax.export
import numpy as np

with open(sys.argv[1], "rb") as file:
    network = jax.export.deserialize(bytearray(file.read()))
print(json.dumps(network.call(np.load(sys.argv[2], allow_pickle=False)).tolist()))
