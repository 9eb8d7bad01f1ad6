"""Find out whether worked backpropagation is right and, where it is not, why.

Names are loaded when they are first used, so that ``python -m verify --help`` does not wait for JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.checking import Checked, check
    from verify.example import Example, ExampleError, load, loads

__version__ = "0.1.0"

_HOME = {
    "Checked": "checking",
    "check": "checking",
    "Example": "example",
    "ExampleError": "example",
    "load": "example",
    "loads": "example",
}

__all__ = ["Checked", "Example", "ExampleError", "check", "load", "loads"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"verify.{_HOME[name]}"), name)
    raise AttributeError(f"module 'verify' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
