"""Machine code that XLA knows by a name, made while JAX traces the rest of a program."""

from __future__ import annotations

import ctypes
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType
from typing import Any, ClassVar

import jax

from fnn.kernels import kept, machine
from fnn.kernels.machine import Vectors
from fnn.kernels.plan import Plan

Kernel = ModuleType
"""``forward``, for example: has a ``plan`` of an operation, and does ``write`` its code."""


class _Making:
    """What is made, or being made, for all threads."""

    lock = threading.Lock()
    names: ClassVar[dict[Any, Future[str]]] = {}
    worker = ThreadPoolExecutor(1, thread_name_prefix="fnn-kernels")


def being_made(kernel: Kernel, plan: Plan, on: Vectors) -> Future[str]:
    """The name of the code, once XLA knows it. XLA takes a name once only."""
    facts = _facts(kernel, plan, on)
    with _Making.lock:
        if facts not in _Making.names:
            _Making.names[facts] = _Making.worker.submit(_made, kernel, plan, on)
        return _Making.names[facts]


def _facts(kernel: Kernel, plan: Plan, on: Vectors) -> tuple[Any, ...]:
    """What the code depends on."""
    return kernel.__name__, plan.sizes, plan.lanes, plan.dtypes, plan.bounds, on


def _made(kernel: Kernel, plan: Plan, on: Vectors) -> str:
    # Programs that call it are kept on disk, by this name.
    name = kept.name_of(*_facts(kernel, plan, on), machine.processor(on), machine.compiler())
    code = kept.read(name)
    if code is None:
        code = machine.compiled(module(kernel, plan, on), on)
        kept.write(name, code)
    target = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(machine.loaded(code, "call", on))
    ffi: Any = jax.ffi  # JAX leaves it without types
    ffi.register_ffi_target(name, ffi.pycapsule(target), platform="cpu")
    return name


def module(kernel: Kernel, plan: Plan, on: Vectors) -> str:
    """The code in LLVM's intermediate language: a function ``call`` for XLA, which divides the work of ``work``."""
    from llvmlite import ir

    from fnn.kernels import handler
    from fnn.kernels.writing import Writer

    written = ir.Module()
    writer = Writer(written, "work", plan.lanes, plan.dtypes)
    kernel.write(writer, plan.sizes, on)
    writer.done()
    handler.write(written, "call", writer.function, plan.bounds, writer.n_scratch)
    return str(written)
