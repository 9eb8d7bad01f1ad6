"""Find out whether worked backpropagation is right and, where it is not, why.

Names are loaded when they are first used, so that ``python -m verify --help`` does not wait for JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.checking import Checked, check
    from verify.derived import Derived, derive
    from verify.example import Example, ExampleError, load, loads
    from verify.proof import Proof
    from verify.prove import assert_gradient, prove_gradient, prove_hvp, prove_jvp

__version__ = "0.1.0"

_HOME = {
    "Checked": "checking",
    "Derived": "derived",
    "Example": "example",
    "ExampleError": "example",
    "Proof": "proof",
    "assert_gradient": "prove",
    "check": "checking",
    "derive": "derived",
    "load": "example",
    "loads": "example",
    "prove_gradient": "prove",
    "prove_hvp": "prove",
    "prove_jvp": "prove",
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
