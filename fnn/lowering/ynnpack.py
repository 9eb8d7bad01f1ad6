"""Convolutions by XLA's own algorithm rather than by YNNPACK.

XLA's CPU compiler gives products, sums and convolutions to YNNPACK. Its products and sums are quicker than the
compiler's own; its convolutions are slower, on JAX 0.10 on one thread only: a training step of small CNNs takes 1.1 to
2.8 times as long with them. So a program with convolutions is compiled without them, all else being as it always is.
"""

from __future__ import annotations

import os
from functools import cache
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from fnn.lowering.walking import multiplications

_NAME = "xla_cpu_experimental_ynn_fusion_type"
# What YNNPACK computes by default, from JAX 0.10 to 0.12, without convolutions.
_OPTIONS = MappingProxyType({_NAME: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"})
_UNTRIED = (0, 13)


def without_convolutions(jaxpr: Any) -> dict[str, Any]:
    """The options for the compiler; none for a program that has no convolution: it is the same without them.

    Args:
        jaxpr: the program, such as ``jax.jit(step).trace(*arguments).jaxpr``.

    Example:
        >>> without_convolutions(jax.make_jaxpr(jnp.dot)(jnp.ones((2, 2)), jnp.ones((2, 2))))
        {}
    """
    has_one = any(eqn.primitive.name == "conv_general_dilated" for eqn in multiplications(jaxpr))
    return compiler_options() if has_one else {}


def compiler_options() -> dict[str, Any]:
    """What to tell the compiler of a program of one's own, so that its convolutions are as quick as those of ``fit``.

    Returns:
        For the ``compiler_options`` of the outermost ``jax.jit``. Empty on a GPU or TPU, where the compiler does not
        take them, and where ``XLA_FLAGS`` has something else to say about it. A program without convolutions is the
        same with them.

    Example:
        >>> import fnn
        >>> model = fnn.conv(8)
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 28, 28, 1)))
        >>> forward = jax.jit(lambda x: model.apply(params, state, x)[0], compiler_options=compiler_options())
        >>> forward(jnp.ones((5, 28, 28, 1))).shape
        (5, 28, 28, 8)
    """
    is_theirs = _NAME in os.environ.get("XLA_FLAGS", "")
    return dict(_OPTIONS) if jax.default_backend() == "cpu" and not is_theirs and _is_taken() else {}


@cache
def _is_taken() -> bool:
    """The name is no promise of XLA's: where it has not been tried, it is tried now, which takes 50 ms."""
    if jax.__version_info__ < _UNTRIED:
        return True
    try:
        jax.jit(lambda x: x, compiler_options=dict(_OPTIONS)).lower(jnp.float32(0)).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
