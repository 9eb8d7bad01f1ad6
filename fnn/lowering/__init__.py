"""Equal computations in forms that XLA's CPU compiler runs faster inside a compiled loop.

``rewriting`` walks through a computation, ``products`` and ``convolutions`` each know one operation.
"""

from fnn.lowering.rewriting import canonical as canonical
