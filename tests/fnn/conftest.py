"""What the tests of fnn share: strict arrays, and gradients judged by differences in double precision."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    """No array may change its rank or its dtype by accident in anything that fnn computes."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="session")
def check_gradient() -> Callable[..., None]:
    """``check(function, *arguments)``: its gradient, in float32 and float64, against central differences in float64.

    The function's outputs are weighted at random and summed; slopes are compared along random directions through
    all arguments at once, so that a wrong entry anywhere shows.
    """

    def check(function: Callable[..., Any], *arguments: Any, step: float = 1e-6) -> None:
        rng = np.random.default_rng(7)
        with jax.enable_x64(True):
            exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), arguments)
            weights = jnp.asarray(rng.normal(size=jnp.shape(function(*exact))))

            @jax.jit
            def value(arguments: Any) -> Any:
                return jnp.sum(weights.astype(jnp.result_type(function(*arguments))) * function(*arguments))

            gradient = jax.grad(value)(exact)
            for _ in range(3):
                direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), exact)
                ahead = jax.tree.map(lambda a, d: a + step * d, exact, direction)
                behind = jax.tree.map(lambda a, d: a - step * d, exact, direction)
                difference = (value(ahead) - value(behind)) / (2 * step)
                slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: jnp.sum(g * d), gradient, direction)))
                np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-7)
            expected = jax.tree.map(np.asarray, gradient)
            single = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), arguments)
            got = jax.grad(value)(single)
        for g, e in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            assert g.dtype == jnp.float32
            np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5)

    return check


@pytest.fixture
def write_idx(tmp_path: Path) -> Callable[..., Path]:
    """``write(name, array)``: an IDX file, written here independently of the reader."""
    codes = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}

    def write(name: str, array: np.ndarray) -> Path:
        head = bytes([0, 0, codes[array.dtype.name], array.ndim])
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(head + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes())
        return path

    return write
