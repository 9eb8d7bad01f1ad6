import pytest

from fnn import CheckpointError, DataError, DivergedError, InputError
from fnn.errors import expect


def test_a_caller_may_catch_the_builtin_kinds():
    assert issubclass(DataError, InputError)
    assert issubclass(CheckpointError, InputError)
    assert issubclass(InputError, ValueError)
    assert issubclass(DivergedError, ArithmeticError)


def test_expect():
    expect(True, "dense", "this", "that")
    with pytest.raises(InputError, match=r"^dense: expected this, got that$"):
        expect(False, "dense", "this", "that")
