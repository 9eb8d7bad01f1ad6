"""Convolution: one function, and the algorithms it chooses from, a file each."""

from fnn.convolutions.choosing import convolve as convolve
from fnn.convolutions.geometry import Geometry as Geometry
