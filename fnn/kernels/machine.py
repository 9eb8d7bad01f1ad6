"""Machine code for this processor, by LLVM."""

from __future__ import annotations

import platform
import sys
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

import jax


class Vectors(NamedTuple):
    """What a processor computes with.

    Attributes:
        lanes: float32 numbers in a vector.
        registers: how many vectors it holds at a time.
        features: the processor, and what of it is used, in LLVM's words.
        has_pairs: whether it adds up products of pairs of bfloat16 numbers.
    """

    lanes: int
    registers: int
    features: tuple[str, str]
    has_pairs: bool = False

    def lanes_for(self, count: int) -> int:
        """Lanes of the vectors that so many numbers make up, whole or half ones; 0 if neither do.

        Example:
            >>> AVX2.lanes_for(24), AVX2.lanes_for(4), AVX2.lanes_for(10)
            (8, 4, 0)
        """
        return next((lanes for lanes in (self.lanes, self.lanes // 2) if count % lanes == 0), 0)


AVX2 = Vectors(8, 16, ("x86-64-v3", ""))


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
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return None
    try:
        from llvmlite import binding
    except ImportError:
        return None
    has = binding.get_host_cpu_features()
    if not (has.get("avx2") and has.get("fma")):
        return None
    if not has.get("avx512f"):
        return AVX2
    return Vectors(16, 32, (binding.get_host_cpu_name(), has.flatten()), bool(has.get("avx512bf16")))


_held: list[Any] = []  # the code is there as long as what made it
_lock = Lock()  # LLVM's optimizer works on one module at a time


def machine_code(text: str, name: str, features: tuple[str, str]) -> int:
    """The address of a function.

    Args:
        text: a module in LLVM's intermediate language.
        name: of the function.
        features: for which processor, as in :class:`Vectors`.
    """
    from llvmlite import binding

    with _lock:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        target = binding.Target.from_default_triple()
        cpu, flags = features
        machine = target.create_target_machine(cpu=cpu, features=flags, opt=3, jit=True)
        module = binding.parse_assembly(text)
        module.verify()
        # What is in vectors is so already; loops are written out as far as registers last.
        tuning = binding.create_pipeline_tuning_options(speed_level=2)
        tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_unrolling = False
        passes = binding.create_pass_builder(machine, tuning)
        passes.getModulePassManager().run(module, passes)
        engine = binding.create_mcjit_compiler(module, machine)
        engine.finalize_object()
        _held.append(engine)
        return int(engine.get_function_address(name))
