"""The forms that XLA computes: what is taken where there is machine code, test_direct.py and test_matrices.py know."""

import pytest

from fnn.kernels import machine


@pytest.fixture(autouse=True)
def no_machine_code(request, monkeypatch):
    if request.module.__name__.rpartition(".")[2] not in ("test_direct", "test_matrices"):
        monkeypatch.setattr(machine, "_of_processor", lambda: None)
