"""Products and convolutions in bfloat16 by oneDNN, where XLA's CPU compiler has it.

XLA's own convolution brings bfloat16 numbers to float32 first. jaxlib comes with oneDNN, whose kernels use the
processor's bfloat16 instructions, but the compiler does not ask for them unless told to: 128 images of 14 x 14 x 32,
convolved with 3 x 3 x 32 x 64, take 1.7 ms then, and 4 to 6 without. In float32 a whole step gains nothing by them.

XLA fails to write its calls of oneDNN down, so that what is compiled with these options must not be kept on disk
(:func:`fnn.compilation.unkept`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from fnn.compilation import unkept
from fnn.lowering.walking import multiplications

_OPTIONS = MappingProxyType({"xla_cpu_use_onednn": True, "xla_cpu_experimental_onednn_custom_call": True})
_MARK = "__onednn"  # how its operations are called in a compiled program
_NONE: Mapping[str, Any] = MappingProxyType({})


def for_bfloat16(jaxpr: Any) -> Mapping[str, Any]:
    """The options for the compiler: none, unless a program multiplies bfloat16 numbers on a CPU.

    Args:
        jaxpr: the program, such as ``jax.jit(step).trace(*arguments).jaxpr``.

    Returns:
        They are to be used within :func:`fnn.compilation.unkept`.

    Example:
        >>> dict(for_bfloat16(jax.make_jaxpr(jnp.dot)(jnp.ones((2, 2)), jnp.ones((2, 2)))))
        {}
    """
    if jax.default_backend() != "cpu":
        return _NONE
    factors = (atom.aval for eqn in multiplications(jaxpr) for atom in eqn.invars)
    return _known() if any(factor.dtype == jnp.bfloat16 for factor in factors) else _NONE


@cache
def _known() -> Mapping[str, Any]:
    """The options, if they make a difference: they are no promise of XLA's, and JAX 0.10 takes them to no effect."""
    axes = ("NHWC", "HWIO", "NHWC")
    convolve = partial(jax.lax.conv_general_dilated, window_strides=(1, 1), padding="SAME", dimension_numbers=axes)
    shape_of: Any = jax.ShapeDtypeStruct  # has no annotations of its own
    shapes = [shape_of(shape, jnp.bfloat16) for shape in ((8, 14, 14, 32), (3, 3, 32, 64))]
    try:
        with unkept():
            program = jax.jit(convolve).lower(*shapes).compile(compiler_options=dict(_OPTIONS))
    except jax.errors.JaxRuntimeError:
        return _NONE
    return _OPTIONS if _MARK in (program.as_text() or "") else _NONE
