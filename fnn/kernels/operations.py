"""The two as operations of JAX.

Beside each stands another form of it. That is what is differentiated, and carried out where the code does not apply: on
other platforms, mapped over several (``jax.vmap``), and in a program that is written to a file.
"""

from __future__ import annotations

from collections.abc import Callable
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
    being_made(kernel, plan, on)  # begins, while JAX traces what follows
    return primitive.bind(x, other, geometry=geometry, reference=reference)


def _operation(name: str, kernel: Kernel, shape_of: Callable[[Geometry], tuple[int, ...]]) -> Any:
    primitive: Any = core.Primitive(name)

    def abstract(x: Any, other: Any, *, geometry: Geometry, reference: Reference) -> Any:
        return x.update(shape=shape_of(geometry), weak_type=False)

    def compiled(*given: Any, **params: Any) -> Any:
        return jax.jit(partial(primitive.bind, **params))(*given)

    def by_reference(x: Any, other: Any, *, geometry: Geometry, reference: Reference) -> Any:
        return reference(x, other, geometry)

    def differentiated(primals: Any, tangents: Any, **params: Any) -> Any:
        slopes = tuple(_ad.instantiate_zeros(tangent) for tangent in tangents)
        return jax.jvp(partial(by_reference, **params), tuple(primals), slopes)

    def mapped(given: Any, axes: Any, **params: Any) -> Any:
        return jax.vmap(partial(by_reference, **params), axes)(*given), 0

    def by_code(x: Any, other: Any, *, geometry: Geometry, reference: Reference) -> Any:
        on = vectors()
        plan = None if on is None else kernel.plan(geometry, x.dtype, on)
        if on is None or plan is None:
            return reference(x, other, geometry)
        call: Any = jax.ffi.ffi_call(being_made(kernel, plan, on).result(), _shape_of(plan.shape, plan.dtypes[2]))
        return plan.finished(call(*plan.prepared(x, other)))

    with_code, without = (mlir.lower_fun(form, multiple_results=False) for form in (by_code, by_reference))

    def lowered(ctx: Any, *given: Any, **params: Any) -> Any:
        is_written_to_a_file = ctx.module_context.lowering_parameters.for_export
        return (without if is_written_to_a_file else with_code)(ctx, *given, **params)

    primitive.def_abstract_eval(abstract)
    primitive.def_impl(compiled)
    _ad.primitive_jvps[primitive] = differentiated
    batching.primitive_batchers[primitive] = mapped
    mlir.register_lowering(primitive, without)
    mlir.register_lowering(primitive, lowered, platform="cpu")
    return primitive


_convolution = _operation("fnn_convolution", forward, lambda geometry: geometry.y_shape)
_window_gradient = _operation("fnn_window_gradient", backward, lambda geometry: geometry.w_shape)

OPERATIONS = _convolution, _window_gradient
"""Their parameter ``geometry`` is that of the convolution."""
