"""Equal computations in forms that XLA's CPU compiler runs faster inside a compiled loop.

``rewriting`` walks through a computation; ``products``, ``convolutions`` and ``pooling`` each know one operation.
"""

from fnn.lowering.rewriting import canonical as canonical
