"""Arrays whose types name devices, or whose sizes are not known, are left to the forms that they came in."""

import jax
import jax.numpy as jnp
import pytest
from jax import export, lax
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

from fnn.lowering import canonical
from fnn.lowering.placement import is_settled


def convolution(taps):
    def loss(w, x):
        axes = ("NHWC", "HWIO", "NHWC")
        return jnp.sin(lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=axes)).sum()

    return jax.grad(loss), (taps, taps, 3, 4), (8, 9, 12, 3)


def product(n_columns, n_examples):
    return jax.grad(lambda w, x: jnp.sin(x @ w).sum()), (784, n_columns), (n_examples, 784)


CASES = {
    "convolution": convolution(3),
    "convolution of single places": convolution(1),
    "few examples": product(30, 8),
    "examples": product(30, 64),
    "cheap to transpose": product(80, 64),
}


@pytest.mark.parametrize("case", CASES)
def test_named_devices(case):
    gradient, w, x = CASES[case]
    mesh = AbstractMesh((2, 2), ("d", "m"), axis_types=(AxisType.Explicit,) * 2)

    def placed(shape, spec):
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, spec))

    with jax.sharding.use_abstract_mesh(mesh):
        arguments = placed(w, PartitionSpec()), placed(x, PartitionSpec("d"))
        assert str(jax.make_jaxpr(canonical(gradient))(*arguments)) == str(jax.make_jaxpr(gradient)(*arguments))
    free = jax.ShapeDtypeStruct(w, jnp.float32), jax.ShapeDtypeStruct(x, jnp.float32)
    assert str(jax.make_jaxpr(canonical(gradient))(*free)) != str(jax.make_jaxpr(gradient)(*free))


@pytest.mark.parametrize("case", CASES)
def test_unknown_sizes(case):
    gradient, w, x = CASES[case]
    of_any = export.symbolic_shape("n, " + ", ".join(map(str, x[1:])))
    arguments = jax.ShapeDtypeStruct(w, jnp.float32), jax.ShapeDtypeStruct(of_any, jnp.float32)
    exported = export.export(jax.jit(canonical(gradient)))(*arguments)
    assert exported.out_avals[0].shape == w


def test_a_key_is_settled():
    assert is_settled(jax.typeof(jax.random.key(0)))
