"""The systems that are timed, a file each.

Each file has ``prepare(network, x, y, form, dtype)``, which builds and initialises the network and gives back a
:class:`Training`. It raises ``NotExpressible`` for a network that the system has no words for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class NotExpressible(Exception):
    """The system cannot train this network in this form."""


class Training(NamedTuple):
    """What a system does when it is asked to.

    Attributes:
        epoch: trains for one epoch, in an order of its own, and returns when all is computed.
        restart: forgets what was trained, and initialises again from a seed; compiles nothing that is compiled already.
        accuracy: the share of examples ``(x, y)`` of which the largest output is at the label.
        examples: how many are trained with in a call of ``epoch``, if not ``n_examples`` of the network.
    """

    epoch: Callable[[], None]
    restart: Callable[[int], None] | None = None
    accuracy: Callable[[Any, Any], float] | None = None
    examples: int | None = None


class System(NamedTuple):
    """A row of the table.

    Attributes:
        name: of the system.
        form: ``"stock"``, as its tutorial has it, or ``"tuned"``, as its documentation advises, with a call per step:
            several steps in one program are what fnn is for.
        module: in this package.
        package: what has to be installed.
        environment: variables that its process is given.
    """

    name: str
    form: str
    module: str
    package: str
    environment: Mapping[str, str] = MappingProxyType({})


# What glibc gives back to the system at the end of each step, it asks for again at the beginning of the next.
_KEEP = {"MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TOP_PAD_": "67108864"}
SYSTEMS = [
    System("fnn", "stock", "fnn_fit", "fnn"),
    System("pytorch", "stock", "pytorch", "torch"),
    System("pytorch-compiled", "stock", "pytorch", "torch"),
    System("pytorch", "tuned", "pytorch", "torch", _KEEP),
    System("pytorch-compiled", "tuned", "pytorch", "torch", _KEEP),
    System("flax-nnx", "stock", "flax_nnx", "flax"),
    System("flax-nnx", "tuned", "flax_nnx", "flax", _KEEP),
    System("flax-linen", "stock", "flax_linen", "flax"),
    System("flax-linen", "tuned", "flax_linen", "flax", _KEEP),
    System("equinox", "stock", "equinox_loop", "equinox"),
    System("equinox", "tuned", "equinox_loop", "equinox", _KEEP),
    System("keras", "stock", "keras_fit", "keras", {"KERAS_BACKEND": "jax"}),
    System("keras", "tuned", "keras_fit", "keras", {"KERAS_BACKEND": "jax", **_KEEP}),
    System("scikit-learn", "stock", "sklearn_mlp", "sklearn"),
]
