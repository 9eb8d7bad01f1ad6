"""Functions with a hand-written backward pass each, right as it stands, and the knobs that make it wrong.

``backward(args, ct, **knobs)`` returns one cotangent an argument. With no knobs it is the textbook's; every knob is a
mistake that people make: a forgotten epsilon, a branch that was not clipped, a mean over n - 1, a missing sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Arrays = tuple[Any, ...]


@dataclass(frozen=True)
class Function:
    """A function, its right backward pass, example shapes, and the mistakes that it has room for.

    Attributes:
        mistakes: kind -> the knobs that make it.
        linear: positions of arguments that the cotangents do not depend on (no stale value there).
        positive: arguments are drawn positive.
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Arrays]
    shapes: Sequence[tuple[int, ...]]
    mistakes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    positive: bool = False


def _elementwise(name: str, forward: Callable[[Any], Any], slope: Callable[..., Any], **more: Any) -> Function:
    def backward(args: Arrays, ct: Any, **knobs: Any) -> Arrays:
        return (ct * slope(args[0], **knobs),)

    return Function(name, forward, backward, more.pop("shapes", [(3, 4)]), **more)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + jnp.exp(-x))


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1 + jnp.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def _gelu_slope(x: Any, cubic: float = 3.0) -> Any:
    t = jnp.tanh(0.7978845608 * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * 0.7978845608 * (1 + cubic * 0.044715 * x**2)


def _huber(x: Any) -> Any:
    return jnp.where(jnp.abs(x) <= 1, 0.5 * x**2, jnp.abs(x) - 0.5)


def _dense(w: Any, b: Any, x: Any) -> Any:
    return x @ w + b


def _dense_backward(args: Arrays, ct: Any, rows: str = "sum", transpose: bool = True) -> Arrays:
    w, _, x = args
    bias = {"sum": ct.sum(0), "first": ct[0], "mean": ct.mean(0)}[rows]
    return x.T @ ct, bias, ct @ (w.T if transpose else w)


def _softmax(x: Any) -> Any:
    e = jnp.exp(x - jax.lax.stop_gradient(x.max(-1, keepdims=True)))
    return e / e.sum(-1, keepdims=True)


def _softmax_backward(args: Arrays, ct: Any, coupled: bool = True) -> Arrays:
    y = _softmax(args[0])
    return (y * (ct - (ct * y).sum(-1, keepdims=True)) if coupled else y * (1 - y) * ct,)


def _log_softmax(x: Any) -> Any:
    m = x.max(-1, keepdims=True)
    return x - m - jnp.log(jnp.exp(x - m).sum(-1, keepdims=True))


def _log_softmax_backward(args: Arrays, ct: Any, coupled: bool = True) -> Arrays:
    total = ct.sum(-1, keepdims=True) if coupled else ct
    return (ct - _softmax(args[0]) * total,)


_LABELS = np.array([0, 2, 1])


def _cross_entropy(x: Any) -> Any:
    return -jnp.mean(_log_softmax(x)[jnp.arange(3), _LABELS])


def _cross_entropy_backward(args: Arrays, ct: Any, count: float = 3.0, target: float = 1.0) -> Arrays:
    return (ct * (_softmax(args[0]) - target * jnp.eye(4)[_LABELS]) / count,)


def _mean_square(x: Any, y: Any) -> Any:
    return jnp.mean((x - y) ** 2)


def _mean_square_backward(args: Arrays, ct: Any, count: float = 12.0, factor: float = 2.0) -> Arrays:
    g = ct * factor * (args[0] - args[1]) / count
    return g, -g


def _layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    m, v = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - m) * jax.lax.rsqrt(v + 1e-2) * scale + shift


def _fold(x: Any, rows: str) -> Any:
    return x.sum(0) if rows == "sum" else x[0]


def _layer_norm_backward(
    args: Arrays, ct: Any, eps: float = 1e-2, through_variance: bool = True, rows: str = "sum", n: float = 5.0
) -> Arrays:
    x, scale, _ = args
    m, v = x.mean(-1, keepdims=True), ((x - x.mean(-1, keepdims=True)) ** 2).sum(-1, keepdims=True) / n
    r = jax.lax.rsqrt(v + eps)
    h, g = (x - m) * r, ct * scale
    dx = g - g.mean(-1, keepdims=True)
    if through_variance:
        dx = dx - h * (g * h).mean(-1, keepdims=True)
    return r * dx, _fold(ct * h, rows), _fold(ct, rows)


def _rms_norm(x: Any, scale: Any) -> Any:
    return x / jnp.sqrt((x**2).mean(-1, keepdims=True) + 1e-2) * scale


def _rms_norm_backward(args: Arrays, ct: Any, eps: float = 1e-2, through: bool = True) -> Arrays:
    x, scale = args
    r = 1 / jnp.sqrt((x**2).mean(-1, keepdims=True) + eps)
    g = ct * scale
    dx = r * g - (r**3 * x * (g * x).mean(-1, keepdims=True) if through else 0)
    return dx, (ct * x * r).sum(0)


