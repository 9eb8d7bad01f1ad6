"""Layers: each function here makes a :class:`fnn.Model`."""

from fnn.layers.attention import self_attention
from fnn.layers.combine import parallel, residual, serial
from fnn.layers.convolution import conv
from fnn.layers.embedding import embedding, position_embedding
from fnn.layers.lift import lift, stateless
from fnn.layers.linear import dense
from fnn.layers.noise import dropout
from fnn.layers.norm import batch_norm, group_norm, layer_norm
from fnn.layers.pooling import average_pool, global_average_pool, global_max_pool, max_pool
from fnn.layers.rectifier import parametric_relu
from fnn.layers.recurrent import gru, lstm
from fnn.layers.shape import flatten, reshape, upsample

__all__ = [
    "average_pool",
    "batch_norm",
    "conv",
    "dense",
    "dropout",
    "embedding",
    "flatten",
    "global_average_pool",
    "global_max_pool",
    "group_norm",
    "gru",
    "layer_norm",
    "lift",
    "lstm",
    "max_pool",
    "parallel",
    "parametric_relu",
    "position_embedding",
    "reshape",
    "residual",
    "self_attention",
    "serial",
    "stateless",
    "upsample",
]
