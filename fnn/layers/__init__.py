"""Layers: each function here makes a :class:`fnn.Model`."""

from fnn.layers.combine import serial
from fnn.layers.convolution import conv
from fnn.layers.lift import lift, stateless
from fnn.layers.linear import dense
from fnn.layers.noise import dropout
from fnn.layers.pooling import average_pool, max_pool
from fnn.layers.shape import flatten

__all__ = ["average_pool", "conv", "dense", "dropout", "flatten", "lift", "max_pool", "serial", "stateless"]
