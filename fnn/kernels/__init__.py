"""Convolutions and matrix products in machine code of our own, for CPUs.

XLA's CPU compiler computes a convolution as a matrix product, whose factor is built piece by piece as it goes; with few
channels that costs as much as the product, and the gradient of a window has no form that it computes well. Here a
window of numbers stays in registers and the image passes by: nothing is built, margins are not multiplied. Windows of
3 x 3 take fewer multiplications where that pays, of patches that stay in a core's own cache. A matrix
product calls a library there, which brings its factors into an order of its own first and is slow with few columns or
rows; here they are taken as they lie, either of them transposed or not.

``forward`` and ``backward`` write the loops of a convolution, ``winograd_forward`` and ``winograd_backward`` those of
one with a window of 3 x 3, by fewer multiplications, ``product`` and ``inner`` those of a matrix product, in the
intermediate language of LLVM, by what ``writing`` offers; ``machine`` makes machine code of it, for what this
processor can do; ``handler`` lets XLA call it, from several threads; ``making`` does all that beside JAX's own work, as
a ``plan`` says, and what it makes is ``kept``. ``operations`` are these as operations of JAX, with another form beside
each for wherever there is no such code.
"""

from fnn.kernels.factors import Factors as Factors
from fnn.kernels.geometry import Geometry as Geometry
from fnn.kernels.machine import vectors as vectors
from fnn.kernels.operations import (
    OPERATIONS as OPERATIONS,
    PRODUCTS as PRODUCTS,
    can_convolve as can_convolve,
    can_multiply as can_multiply,
    convolution as convolution,
    matrix_product as matrix_product,
    undivided as undivided,
    window_gradient as window_gradient,
)
