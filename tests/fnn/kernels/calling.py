"""Machine code called directly, on arrays that lie between numbers which it must leave alone."""

import ctypes
from itertools import pairwise

import numpy as np

from fnn.kernels import machine, making
from fnn.kernels.machine import AVX2, vectors

ON = vectors()
MACHINES = [AVX2, *([ON] if ON not in (None, AVX2) else [])]


def function(kernel, plan, on):
    text = making.module(kernel, plan, on)
    text = text.replace('define internal void @"work"', 'define void @"work"')
    address = machine.loaded(machine.compiled(text, on), "work", on)
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 3)(address)


class Guarded:
    """An array between numbers that must be neither read nor written."""

    def __init__(self, values, is_read):
        self.whole = np.full(values.size + 256, np.nan if is_read else 7.0, values.dtype)
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
    code, result = function(kernel, plan, on), Guarded(np.full(plan.shape, np.nan, np.float32), False)
    given = [Guarded(array, True) for array in (first, second)]
    for part, (begin, end) in enumerate(pairwise(plan.bounds)):
        code(*(array.address for array in given), result.address, begin, end, part)
    return result.values()
