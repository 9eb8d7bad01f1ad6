"""Convolutions by XLA's own algorithm rather than by YNNPACK.

XLA's CPU compiler gives products, sums and convolutions to YNNPACK. Its products and sums are quicker than the
compiler's own, its convolutions slower (on JAX 0.10 they run on one thread): a training step of small CNNs takes 1.1 to
2.8 times as long with them. So a program with convolutions is compiled without those, all else being as it always is.

The compiler is told what YNNPACK shall compute, not what it shall not. So nothing is said on a version of JAX whose
defaults have not been looked at.
"""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import Any

import jax

from fnn.lowering.walking import multiplications

_NAME = "xla_cpu_experimental_ynn_fusion_type"
# What YNNPACK computes by default without convolutions, and from which version of JAX to before which.
_OPTIONS = MappingProxyType({_NAME: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"})
_VERSIONS = (0, 10), (0, 13)


def for_convolutions(jaxpr: Any, platform: str | None = None) -> dict[str, Any]:
    """The options for the compiler; none for a program that has no convolution: it is the same without them.

    Args:
        jaxpr: the program, such as ``jax.jit(step).trace(*arguments).jaxpr``.
        platform: what it runs on; ``None`` for what programs run on if they are not told.

    Example:
        >>> import jax.numpy as jnp
        >>> for_convolutions(jax.make_jaxpr(jnp.dot)(jnp.ones((2, 2)), jnp.ones((2, 2))))
        {}
    """
    has_one = any(eqn.primitive.name == "conv_general_dilated" for eqn in multiplications(jaxpr))
    return _options(platform or jax.default_backend()) if has_one else {}


def compiler_options() -> dict[str, Any]:
    """What to tell the compiler of a program of one's own, so that its convolutions are as quick as those of ``fit``.

    In bfloat16 ``fit`` tells it more, which a program that is to be kept on disk cannot be told.

    Returns:
        For the ``compiler_options`` of the outermost ``jax.jit``; JAX refuses them within another. Empty on a GPU or
        TPU, on a version of JAX that is newer than this library, and where ``XLA_FLAGS`` says something else about it.
        A program without convolutions is the same with them.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> model = fnn.conv(8)
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 28, 28, 1)))
        >>> forward = jax.jit(lambda x: model.apply(params, state, x)[0], compiler_options=compiler_options())
        >>> forward(jnp.ones((5, 28, 28, 1))).shape
        (5, 28, 28, 8)
    """
    return _options(jax.default_backend())


def _options(platform: str) -> dict[str, Any]:
    begin, end = _VERSIONS
    is_known = begin <= jax.__version_info__ < end
    is_theirs = _NAME in os.environ.get("XLA_FLAGS", "")
    return dict(_OPTIONS) if platform == "cpu" and is_known and not is_theirs else {}
