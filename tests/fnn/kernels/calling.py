"""Machine code called directly, on arrays that lie between numbers which it must leave alone.

Its scratch memory holds NaN at first, and has room for as much as a core's own cache.
"""

import ctypes
from itertools import pairwise

import numpy as np

from fnn.kernels import machine, making
from fnn.kernels.machine import AVX2, vectors

_SCRATCH, _BEYOND = 2**20, 4096
ON = vectors()
MACHINES = [AVX2, *([ON] if ON not in (None, AVX2) else [])]


def function(kernel, plan, on):
    text = making.module(kernel, plan, on)
    text = text.replace('define internal void @"work"', 'define void @"work"')
    address = machine.loaded(machine.compiled(text, on), "work", on)
    code = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 3, ctypes.c_void_p)(address)

    def run(*given):
        scratch = np.full(_SCRATCH + _BEYOND, 0xFF, np.uint8)
        code(*given, scratch.ctypes.data)
        assert np.all(scratch[_SCRATCH:] == 0xFF)

    return run


class Guarded:
    """An array between numbers that must be neither read nor written."""

    def __init__(self, values, is_read):
        beside = 2**32 - 1 if values.dtype == np.uint32 else np.nan if is_read else 7.0
        self.whole = np.full(values.size + 256, beside, values.dtype)
        self.whole[128:-128] = values.ravel()
        self.shape = values.shape

    @property
    def address(self):
        return self.whole[128:].ctypes.data

    def values(self):
        assert np.all(self.whole[:128] == 7.0)
        assert np.all(self.whole[-128:] == 7.0)
        return self.whole[128:-128].reshape(self.shape)


def called(kernel, plan, first, second, on):
    """What the code makes of two arrays, part by part."""
    code, result = function(kernel, plan, on), Guarded(np.full(plan.shape, np.nan, plan.dtypes[2]), False)
    given = [Guarded(array, True) for array in (first, second)]
    for part, (begin, end) in enumerate(pairwise(plan.bounds)):
        code(*(array.address for array in given), result.address, begin, end, part)
    return result.values()
