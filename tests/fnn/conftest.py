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
        exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), arguments)
        with jax.enable_x64(True):
            weights = rng.normal(size=jax.eval_shape(function, *exact).shape)

            def value(arguments: Any) -> Any:
                outputs = function(*arguments)
                return jnp.sum(jnp.asarray(weights, outputs.dtype) * outputs)

            value_and_gradient = jax.jit(jax.value_and_grad(value))
            gradient = jax.device_get(value_and_gradient(exact)[1])
            for _ in range(3):
                direction = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), exact)
                ahead = jax.tree.map(lambda a, d: a + step * d, exact, direction)
                behind = jax.tree.map(lambda a, d: a - step * d, exact, direction)
                difference = (value_and_gradient(ahead)[0] - value_and_gradient(behind)[0]) / (2 * step)
                slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: np.sum(g * d), gradient, direction)))
                np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-7)
            single = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), arguments)
            got = value_and_gradient(single)[1]
        for g, e in zip(jax.tree.leaves(got), jax.tree.leaves(gradient), strict=True):
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
