"""Find out whether worked backpropagation is right and, where it is not, why."""

__version__ = "0.1.0"
