"""Find out whether worked backpropagation is right and, where it is not, why.

Names are loaded when they are first used, so that ``python -m verify --help`` does not wait for JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.checking import Checked, check
    from verify.gradients.derived import Derived, derive
    from verify.gradients.proof import Proof
    from verify.gradients.prove import assert_gradient, prove_gradient, prove_hvp, prove_jvp
    from verify.reading.example import Example, ExampleError, load, loads

__version__ = "0.1.0"

_HOME = {
    "Checked": "checking",
    "Derived": "gradients.derived",
    "Example": "reading.example",
    "ExampleError": "reading.example",
    "Proof": "gradients.proof",
    "assert_gradient": "gradients.prove",
    "check": "checking",
    "derive": "gradients.derived",
    "load": "reading.example",
    "loads": "reading.example",
    "prove_gradient": "gradients.prove",
    "prove_hvp": "gradients.prove",
    "prove_jvp": "gradients.prove",
}

__all__ = [
    "Checked",
    "Derived",
    "Example",
    "ExampleError",
    "Proof",
    "assert_gradient",
    "check",
    "derive",
    "load",
    "loads",
    "prove_gradient",
    "prove_hvp",
    "prove_jvp",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"verify.{_HOME[name]}"), name)
    raise AttributeError(f"module 'verify' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