def _unit(x: Any) -> Any:
    return x / jnp.sqrt((x**2).sum(-1, keepdims=True) + 1e-3)


def _unit_backward(args: Arrays, ct: Any, eps: float = 1e-3, project: bool = True) -> Arrays:
    x = args[0]
    r = 1 / jnp.sqrt((x**2).sum(-1, keepdims=True) + eps)
    y = x * r
    return (r * (ct - (y * (y * ct).sum(-1, keepdims=True) if project else 0)),)


def _variance(x: Any) -> Any:
    return ((x - x.mean(0)) ** 2).mean(0)


def _variance_backward(args: Arrays, ct: Any, n: float = 3.0) -> Arrays:
    return (2 * (args[0] - args[0].mean(0)) * ct / n,)


def _attention(q: Any, k: Any, v: Any) -> Any:
    return _softmax(q @ k.T * 0.5) @ v


def _attention_backward(args: Arrays, ct: Any, scale: float = 0.5, coupled: bool = True) -> Arrays:
    q, k, v = args
    p = _softmax(q @ k.T * 0.5)
    dp = ct @ v.T
    ds = p * (dp - ((dp * p).sum(-1, keepdims=True) if coupled else 0)) * scale
    return ds @ k, ds.T @ q, p.T @ ct


def _pool(x: Any) -> Any:
    return x.reshape(3, 2, 2).max(-1)


def _pool_backward(args: Arrays, ct: Any, winner: str = "max") -> Arrays:
    pairs = args[0].reshape(3, 2, 2)
    first = pairs[..., :1] > pairs[..., 1:] if winner == "max" else jnp.ones((3, 2, 1), bool)
    return (jnp.where(jnp.concatenate([first, ~first], -1), ct[..., None], 0.0).reshape(3, 4),)


_ROWS = np.array([1, 4, 1, 0])


def _embed(table: Any) -> Any:
    return table[_ROWS]


def _embed_backward(args: Arrays, ct: Any, repeated: bool = True) -> Arrays:
    zero = jnp.zeros_like(args[0])
    return (zero.at[_ROWS].add(ct) if repeated else zero.at[_ROWS[1:]].set(ct[1:]),)


def _convolve(x: Any, k: Any) -> Any:
    return sum(x[i : i + 5] * k[i] for i in range(3))


def _convolve_backward(args: Arrays, ct: Any, flip: bool = True) -> Arrays:
    x, k = args
    dx = jnp.zeros(7)
    for i in range(3):
        dx = dx.at[i : i + 5].add(ct * k[i if flip else 2 - i])
    return dx, jnp.stack([(x[i : i + 5] * ct).sum() for i in range(3)])


def _log_loss(w: Any, x: Any) -> Any:
    return jnp.mean(jnp.log1p(jnp.exp(-(x @ w))))


def _log_loss_backward(args: Arrays, ct: Any, count: float = 4.0) -> Arrays:
    w, x = args
    s = -_sigmoid(-(x @ w)) * ct / count
    return x.T @ s, s[:, None] * w


def _running(x: Any) -> Any:
    return jnp.cumsum(x)


def _running_backward(args: Arrays, ct: Any, reverse: bool = True) -> Arrays:
    return (jnp.cumsum(ct[::-1])[::-1] if reverse else jnp.cumsum(ct),)


def _cosine(x: Any, y: Any) -> Any:
    return (x * y).sum() / jnp.sqrt((x**2).sum() * (y**2).sum())


def _cosine_backward(args: Arrays, ct: Any, project: bool = True) -> Arrays:
    x, y = args
    a, b = (x**2).sum(), (y**2).sum()
    c = _cosine(x, y) if project else 0.0
    r = 1 / jnp.sqrt(a * b)
    return ct * (y * r - c * x / a), ct * (x * r - c * y / b)


_MASK = np.random.default_rng(7).random(12).reshape(3, 4) < 0.7


def _dropout(x: Any) -> Any:
    return jnp.where(_MASK, x / 0.7, 0.0)


def _dropout_backward(args: Arrays, ct: Any, scale: float = 0.7, masked: bool = True) -> Arrays:
    return (jnp.where(_MASK, ct / scale, 0.0) if masked else ct / scale,)


