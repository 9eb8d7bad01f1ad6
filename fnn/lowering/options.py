"""What the compiler is told of a program, by what the program computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fnn.lowering.onednn import for_bfloat16
from fnn.lowering.ynnpack import for_convolutions


class Options(NamedTuple):
    """How to compile a program.

    Attributes:
        given: for the ``compiler_options`` of ``jax.jit``, as pairs; empty for a program like any other.
        is_kept: whether XLA can write down what comes of it, for the folder of compiled programs.
    """

    given: tuple[tuple[str, Any], ...]
    is_kept: bool


def options_for(jaxpr: Any) -> Options:
    """The options for a program, on this machine.

    Args:
        jaxpr: the program, such as ``jax.jit(step).trace(*arguments).jaxpr``.

    Example:
        >>> import jax
        >>> options_for(jax.make_jaxpr(jax.numpy.sin)(0.0))
        Options(given=(), is_kept=True)
    """
    of_onednn: Mapping[str, Any] = for_bfloat16(jaxpr)
    return Options(tuple({**for_convolutions(jaxpr), **of_onednn}.items()), not of_onednn)
