"""Machine code for this processor, by LLVM."""

from __future__ import annotations

import platform
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import jax


class Vectors(NamedTuple):
    """What a processor computes with.

    Attributes:
        lanes: float32 numbers in a vector.
        registers: how many vectors it holds at a time.
        cpu: the processor, in LLVM's words; ``None`` for the one at hand.
        has_pairs: whether it adds up products of pairs of bfloat16 numbers, and has nothing that is faster for them.
    """

    lanes: int
    registers: int
    cpu: str | None
    has_pairs: bool = False

    def lanes_for(self, count: int) -> int:
        """Lanes of the vectors that so many numbers make up, whole or half ones; 0 if neither do.

        Example:
            >>> AVX2.lanes_for(24), AVX2.lanes_for(4), AVX2.lanes_for(10)
            (8, 4, 0)
        """
        return next((lanes for lanes in (self.lanes, self.lanes // 2) if count % lanes == 0), 0)


AVX2 = Vectors(8, 16, "x86-64-v3")


def vectors() -> Vectors | None:
    """What machine code is made for; ``None`` where none is.

    That is where programs run on something else than one CPU, and where it has not been tried: on other systems than
    Linux, and on other processors than those of x86-64 that multiply and add at once.

    Example:
        >>> found = vectors()
        >>> found is None or found.lanes in (8, 16)
        True
    """
    return _of_processor() if jax.default_backend() == "cpu" and jax.device_count() == 1 else None


@cache
def _of_processor() -> Vectors | None:
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64" or not _is_installed("llvmlite"):
        return None
    has = _flags()
    if not {"avx2", "fma"} <= has:
        return None
    has_pairs = (
        "avx512_bf16" in has and "amx_bf16" not in has
    )  # oneDNN knows the matrix units, which are not tried here
    return Vectors(16, 32, None, has_pairs) if "avx512f" in has else AVX2


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # something stands in its way
        return False


def _flags() -> set[str]:
    """What the processor can do, in the words of Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


_held: list[Any] = []  # code is there as long as what made it, or read it
_lock = Lock()  # LLVM works on one module at a time


@cache
def processor(on: Vectors) -> tuple[str, str]:
    """Which processor code is for, and what it can do, in LLVM's words."""
    from llvmlite import binding

    if on.cpu is not None:
        return on.cpu, ""
    return binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


def compiler() -> Any:
    """The version of LLVM."""
    from llvmlite import binding

    return binding.llvm_version_info


def compiled(text: str, on: Vectors) -> bytes:
    """Machine code, as an object file.

    Args:
        text: a module in LLVM's intermediate language.
        on: what it is for.
    """
    from llvmlite import binding

    with _lock:
        machine = _machine(on)
        module = binding.parse_assembly(text)
        module.verify()
        # Vectors are there already, and loops are written out as far as registers last: all that LLVM's optimizer does
        # beyond this takes longer and changes nothing.
        passes = binding.create_new_function_pass_manager()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options())
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
        return bytes(machine.emit_object(module))


def loaded(code: bytes, name: str, on: Vectors) -> int:
    """The address of a function in an object file."""
    from llvmlite import binding

    with _lock:
        engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine(on))
        engine.add_object_file(binding.ObjectFileRef.from_data(code))
        engine.finalize_object()
        _held.append(engine)
        return int(engine.get_function_address(name))


def _machine(on: Vectors) -> Any:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    cpu, features = processor(on)
    return binding.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=3, jit=True)