FUNCTIONS: Sequence[Function] = (
    _elementwise("sin", jnp.sin, jnp.cos),
    _elementwise("sigmoid", _sigmoid, lambda x: _sigmoid(x) * (1 - _sigmoid(x))),
    _elementwise("tanh", jnp.tanh, lambda x: 1 - jnp.tanh(x) ** 2),
    _elementwise("softplus", lambda x: jnp.log1p(jnp.exp(x)), _sigmoid),
    _elementwise("silu", lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x)))),
    _elementwise("gelu", _gelu, _gelu_slope, mistakes={"wrong power": {"cubic": 2.0}}),
    _elementwise("relu", lambda x: jnp.where(x > 0, x, 0.0), lambda x, cut=0.0: jnp.where(x > cut, 1.0, 0.0),
                 mistakes={"shifted branch": {"cut": 0.25}}),
    _elementwise("leaky_relu", lambda x: jnp.where(x > 0, x, 0.01 * x),
                 lambda x, slope=0.01: jnp.where(x > 0, 1.0, slope), mistakes={"missed branch": {"slope": 0.0}}),
    _elementwise("elu", lambda x: jnp.where(x > 0, x, jnp.expm1(jnp.minimum(x, 0.0))),
                 lambda x, minus=0.0: jnp.where(x > 0, 1.0, jnp.exp(jnp.minimum(x, 0.0)) - minus),
                 mistakes={"value for slope": {"minus": 1.0}}),
    _elementwise("clip", lambda x: jnp.clip(x, -1, 1),
                 lambda x, high=1.0: jnp.where((x > -1) & (x < high), 1.0, 0.0),
                 mistakes={"missed clip branch": {"high": 1e9}}),
    _elementwise("huber", _huber, lambda x, clipped=True: jnp.where(jnp.abs(x) <= 1, x, jnp.sign(x) if clipped else x),
                 mistakes={"missed clip branch": {"clipped": False}}),
    _elementwise("smooth_abs", lambda x: jnp.sqrt(x**2 + 1e-3), lambda x, eps=1e-3: x / jnp.sqrt(x**2 + eps),
                 mistakes={"missing epsilon": {"eps": 0.0}}),
    _elementwise("safe_log", lambda x: jnp.log(x + 1e-3), lambda x, eps=1e-3: 1 / (x + eps), positive=True,
                 mistakes={"missing epsilon": {"eps": 0.0}}),
    _elementwise("scaled", lambda x: 3.0 * x * x, lambda x: 6.0 * x, shapes=[(10_000,)]),
    Function("dense", _dense, _dense_backward, [(4, 4), (4,), (3, 4)],
             {"missing broadcast sum": {"rows": "first"}, "mean for sum": {"rows": "mean"},
              "transposed argument": {"transpose": False}}),
    Function("softmax", _softmax, _softmax_backward, [(3, 4)], {"diagonal only": {"coupled": False}}),
    Function("log_softmax", _log_softmax, _log_softmax_backward, [(3, 4)], {"missing sum": {"coupled": False}}),
    Function("cross_entropy", _cross_entropy, _cross_entropy_backward, [(3, 4)],
             {"n-1 for n": {"count": 2.0}, "missing mean": {"count": 1.0}, "missing target": {"target": 0.0}}),
    Function("mean_square", _mean_square, _mean_square_backward, [(3, 4), (3, 4)],
             {"n-1 for n": {"count": 11.0}, "missing factor 2": {"factor": 1.0}}),
    Function("layer_norm", _layer_norm, _layer_norm_backward, [(3, 5), (5,), (5,)],
             {"missing epsilon": {"eps": 0.0}, "variance held": {"through_variance": False},
              "missing broadcast sum": {"rows": "first"}, "n-1 for n": {"n": 4.0}}),
    Function("rms_norm", _rms_norm, _rms_norm_backward, [(3, 5), (5,)],
             {"missing epsilon": {"eps": 0.0}, "scale held": {"through": False}}),
    Function("unit_vector", _unit, _unit_backward, [(3, 4)],
             {"missing epsilon": {"eps": 0.0}, "norm held": {"project": False}}),
    Function("variance", _variance, _variance_backward, [(3, 4)], {"n-1 for n": {"n": 2.0}}),
    Function("attention", _attention, _attention_backward, [(3, 4), (3, 4), (3, 4)],
             {"missing scale": {"scale": 1.0}, "diagonal only": {"coupled": False}}),
    Function("pool", _pool, _pool_backward, [(3, 4)], {"always the first": {"winner": "first"}}),
    Function("embed", _embed, _embed_backward, [(5, 3)], {"repeated row": {"repeated": False}}),
    Function("convolve", _convolve, _convolve_backward, [(7,), (3,)], {"kernel not flipped": {"flip": False}}),
    Function("log_loss", _log_loss, _log_loss_backward, [(3,), (4, 3)], {"n-1 for n": {"count": 3.0}}),
    Function("cumsum", _running, _running_backward, [(6,)], {"wrong direction": {"reverse": False}}),
    Function("cosine", _cosine, _cosine_backward, [(5,), (5,)], {"norm held": {"project": False}}),
    Function("dropout", _dropout, _dropout_backward, [(3, 4)],
             {"missing scale": {"scale": 1.0}, "mask not applied": {"masked": False}}),
)  # fmt: skip
"""Thirty-one functions, from one line to attention."""
