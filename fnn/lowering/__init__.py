"""Equal computations in forms that XLA's CPU compiler runs faster inside a compiled loop.

``rewriting`` walks through a computation; ``products``, ``convolutions`` (of which ``pointwise``, ``grouped``,
``depthwise``, ``dilated``, ``direct``, ``winograd`` and ``columns`` are special cases), ``pooling``, ``flattening`` and
``halves`` each know one kind of operation, ``apart`` keeps two computations apart. ``turned`` knows in which order a
loop carries parameters. Both carry operations out by ``evaluating``. ``options`` tells the compiler which libraries to
call: ``onednn`` and ``ynnpack`` know when, by what ``walking`` finds in a program.
"""

from fnn.lowering.options import Options as Options, options_for as options_for
from fnn.lowering.rewriting import canonical as canonical
from fnn.lowering.turned import repeated as repeated
from fnn.lowering.ynnpack import compiler_options as compiler_options
