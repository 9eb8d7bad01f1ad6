"""Mixed precision: parameters are kept and updated in float32, the model is computed in fewer bits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnn.errors import expect
from fnn.types import KeyArray, Model, Params, State, spec


def mixed_precision(model: Model, dtype: Any = jnp.bfloat16) -> Model:
    """``model`` computed in bfloat16, with everything that lasts in float32.

    Parameters and floating-point inputs are rounded to ``dtype`` for each call, outputs are brought back to float32, so
    that the loss is a float32 number. Rounding is transposed to the other direction by differentiation: gradients
    arrive in float32, and so the optimizer's state and its updates are float32 too; a small update is not rounded away.
    The state (running statistics) goes in and comes out as it is kept, and normalisation computes its means and
    variances in float32 by itself. Integers (tokens, counters) and keys are left alone.

    bfloat16 has the exponents of float32 and 8 significant bits: no loss has to be scaled. It pays where the machine
    multiplies bfloat16 fast: on accelerators, and on CPUs with instructions for it (AVX512-BF16, AMX), for which
    :func:`fnn.fit` takes oneDNN's kernels if JAX has them (0.12 has, 0.10 has not). Such a program is compiled anew in
    each process, because XLA cannot keep it. Other CPUs may well be slower than in float32.
    Layers of this library add up gradients over examples and places in float32. (With JAX 0.12 on a CPU one sum is
    beyond their reach: in the weights of a product over sequences, 1 percent and more are lost, growing with
    their length: a tenth for an LSTM over 400 places.) Where convolutions with windows of 3 x 3 are computed by fewer
    multiplications (:func:`fnn.canonical`), the factors are sums of numbers, rounded to bfloat16 once more.

    Args:
        model: any model: layers, :func:`fnn.serial`, or an adapted module. One that asks for a dtype of its own (Flax's
            ``dtype=``) is computed in that.
        dtype: ``jnp.bfloat16``; ``jnp.float32`` computes as before, for a comparison.

    Returns:
        A model with the same parameters, state and name. Its layers, if known, are computed alike, one by one.

    Raises:
        InputError: another ``dtype``. The gradients of float16 vanish below 6e-8 and would need a scaled loss.

    Source: P. Micikevicius et al., "Mixed precision training", ICLR 2018; D. Kalamkar et al., "A study of BFLOAT16 for
    deep learning training", arXiv:1905.12322 (2019).

    Example:
        >>> from fnn import dense
        >>> model = mixed_precision(dense(1))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 2)))
        >>> params["w"].dtype
        dtype('float32')
        >>> y, _ = model.apply({"w": jnp.array([[1.001], [0.0]]), "b": jnp.zeros(1)}, state, jnp.ones((1, 2)))
        >>> y.dtype, float(y[0, 0])
        (dtype('float32'), 1.0)
    """
    computed = jnp.dtype(dtype)
    needs = "bfloat16 or float32" + (" (float16 needs a scaled loss)" if computed == jnp.float16 else "")
    expect(computed in (jnp.bfloat16, jnp.float32), "mixed_precision", f"dtype {needs}", str(computed))

    def init(key: KeyArray, x: Any) -> tuple[Params, State]:
        return model.init(key, jax.eval_shape(lambda tree: _rounded(tree, jnp.float32), spec(x)))

    def apply(
        params: Params, state: State, x: Any, *, key: KeyArray | None = None, train: bool = False
    ) -> tuple[Any, State]:
        y, new = model.apply(_rounded(params, computed), state, _rounded(x, computed), key=key, train=train)
        structures: list[Any] = [jax.tree.structure(tree) for tree in (new, state)]
        if structures[0] == structures[1]:
            new = jax.tree.map(_like, new, state)
        return _rounded(y, jnp.float32), new

    # Layer by layer gives the same numbers as the whole: from bfloat16 to float32 and back nothing changes.
    layers = tuple((label, mixed_precision(layer, computed)) for label, layer in model.layers)
    return Model(init, apply, model.name, layers)


def _rounded(tree: Any, dtype: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if _is_floating(leaf) else leaf, tree)


def _like(new: Any, old: Any) -> Any:
    return jnp.asarray(new, old.dtype) if _is_floating(new) and _is_floating(old) else new


def _is_floating(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
