import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import Batch, Model, dense, serial
from fnn.types import spec


def test_a_model_is_a_leaf_and_does_not_change():
    layer = dense(2)
    assert jax.tree.leaves(layer) == [layer]
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.name = "other"
    assert dataclasses.replace(layer, name="other").init is layer.init
    assert isinstance(hash(layer), int)
    assert isinstance(layer, Model)


def test_a_notebook_shows_the_layers():
    assert "00_dense" in serial(dense(2))._repr_html_()
    assert "dense" in dense(2)._repr_html_()


def test_a_batch_is_a_pytree_with_optional_parts():
    assert len(jax.tree.leaves(Batch(jnp.ones(2)))) == 1
    assert Batch(*(1, 2)) == (1, 2, None)


def test_spec_has_no_numbers():
    tree = {"a": np.ones((2, 3), np.float32), "b": jax.ShapeDtypeStruct((4,), jnp.int32)}
    described = spec(tree)
    assert described["a"].shape == (2, 3)
    assert described["b"].dtype == jnp.int32
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(described))
