"""Train small and medium neural networks with pure functions on JAX."""

__version__ = "0.1.0"
