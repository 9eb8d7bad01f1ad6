"""Without a notebook: what it would be given."""

import re

import jax
import jax.numpy as jnp

from fnn import mlp
from fnn.showing import show


def test_parameters_with_shapes_and_values():
    params, _ = mlp([4], 2).init(jax.random.key(0), jnp.ones((1, 3)))
    shown = show(params)
    assert shown._repr_html_() == shown.html
    assert re.search(r"<\w+", shown.html)
    for text in (shown.html, str(shown)):
        assert "01_dense" in text
        assert "03_dense" in text
    assert "float32(3, 4)" in str(shown)


def test_a_model_by_its_layers_without_addresses():
    shown = show(mlp([4], 2))
    assert "02_relu" in shown.html
    assert " at 0x" not in str(shown)
