"""Parts of the parameters, chosen by path: what is frozen, decayed, trained at its own rate, or taken over.

The path of a parameter is the names that lead to it, joined by slashes: ``"00_dense/w"``. A pattern is matched against
the whole path; ``*`` stands for anything, slashes included, ``?`` for one character, ``[ab]`` for one of several.
A pattern that matches nothing is refused, because a mistyped one would silently freeze nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import jax
import optax

from fnn.errors import InputError, expect
from fnn.types import Params


def paths(params: Params) -> list[str]:
    """The path of every parameter, in the order of ``jax.tree.leaves``.

    Example:
        >>> paths({"00_dense": {"w": 1.0, "b": 2.0}})
        ['00_dense/b', '00_dense/w']
    """
    return [_path(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(params)]


def path_mask(*patterns: str) -> Callable[[Params], Any]:
    """A mask for Optax: true for the parameters whose path matches any of ``patterns``.

    Args:
        *patterns: such as ``"*/w"`` for all weights, ``"00_*"`` for the first layer.

    Returns:
        ``params -> pytree of bool``, as ``optax.adamw(mask=...)`` and ``optax.masked`` take it.

    Raises:
        InputError: in use, a pattern matches no parameter.

    Example:
        >>> path_mask("*/w")({"00_dense": {"w": 1.0, "b": 2.0}})
        {'00_dense': {'b': False, 'w': True}}
    """

    def mask(params: Params) -> Any:
        _check_used("path_mask", patterns, params)
        return _map(lambda path, _: _matches(path, patterns), params)

    return mask


def freeze(optimizer: optax.GradientTransformation, *patterns: str) -> optax.GradientTransformation:
    """``optimizer`` for all parameters but those whose path matches: these stay as they are, bit for bit.

    Neither weight decay nor momentum reaches them, and they need no optimizer state. Their gradient is still computed.

    Args:
        optimizer: what trains the rest.
        *patterns: what is frozen, such as ``"00_*"`` for the first layer.

    Raises:
        InputError: in use, a pattern matches no parameter.

    Source: deck "Backpropagation algorithm and auto-encoders": lower layers trained before, only the upper ones here.

    Example:
        >>> import numpy as np
        >>> params = {"00_dense": {"w": np.ones(1, np.float32)}, "02_dense": {"w": np.ones(1, np.float32)}}
        >>> optimizer = freeze(optax.sgd(0.5), "00_*")
        >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
        >>> jax.tree.map(float, jax.tree.map(np.sum, updates))
        {'00_dense': {'w': 0.0}, '02_dense': {'w': -0.5}}
    """

    def labels(params: Params) -> Any:
        _check_used("freeze", patterns, params)
        return _map(lambda path, _: "frozen" if _matches(path, patterns) else "trained", params)

    return optax.partition({"frozen": optax.set_to_zero(), "trained": optimizer}, labels)


def by_path(optimizers: Mapping[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """An optimizer for each part: a parameter gets that of the first pattern which matches its path.

    Args:
        optimizers: pattern to optimizer; every parameter must match one, so that ``"*"`` often comes last.

    Returns:
        ``optax.partition`` with the labels made from the paths.

    Raises:
        InputError: in use, a pattern matches no parameter, or a parameter matches none.

    Example:
        Fine-tuning: the first layer learns 100 times more slowly.

        >>> import numpy as np
        >>> optimizer = by_path({"00_*": optax.sgd(1e-4), "*": optax.sgd(1e-2)})
        >>> params = {"00_dense": {"w": np.ones(1, np.float32)}, "02_dense": {"w": np.ones(1, np.float32)}}
        >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
        >>> round(float(updates["02_dense"]["w"][0] / updates["00_dense"]["w"][0]))
        100
    """
    patterns = tuple(optimizers)

    def label(path: str) -> str:
        found = [pattern for pattern in patterns if fnmatchcase(path, pattern)]
        expect(bool(found), "by_path", f"a pattern for every parameter, among {list(patterns)}", f"none for {path}")
        return found[0]

    def labels(params: Params) -> Any:
        _check_used("by_path", patterns, params)
        return _map(lambda path, _: label(path), params)

    return optax.partition(dict(optimizers), labels)


def take_over(params: Params, trained: Params, *patterns: str) -> Params:
    """``params`` with the parameters whose path matches replaced by those of ``trained``, such as pre-trained layers.

    Args:
        params: what a new model was given by ``init``.
        trained: the parameters of another model that has these paths; what else it has is left.
        *patterns: what is taken over.

    Returns:
        New parameters of the structure of ``params``.

    Raises:
        InputError: a pattern matches no parameter, or ``trained`` lacks one or has it with another shape or dtype.

    Example:
        >>> import numpy as np
        >>> new = {"00_dense": {"w": np.zeros(2)}, "02_dense": {"w": np.zeros(3)}}
        >>> old = {"00_dense": {"w": np.ones(2)}, "02_dense": {"w": np.ones(9)}}
        >>> jax.tree.map(np.sum, take_over(new, old, "00_*"))
        {'00_dense': {'w': np.float64(2.0)}, '02_dense': {'w': np.float64(0.0)}}
    """
    _check_used("take_over", patterns, params)
    source = {_path(keys): leaf for keys, leaf in jax.tree_util.tree_leaves_with_path(trained)}

    def choose(path: str, leaf: Any) -> Any:
        if not _matches(path, patterns):
            return leaf
        if path not in source:
            raise InputError(f"take_over: expected {path} in the trained parameters, got {sorted(source)}")
        new = source[path]
        expect(
            new.shape == leaf.shape and new.dtype == leaf.dtype,
            "take_over",
            f"{path} of shape {leaf.shape}, {leaf.dtype}",
            f"shape {new.shape}, {new.dtype}",
        )
        return new

    return _map(choose, params)


def _path(keys: Any) -> str:
    return jax.tree_util.keystr(keys, simple=True, separator="/")


def _map(function: Callable[[str, Any], Any], params: Params) -> Any:
    return jax.tree_util.tree_map_with_path(lambda keys, leaf: function(_path(keys), leaf), params)


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _check_used(name: str, patterns: tuple[str, ...], params: Params) -> None:
    present = paths(params)
    for pattern in patterns:
        used = any(fnmatchcase(path, pattern) for path in present)
        expect(used, name, f"a pattern that matches one of {present}", repr(pattern))
