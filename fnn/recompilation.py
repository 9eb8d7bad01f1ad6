"""What makes a compiled function compile again: every compilation costs seconds, and should be one's own wish."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import jax

P = ParamSpec("P")
T = TypeVar("T")

_Signature = Mapping[str, str]
"""What a program was compiled for: a text for every leaf of the arguments, by path, and for their structure."""


class RecompilationWarning(UserWarning):
    """A function that had been compiled was compiled again; the text says which argument was new."""


def report_recompiles(function: Callable[P, T], name: str | None = None, **jit_options: Any) -> Callable[P, T]:
    """``jax.jit(function)``, with a :class:`RecompilationWarning` for each compilation after the first.

    The warning names each leaf of the arguments whose shape, dtype or weak type is new, or the argument whose structure
    is, compared with the most similar call that has a program. For a loop of one's own around :func:`fnn.make_step`;
    :func:`fnn.fit` compiles its step once. A compilation for another device or sharding alone is not seen. Calls from
    within another compiled function are part of its program, and not reported.

    Args:
        function: what is compiled.
        name: what the warning calls it; ``None`` for its own name.
        **jit_options: those of ``jax.jit``, such as ``static_argnames`` or ``donate_argnums``.

    Example:
        A last batch that is smaller.

        >>> import numpy as np
        >>> mean = report_recompiles(lambda batch: batch["x"].mean(), "mean")
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     for n in (32, 32, 7, 32):
        ...         _ = mean({"x": np.ones((n, 3), np.float32)})
        >>> for warning in caught:
        ...     print(warning.message)
        mean was compiled again: batch['x'] from float32[32,3] to float32[7,3]
    """
    label = name or getattr(function, "__name__", type(function).__name__)
    signature = inspect.signature(function)
    static = _static_names(signature, jit_options)
    traced: list[bool] = []  # whether the call under way had to be traced, and so compiled
    known: list[_Signature] = []

    @wraps(function)
    def trace(*args: P.args, **kwargs: P.kwargs) -> T:
        traced.append(True)
        return function(*args, **kwargs)

    compiled = jax.jit(trace, **jit_options)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, kwargs))):
            return cast(T, compiled(*args, **kwargs))
        traced.clear()
        result = cast(T, compiled(*args, **kwargs))
        if traced:
            # Donated arrays have lost their numbers by now, not their shapes.
            new = _describe(signature.bind(*args, **kwargs).arguments, static)
            if known:
                # The latest of the most similar ones.
                changes = min((_changes(old, new) for old in reversed(known)), key=len)
                text = "; ".join(changes) or "none of its arguments changed, but JAX's settings or caches did"
                warnings.warn(f"{label} was compiled again: {text}", RecompilationWarning, stacklevel=2)
            known.append(new)
        return result

    return call


def _static_names(signature: inspect.Signature, options: Mapping[str, Any]) -> set[str]:
    numbers, names = options.get("static_argnums") or (), options.get("static_argnames") or ()
    numbers = (numbers,) if isinstance(numbers, int) else numbers
    own = list(signature.parameters)
    return {own[number] for number in numbers} | ({names} if isinstance(names, str) else set(names))


def _describe(arguments: Mapping[str, Any], static: set[str]) -> _Signature:
    described = {}
    for argument, value in arguments.items():
        if argument in static:
            described[argument] = f"the static {value!r}"
            continue
        leaves, structure = jax.tree_util.tree_flatten_with_path(value)
        described[f"the structure of {argument}"] = str(structure)
        for path, leaf in leaves:
            described[argument + jax.tree_util.keystr(path)] = _kind(leaf)
    return described


def _kind(leaf: Any) -> str:
    aval = jax.typeof(leaf)
    text = f"{getattr(aval, 'dtype', aval)}[{','.join(map(str, getattr(aval, 'shape', ())))}]"
    return f"weakly typed {text}" if getattr(aval, "weak_type", False) else text


def _changes(old: _Signature, new: _Signature) -> list[str]:
    changes = [f"{path} from {old[path]} to {new[path]}" for path in new if path in old and old[path] != new[path]]
    changes += [f"{path} is new" for path in new if path not in old]
    return changes + [f"{path} is gone" for path in old if path not in new]
