"""The two as operations of JAX.

Beside each stands another form of it. That is what is differentiated, and carried out where the code does not apply: on
other platforms, mapped over several (``jax.vmap``), and in a program that is exported. (Another process that loads a
program compiled here, by ``jax.experimental.serialize_executable``, does not have the code that it calls.)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import jax
from jax.extend import core
from jax.interpreters import ad, batching, mlir

from fnn.kernels import backward, forward
from fnn.kernels.geometry import Geometry
from fnn.kernels.machine import vectors
from fnn.kernels.making import Kernel, being_made

Reference = Any  # Callable[[Any, Any, Geometry], Any] that can be hashed
_ad: Any = ad  # JAX leaves these without types
_shape_of: Any = jax.ShapeDtypeStruct


def convolution(x: Any, w: Any, geometry: Geometry, reference: Reference) -> Any:
    """The convolution of images with a window; ``None`` where there is no code for it, or none that is fast.

    Args:
        x: float32 or bfloat16, of shape ``geometry.x_shape``.
        w: of the same dtype, of shape ``geometry.w_shape``.
        geometry: how the window moves.
        reference: the same by other operations, a function that can be hashed.

    Returns:
        Of the same dtype, of shape ``geometry.y_shape``.
    """
    return _bound(_convolution, forward, x, w, geometry, reference)


def can_convolve(geometry: Geometry, dtype: Any) -> bool:
    """Whether there is code for the convolution of images and a window of a dtype."""
    on = vectors()
    return on is not None and forward.plan(geometry, dtype, on) is not None


def window_gradient(x: Any, g: Any, geometry: Geometry, reference: Reference) -> Any:
    """The gradient of the window of a convolution; ``None`` where there is no code for it, or none that is fast.

    Args:
        x: the images, float32 or bfloat16, of shape ``geometry.x_shape``.
        g: the gradient of what came out, of the same dtype, of shape ``geometry.y_shape``.
        geometry: how the window moved.
        reference: the same by other operations, a function that can be hashed.

    Returns:
        Of the same dtype, of shape ``geometry.w_shape``.
    """
    return _bound(_window_gradient, backward, x, g, geometry, reference)


def _bound(primitive: Any, kernel: Kernel, x: Any, other: Any, geometry: Geometry, reference: Reference) -> Any:
    on = vectors()
    plan = None if on is None or x.dtype != other.dtype else kernel.plan(geometry, x.dtype, on)
    if on is None or plan is None:
        return None
    try:
        being_made(kernel, plan, on)  # begins, while JAX traces what follows
    except RuntimeError:  # Python is about to end, and starts no threads any more
        return None
    return primitive.bind(x, other, geometry=geometry, reference=reference)


def _name(being_made: Future[str]) -> str | None:
    """What XLA knows the code by; ``None`` where it could not be made, such as by an LLVM of another kind."""
    try:
        return being_made.result()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        what = f"fnn: no machine code could be made for a convolution, XLA computes it ({reason})"
        warnings.warn(what, stacklevel=2)
        return None


def _operation(name: str, kernel: Kernel, shape_of: Callable[[Geometry], tuple[int, ...]]) -> Any:
    primitive: Any = core.Primitive(name)

    def abstract(x: Any, other: Any, *, geometry: Geometry, reference: Reference) -> Any:
        return x.update(shape=shape_of(geometry), weak_type=False)

    @partial(jax.jit, static_argnames=("geometry", "reference"))
    def compiled(x: Any, other: Any, *, geometry: Geometry, reference: Reference) -> Any:
        return primitive.bind(x, other, geometry=geometry, reference=reference)

    def computed(*given: Any, **params: Any) -> Any:
        config: Any = jax.config
        return (by_reference if config.jax_disable_jit else compiled)(*given, **params)

    def by_reference(x: Any, other: Any, *, geometry: Geometry, reference: Reference) -> Any:
        return reference(x, other, geometry)

    def differentiated(primals: Any, tangents: Any, **params: Any) -> Any:
        slopes = tuple(_ad.instantiate_zeros(tangent) for tangent in tangents)
        return jax.jvp(partial(by_reference, **params), tuple(primals), slopes)

    def transposed(slope: Any, x: Any, other: Any, **params: Any) -> Any:
        """Of what is linear in the one or in the other."""
        if _ad.is_undefined_primal(x):
            linear, of = (lambda x: by_reference(x, other, **params)), x.aval
        else:
            linear, of = (lambda other: by_reference(x, other, **params)), other.aval
        if isinstance(slope, ad.Zero):
            found = ad.Zero(of)
        else:
            (found,) = jax.linear_transpose(linear, _shape_of(of.shape, of.dtype))(slope)
        return (found, None) if _ad.is_undefined_primal(x) else (None, found)

    def mapped(given: Any, axes: Any, **params: Any) -> Any:
        return jax.vmap(partial(by_reference, **params), axes)(*given), 0

    def by_code(x: Any, other: Any, *, geometry: Geometry, reference: Reference) -> Any:
        on = vectors()
        plan = None if on is None else kernel.plan(geometry, x.dtype, on)
        target = None if on is None or plan is None else _name(being_made(kernel, plan, on))
        if plan is None or target is None:
            return reference(x, other, geometry)
        call: Any = jax.ffi.ffi_call(target, _shape_of(plan.shape, plan.dtypes[2]))
        return plan.finished(call(*plan.prepared(x, other)))

    with_code, without = (mlir.lower_fun(form, multiple_results=False) for form in (by_code, by_reference))

    def lowered(ctx: Any, *given: Any, **params: Any) -> Any:
        is_written_to_a_file = ctx.module_context.lowering_parameters.for_export
        return (without if is_written_to_a_file else with_code)(ctx, *given, **params)

    primitive.def_abstract_eval(abstract)
    primitive.def_impl(computed)
    _ad.primitive_jvps[primitive] = differentiated
    _ad.primitive_transposes[primitive] = transposed
    batching.primitive_batchers[primitive] = mapped
    mlir.register_lowering(primitive, without)
    mlir.register_lowering(primitive, lowered, platform="cpu")
    return primitive


_convolution = _operation("fnn_convolution", forward, lambda geometry: geometry.y_shape)
_window_gradient = _operation("fnn_window_gradient", backward, lambda geometry: geometry.w_shape)

OPERATIONS = _convolution, _window_gradient
"""Their parameter ``geometry`` is that of the convolution."""
