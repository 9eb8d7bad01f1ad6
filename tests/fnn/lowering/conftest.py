"""The forms that XLA computes: what of them is taken where there is machine code, test_direct.py knows."""

import pytest

from fnn.kernels import machine


@pytest.fixture(autouse=True)
def no_machine_code(request, monkeypatch):
    if request.module.__name__.rpartition(".")[2] != "test_direct":
        monkeypatch.setattr(machine, "_of_processor", lambda: None)
