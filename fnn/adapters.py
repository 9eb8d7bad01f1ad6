"""Models written with Flax Linen, Flax NNX or Equinox, as :class:`fnn.Model`: two pure functions and plain dicts.

Nothing is inspected: how a module wants to be called, its user says with ``call``. Errors of the module's own code come
as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from fnn.errors import InputError, expect
from fnn.layers.lift import compiled_init
from fnn.types import KeyArray, Model, Params, State, is_key, spec

FlaxCall: TypeAlias = Callable[[Any, Any, bool], Any]
"""``(module, x, train) -> y``: how a Flax module is called."""

EquinoxCall: TypeAlias = Callable[[Any, Any, Any, Any], tuple[Any, Any]]
"""``(module, state, x, key) -> (y, state)`` for one example: how an Equinox module is called."""


def from_linen(module: Any, *, call: FlaxCall = lambda module, x, train: module(x)) -> Model:
    """A ``flax.linen.Module`` as a model.

    Its collection ``"params"`` becomes the parameters, all other collections (``"batch_stats"``) the state, which is
    updated in training only. Every stream of random numbers (``"dropout"``) is served from ``key``. What is sown is not
    kept: tuples that a second call makes longer.

    Args:
        module: the module; where its shapes depend on the input, ``init`` finds out.
        call: ``(module, x, train) -> y``; by default ``module(x)``.

    Raises:
        InputError: ``module`` is no Linen module (a class, for instance); in use, it draws random numbers and there is
            no ``key``, or a call changes the structure of the state.

    Example:
        >>> from flax import linen as nn
        >>> net = nn.Sequential([nn.Dense(8), nn.relu, nn.Dropout(0.5, deterministic=False), nn.Dense(2)])
        >>> model = from_linen(net)
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 3)))
        >>> jax.tree.map(jnp.shape, params["layers_0"])
        {'bias': (8,), 'kernel': (3, 8)}

        A module that asks whether it is being trained:

        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train):
        ...         return nn.Dense(2)(nn.BatchNorm(use_running_average=not train)(x))
        >>> model = from_linen(Net(), call=lambda net, x, train: net(x, train))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 3)))
        >>> list(state)
        ['batch_stats']
    """
    from flax import linen
    from flax.errors import InvalidRngError

    got = f"the class {module.__name__}" if isinstance(module, type) else type(module).__name__
    expect(isinstance(module, linen.Module), "from_linen", "a flax.linen.Module", got)

    def call_twice(module: Any, x: Any, train: bool) -> Any:
        call(module, x, train)
        return call(module, x, train)

    @compiled_init
    def init(key: KeyArray, x: Any) -> tuple[Params, State]:
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), spec(x))

        def variables(call: FlaxCall) -> Any:
            return _plain(linen.meta.unbox(module.init(_streams(key), zeros, False, method=call)))

        first = variables(call)
        state = _without_sown(_without_params(first), lambda: variables(call_twice))
        return first.get("params", {}), _strong(state)

    def apply(
        params: Params, state: State, x: Any, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]:
        rngs = {} if key is None else _streams(key)
        # Each of the state's collections may change, and no other is returned.
        run = partial(
            module.apply, {"params": params, **state}, x, train, rngs=rngs, mutable=list(state) if train else []
        )
        try:
            y, changed = run(method=call)
        except InvalidRngError as error:
            if key is None:
                raise _key_error("from_linen") from None
            raise error
        new = {**state, **_plain(changed)}
        structure: Any = jax.tree.structure(state)
        if structure != jax.tree.structure(new):
            new = {**state, **_without_sown(_plain(changed), lambda: _plain(run(method=call_twice)[1]))}
        return y, _like("from_linen", state, new)

    return Model(init, apply, type(module).__name__.lower())


def from_nnx(make: Callable[[Any], Any], *, call: FlaxCall = lambda module, x, train: module(x)) -> Model:
    """A ``flax.nnx.Module`` as a model.

    Its ``nnx.Param`` become the parameters; all other variables, such as running means, the state, which is updated in
    training only. Streams of random numbers are seeded anew from ``key`` for each call and kept nowhere; without a key,
    which outside of training is allowed, a module that draws all the same draws the same numbers each time.
    ``module.train()`` and ``module.eval()`` are called as ``train`` says.

    Args:
        make: ``(rngs: nnx.Rngs) -> module``. ``lambda rngs: module`` keeps the numbers of a module that exists.
        call: ``(module, x, train) -> y``; by default ``module(x)``.

    Raises:
        InputError: ``make`` is a module, or does not give one; in use, parameters of other names or shapes, or
            training without a ``key`` for a module that draws random numbers.

    Example:
        >>> from flax import nnx
        >>> def make(rngs):
        ...     return nnx.Sequential(nnx.Linear(3, 8, rngs=rngs), nnx.relu, nnx.Linear(8, 2, rngs=rngs))
        >>> model = from_nnx(make)
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 3)))
        >>> params["layers"]["00"]["kernel"].shape
        (3, 8)
        >>> model.apply(params, state, jnp.ones((5, 3)))[0].shape
        (5, 2)
    """
    from flax import nnx

    wanted = "a function of nnx.Rngs that makes the module"
    expect(callable(make) and not isinstance(make, nnx.Module), "from_nnx", wanted, type(make).__name__)

    def build(key: KeyArray) -> Any:
        module = make(nnx.Rngs(key))
        expect(isinstance(module, nnx.Module), "from_nnx", f"{wanted} (an nnx.Module)", type(module).__name__)
        return module

    def read(module: Any) -> dict[tuple[Any, ...], Any]:
        return dict(nnx.to_flat_state(nnx.state(module)))

    def value(leaf: Any) -> Any:
        return leaf.get_value() if isinstance(leaf, nnx.Variable) else leaf

    abstract = nnx.eval_shape(build, jax.random.key(0))
    variables, graph = read(abstract), nnx.graphdef(abstract)
    of_rngs = {path: leaf for path, leaf in variables.items() if isinstance(leaf, nnx.RngState)}
    counts = [path for path, leaf in of_rngs.items() if isinstance(leaf, nnx.RngCount)]
    of_params = {path: leaf for path, leaf in variables.items() if isinstance(leaf, nnx.Param)}
    of_state = {path: leaf for path, leaf in variables.items() if path not in of_rngs and path not in of_params}
    param_layout, state_layout = (_layout(v.items()) for v in (of_params, of_state))

    def init(key: KeyArray, x: Any) -> tuple[Params, State]:
        found = read(build(key))
        params, state = ([value(found[path]) for path in paths] for paths in (of_params, of_state))
        return param_layout.nest(params), _strong(state_layout.nest(state))

    def apply(
        params: Params, state: State, x: Any, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]:
        values = dict(zip(of_params, param_layout.pick("from_nnx", "params", params), strict=True))
        values |= zip(of_state, state_layout.pick("from_nnx", "state", state), strict=True)
        seed = jax.random.key(0) if key is None else key
        for number, (path, leaf) in enumerate(of_rngs.items()):
            zero = path in counts
            values[path] = jnp.zeros(leaf.shape, leaf.dtype) if zero else _draw_keys(seed, number, leaf.shape)
        filled = [
            (p, leaf.replace(values[p]) if isinstance(leaf, nnx.Variable) else values[p])
            for p, leaf in variables.items()
        ]
        # A copy, because variables are changed in place, and graph and leaves serve for each call.
        module = nnx.merge(graph, nnx.from_flat_state(filled), copy=True)
        if train:
            module.train()
        else:
            module.eval()
        y = call(module, x, train)
        after = read(module)
        if train and key is None and any(value(after[path]) is not values[path] for path in counts):
            raise _key_error("from_nnx")
        missing = [path for path in of_state if path not in after]
        expect(not missing, "from_nnx", "a call to keep the state", f"a call that removed {missing}")
        new = state_layout.nest([value(after[path]) for path in of_state]) if train else state
        return y, _like("from_nnx", state, new)

    return Model(init, apply, type(abstract).__name__.lower())


def from_equinox(
    make: Callable[[KeyArray], Any], *, call: EquinoxCall = lambda module, state, x, key: (module(x), state)
) -> Model:
    """An ``equinox.Module``, which computes one example, as a model, which computes a batch.

    Its floating-point JAX arrays become the parameters, its other JAX arrays and its ``equinox.nn.State`` the state,
    which is updated in training only; NumPy arrays are constants. Over the examples it is mapped by ``jax.vmap`` with
    ``axis_name="batch"``, the name to give to ``equinox.nn.BatchNorm``; each example has a key of its own.
    ``equinox.nn.inference_mode`` is set as ``train`` says. Needs the package equinox.

    Args:
        make: ``(key) -> module``. ``lambda key: module`` keeps the numbers of a module that exists.
        call: ``(module, state, x, key) -> (y, state)`` for one example. By default ``module(x)``, the state as it was.
            For dropout, ``lambda module, state, x, key: (module(x, key=key), state)``; for layers with state,
            ``lambda module, state, x, key: module(x, state, key=key)``.

    Raises:
        InputError: equinox is not installed; ``make`` is a module, or does not give one; in use, parameters of other
            names or shapes.

    Example:
        >>> import equinox
        >>> model = from_equinox(lambda key: equinox.nn.MLP(3, 2, width_size=8, depth=1, key=key))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 3)))
        >>> params["layers"]["00"]["weight"].shape
        (8, 3)
        >>> model.apply(params, state, jnp.ones((5, 3)))[0].shape
        (5, 2)
    """
    try:
        import equinox
    except ImportError:
        raise InputError("from_equinox: expected the package equinox (pip install equinox), got none") from None

    wanted = "a function of a key that makes the module"
    expect(callable(make) and not isinstance(make, equinox.Module), "from_equinox", wanted, type(make).__name__)

    def build(key: KeyArray) -> Any:
        module, state = equinox.nn.make_with_state(make)(key)
        expect(
            isinstance(module, equinox.Module), "from_equinox", f"{wanted} (an equinox.Module)", type(module).__name__
        )
        return jax.tree.map(lambda leaf: _Constant(leaf) if isinstance(leaf, np.ndarray) else leaf, module), state

    def split(module: Any, state: Any) -> tuple[Any, Any, Any]:
        """Parameters, what else is an array, and all the rest."""
        params, rest = equinox.partition(
            module, lambda leaf: _is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.inexact)
        )
        buffers, static = equinox.partition(rest, _is_array)
        return params, {"buffers": buffers, "state": state}, static

    module, module_state = equinox.filter_eval_shape(build, jax.random.key(0))
    *arrays, static = split(module, module_state)
    layouts = [_layout(jax.tree_util.tree_leaves_with_path(tree)) for tree in arrays]
    trees = [jax.tree.structure(tree) for tree in arrays]

    def init(key: KeyArray, x: Any) -> tuple[Params, State]:
        params, state = (
            layout.nest(jax.tree.leaves(tree)) for layout, tree in zip(layouts, split(*build(key))[:2], strict=True)
        )
        return params, _strong(state)

    def apply(
        params: Params, state: State, x: Any, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]:
        learned = jax.tree.unflatten(trees[0], layouts[0].pick("from_equinox", "params", params))
        kept = jax.tree.unflatten(trees[1], layouts[1].pick("from_equinox", "state", state))
        module = jax.tree.map(_without_mark, equinox.combine(learned, kept["buffers"], static))
        module = equinox.nn.inference_mode(module, value=not train)
        keys = None if key is None else jax.random.split(key, jax.tree.leaves(x)[0].shape[0])

        def one(x: Any, key: Any) -> tuple[Any, Any]:
            return call(module, kept["state"], x, key)

        in_axes = (0, None if key is None else 0)
        y, module_state = jax.vmap(one, in_axes=in_axes, out_axes=(0, None), axis_name="batch")(x, keys)
        new = {**kept, "state": module_state}
        return y, _like("from_equinox", state, layouts[1].nest(jax.tree.leaves(new)) if train else state)

    return Model(init, apply, type(module).__name__.lower())


@dataclass(frozen=True, eq=False)
class _Constant:
    """Marks a NumPy array as no parameter: where only shapes are computed, it could not be told from one."""

    value: np.ndarray


def _without_mark(leaf: Any) -> Any:
    return leaf.value if isinstance(leaf, _Constant) else leaf


@dataclass(frozen=True)
class _Layout:
    """The names and shapes of some arrays, in the order in which another library lists them."""

    names: tuple[tuple[str, ...], ...]
    shapes: tuple[tuple[int, ...], ...]

    def nest(self, leaves: Sequence[Any]) -> dict[str, Any]:
        """The arrays as nested dicts."""
        tree: dict[str, Any] = {}
        for (*folders, name), leaf in zip(self.names, leaves, strict=True):
            inner = tree
            for folder in folders:
                inner = inner.setdefault(folder, {})
            inner[name] = leaf
        return tree

    def pick(self, where: str, what: str, tree: Any) -> list[Any]:
        """The arrays out of nested dicts, all of them, no others, each of its shape."""
        found = {_parts(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        for parts, shape in zip(self.names, self.shapes, strict=True):
            got = f"shape {jnp.shape(found[parts])}" if parts in found else "none of that name"
            expect(got == f"shape {shape}", where, f"{what} with {'/'.join(parts)} of shape {shape}", got)
        foreign = sorted("/".join(parts) for parts in found.keys() - set(self.names))
        expect(not foreign, where, f"{what} with {len(self.names)} arrays", f"one more, {', '.join(foreign[:1])}")
        return [found[parts] for parts in self.names]


def _layout(leaves: Iterable[tuple[Any, Any]]) -> _Layout:
    named = [(_parts(path), tuple(leaf.shape)) for path, leaf in leaves]
    return _Layout(tuple(name for name, _ in named), tuple(shape for _, shape in named))


def _parts(path: Iterable[Any]) -> tuple[str, ...]:
    """A path of another library in words; numbers are zero-padded, because the leaves of a dict sort as text."""
    names = []
    for part in path:
        found = (getattr(part, attribute) for attribute in ("name", "key", "idx") if hasattr(part, attribute))
        name = next(found, part)
        names.append(f"{name:02d}" if isinstance(name, int) else str(name))
    return tuple(names)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)


def _strong(state: State) -> State:
    """With dtypes of their own: a weak one would turn strong in the first step, and the second compile anew."""
    return jax.tree.map(lambda leaf: _cast(leaf, leaf.dtype), state)


def _like(where: str, before: State, after: State) -> State:
    """The new state, of the structure and dtypes of the old."""
    old, new = str(jax.tree.structure(before)), str(jax.tree.structure(after))
    expect(old == new, where, f"a call to keep the state's structure {old}", new)
    return jax.tree.map(lambda leaf, update: _cast(update, leaf.dtype), before, after)


def _cast(leaf: Any, dtype: Any) -> Any:
    return leaf if is_key(leaf) else jax.lax.convert_element_type(leaf, dtype)


def _streams(key: KeyArray) -> dict[str, KeyArray]:
    """Linen takes the numbers for a stream without a key of its own from that of "params"."""
    return dict(zip(("params", "dropout"), jax.random.split(key), strict=True))


def _draw_keys(seed: KeyArray, number: int, shape: tuple[int, ...]) -> Any:
    key = jax.random.fold_in(seed, number)
    return jax.random.split(key, shape) if shape else key


def _without_sown(variables: dict[str, Any], of_two_calls: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Without the tuples in which Linen gathers what is sown, and without collections in which there is no more.

    A module may declare tuples as well; only what is sown a second call makes longer.
    """
    if not any(map(_is_tuple, jax.tree.leaves(variables, is_leaf=_is_tuple))):
        return variables
    return _of_one_length(variables, jax.eval_shape(of_two_calls))


def _of_one_length(once: dict[str, Any], twice: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, inner in once.items():
        if isinstance(inner, dict):
            rest = _of_one_length(inner, twice[name])
            if rest or not inner:
                kept[name] = rest
        elif not _is_tuple(inner) or len(inner) == len(twice[name]):
            kept[name] = inner
    return kept


def _is_tuple(leaf: Any) -> bool:
    return isinstance(leaf, tuple)


def _without_params(variables: Any) -> dict[str, Any]:
    return {name: collection for name, collection in variables.items() if name != "params"}


def _plain(tree: Any) -> Any:
    """Mappings of Flax as dicts."""
    return {name: _plain(inner) for name, inner in tree.items()} if hasattr(tree, "items") else tree


def _key_error(where: str) -> InputError:
    return InputError(f"{where}: expected key=... because the module draws random numbers, got key=None")
