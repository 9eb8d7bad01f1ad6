"""The kernels as operations of JAX.

Beside each stands another form of it. That is what is differentiated, and carried out where the code does not apply: on
other platforms, mapped over several (``jax.vmap``), and in a program that is exported. (Another process that loads a
program compiled here, by ``jax.experimental.serialize_executable``, does not have the code that it calls. What looks
into a program knows nothing of them: ``checkify`` looks for no NaN that they make, ``jet`` and ``cost_analysis`` have
no rule for them, and :mod:`verify` proves nothing of a function that :func:`fnn.canonical` has rewritten: give these
the function itself.)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import jax
from jax.extend import core
from jax.interpreters import ad, batching, mlir

from fnn.kernels import backward, forward, inner, product, winograd_backward, winograd_forward
from fnn.kernels.factors import Factors
from fnn.kernels.geometry import Geometry
from fnn.kernels.machine import vectors
from fnn.kernels.making import Kernel, being_made
from fnn.kernels.plan import Sizes

Reference = Any  # Callable[[Any, Any, Sizes], Any] that can be hashed, and equals what does the same
_undivided: ContextVar[bool] = ContextVar("undivided", default=False)
_ad: Any = ad  # JAX leaves these without types
_shape_of: Any = jax.ShapeDtypeStruct


def convolution(x: Any, w: Any, geometry: Geometry, reference: Reference, *, is_direct: bool = False) -> Any:
    """The convolution of images with a window; ``None`` where there is no code for it, or none that is fast.

    Args:
        x: float32 or bfloat16, of shape ``geometry.x_shape``.
        w: of the same dtype, of shape ``geometry.w_shape``.
        geometry: how the window moves.
        reference: the same by other operations, a function that can be hashed.
        is_direct: whether only what has been asked for is to be multiplied, not combinations of it.

    Returns:
        Of the same dtype, of shape ``geometry.y_shape``.
    """
    found = None if is_direct else _bound(_winograd_convolution, winograd_forward, x, w, geometry, reference)
    return _bound(_convolution, forward, x, w, geometry, reference) if found is None else found


def can_convolve(geometry: Geometry, dtype: Any) -> bool:
    """Whether there is code for the convolution of images and a window of a dtype."""
    return any(_has_plan(kernel, geometry, dtype) for kernel in (winograd_forward, forward))


def window_gradient(x: Any, g: Any, geometry: Geometry, reference: Reference, *, is_direct: bool = False) -> Any:
    """The gradient of the window of a convolution; ``None`` where there is no code for it, or none that is fast.

    Args:
        x: the images, float32 or bfloat16, of shape ``geometry.x_shape``.
        g: the gradient of what came out, of the same dtype, of shape ``geometry.y_shape``.
        geometry: how the window moved.
        reference: the same by other operations, a function that can be hashed.
        is_direct: as for :func:`convolution`.

    Returns:
        Of the same dtype, of shape ``geometry.w_shape``.
    """
    found = None if is_direct else _bound(_winograd_window_gradient, winograd_backward, x, g, geometry, reference)
    return _bound(_window_gradient, backward, x, g, geometry, reference) if found is None else found


def matrix_product(a: Any, b: Any, factors: Factors, reference: Reference, after: Sequence[Any] = ()) -> Any:
    """The product of two matrices; ``None`` where there is no code for it, or none that is fast.

    Args:
        a: float32, of shape ``factors.left_shape``.
        b: of the same dtype, of shape ``factors.right_shape``.
        factors: their sizes.
        reference: the same by other operations, a function that can be hashed.
        after: arrays that are to be there before.

    Returns:
        Of the same dtype, of shape ``factors.shape``.
    """
    found = _bound(_inner_products, inner, a, b, factors, reference, after)
    return _bound(_matrix_product, product, a, b, factors, reference, after) if found is None else found


def can_multiply(factors: Factors, dtype: Any) -> bool:
    """Whether there is code for the product of two matrices of a dtype."""
    return _has_plan(product, factors, dtype)  # which there is wherever there is one of ``inner``


@contextmanager
def undivided() -> Iterator[None]:
    """Matrix products in programs that are traced or compiled within ask no other thread for help: it has its own work.

    The numbers are the same.
    """
    before = _undivided.set(True)
    try:
        yield
    finally:
        _undivided.reset(before)


def _here(sizes: Sizes) -> Sizes:
    if isinstance(sizes, Factors) and sizes.most_parts > 1 and _undivided.get():
        return sizes._replace(is_divided=False)
    return sizes


def _has_plan(kernel: Kernel, sizes: Sizes, dtype: Any) -> bool:
    on = vectors()
    return on is not None and kernel.plan(sizes, dtype, on) is not None


def _bound(
    primitive: Any, kernel: Kernel, x: Any, other: Any, sizes: Sizes, reference: Reference, after: Sequence[Any] = ()
) -> Any:
    on = vectors()
    plan = None if on is None or x.dtype != other.dtype else kernel.plan(_here(sizes), x.dtype, on)
    if on is None or plan is None:
        return None
    try:
        being_made(kernel, plan, on)  # begins, while JAX traces what follows
    except RuntimeError:  # Python is about to end, and starts no threads any more
        return None
    return primitive.bind(x, other, *after, sizes=sizes, reference=reference)


def _name(being_made: Future[str]) -> str | None:
    """What XLA knows the code by; ``None`` where it could not be made, such as by an LLVM of another kind."""
    try:
        return being_made.result()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        what = f"fnn: no machine code could be made, XLA computes instead ({reason})"
        warnings.warn(what, stacklevel=2)
        return None


def _operation(name: str, kernel: Kernel, shape_of: Callable[[Any], tuple[int, ...]]) -> Any:
    primitive: Any = core.Primitive(name)

    def abstract(x: Any, other: Any, *_: Any, sizes: Sizes, reference: Reference) -> Any:
        return x.update(shape=shape_of(sizes), weak_type=x.weak_type and other.weak_type)

    @partial(jax.jit, static_argnames=("sizes", "reference"))
    def compiled(*given: Any, sizes: Sizes, reference: Reference) -> Any:
        return primitive.bind(*given, sizes=sizes, reference=reference)

    def computed(*given: Any, **params: Any) -> Any:
        config: Any = jax.config
        return (by_reference if config.jax_disable_jit else compiled)(*given, **params)

    def by_reference(x: Any, other: Any, *_: Any, sizes: Sizes, reference: Reference) -> Any:
        return reference(x, other, sizes)

    def differentiated(primals: Any, tangents: Any, **params: Any) -> Any:
        slopes = tuple(_ad.instantiate_zeros(tangent) for tangent in tangents)
        return jax.jvp(partial(by_reference, **params), tuple(primals), slopes)

    def transposed(slope: Any, x: Any, other: Any, *after: Any, **params: Any) -> Any:
        """Of what is linear in the one or in the other; or in neither, but in what it comes after."""
        none = [None] * len(after)
        if not (_ad.is_undefined_primal(x) or _ad.is_undefined_primal(other)):
            return (None, None, *none)
        if _ad.is_undefined_primal(x):
            linear, of = (lambda x: by_reference(x, other, **params)), x.aval
        else:
            linear, of = (lambda other: by_reference(x, other, **params)), other.aval
        if isinstance(slope, ad.Zero):
            found = ad.Zero(of)
        else:
            (found,) = jax.linear_transpose(linear, _shape_of(of.shape, of.dtype))(slope)
        return (found, None, *none) if _ad.is_undefined_primal(x) else (None, found, *none)

    def mapped(given: Any, axes: Any, **params: Any) -> Any:
        return jax.vmap(partial(by_reference, **params), axes)(*given), 0

    def by_code(x: Any, other: Any, *after: Any, sizes: Sizes, reference: Reference) -> Any:
        on = vectors()
        plan = None if on is None else kernel.plan(_here(sizes), x.dtype, on)
        target = None if on is None or plan is None else _name(being_made(kernel, plan, on))
        if plan is None or target is None:
            return reference(x, other, sizes)
        call: Any = jax.ffi.ffi_call(target, _shape_of(plan.shape, plan.dtypes[2]))
        return plan.finished(call(*plan.prepared(x, other), *after))

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
_winograd_convolution = _operation("fnn_winograd_convolution", winograd_forward, lambda geometry: geometry.y_shape)
_winograd_window_gradient = _operation(
    "fnn_winograd_window_gradient", winograd_backward, lambda geometry: geometry.w_shape
)
_matrix_product = _operation("fnn_matrix_product", product, lambda factors: factors.shape)
_inner_products = _operation("fnn_inner_products", inner, lambda factors: factors.shape)

OPERATIONS = (
    _convolution,
    _window_gradient,
    _winograd_convolution,
    _winograd_window_gradient,
    _matrix_product,
    _inner_products,
)
"""Their parameter ``sizes`` knows its ``flops``."""

PRODUCTS = _matrix_product, _inner_products
"""Those that are matrix products."""
