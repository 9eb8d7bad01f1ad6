"""One interpreter for programs from :mod:`verify.gradients.trace`; the algebra that does the arithmetic is a parameter.

``interpret(program, algebra, inputs)`` runs the program and returns its outputs as a list. What an input or an output
is depends on its type in the program: a floating-point array is an array of the algebra (a ``FieldArray``, an object
array of balls or of SymPy expressions, a ``DualArray``, ...); integers, booleans and random keys are plain NumPy (JAX)
arrays, computed as JAX computes them. Rounding is not modelled: the numbers of the algebra are exact or enclosed.

Over the symbolic algebra a comparison of expressions is not decided: it becomes an indicator, an object array of
symbols, and the boolean operations become arithmetic on them (see :mod:`verify.algebra.symbolic`). Whatever would need
a decision there (sorting, a while loop whose end depends on a value) is unsupported.

Primitives by family: :mod:`~verify.gradients.interpret.elementwise`, :mod:`~verify.gradients.interpret.structure`,
:mod:`~verify.gradients.interpret.linear`, :mod:`~verify.gradients.interpret.indexing`,
:mod:`~verify.gradients.interpret.order`, :mod:`~verify.gradients.interpret.control`.

Example:
    >>> import jax.numpy as jnp, numpy as np
    >>> from verify.algebra.real import Real
    >>> from verify.gradients.trace import trace
    >>> interpret(trace(lambda x: jnp.sum(x * x), jnp.ones(3)), Real(), [np.arange(3.0)])
    [array(5.)]
"""

from verify.gradients.interpret.call import Observer
from verify.gradients.interpret.run import UnsupportedStep, interpret

__all__ = ["Observer", "UnsupportedStep", "interpret"]
