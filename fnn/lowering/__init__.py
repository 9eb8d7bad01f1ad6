"""Equal computations in forms that XLA's CPU compiler runs faster inside a compiled loop.

``rewriting`` walks through a computation; ``products``, ``convolutions``, ``pooling``, ``flattening`` and ``halves``
each know one kind of operation. ``onednn`` tells the compiler which kernels to take.
"""

from fnn.lowering.onednn import compiler_options as compiler_options
from fnn.lowering.rewriting import canonical as canonical
