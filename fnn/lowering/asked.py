"""What a multiplication is asked to be like, beyond what it computes."""

from __future__ import annotations

from typing import Any

from jax import lax


def is_plain(dtype: Any, *, precision: Any, preferred_element_type: Any) -> bool:
    """Whether neither another dtype is asked for, for the result, nor an algorithm by its name.

    Args:
        dtype: of the factors.
        precision: of the operation, as is the next.
        preferred_element_type: dtype of the result; ``None`` for that of the factors.

    Example:
        >>> is_plain("float32", precision=None, preferred_element_type=None)
        True
        >>> is_plain("float32", precision=None, preferred_element_type="float64")
        False
    """
    is_free = all(one is None or isinstance(one, lax.Precision) for one in _each(precision))
    # Not by membership: NumPy holds None to be float64.
    return is_free and (preferred_element_type is None or preferred_element_type == dtype)


def is_precise(precision: Any) -> bool:
    """Whether a precision above the default is asked for, or an algorithm by its name.

    Args:
        precision: of an operation.

    Example:
        >>> is_precise(None), is_precise((lax.Precision.HIGHEST, lax.Precision.HIGHEST))
        (False, True)
    """
    return any(one not in (None, lax.Precision.DEFAULT) for one in _each(precision))


def _each(precision: Any) -> tuple[Any, ...]:
    """That of both factors, or of both at once."""
    return precision if isinstance(precision, tuple) else (precision,)
