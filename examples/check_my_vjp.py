"""A hand-written layer-norm gradient with a classic mistake, and what ``verify`` says about it.

The backward pass below keeps the mean and the standard deviation fixed for the scale and shift, which is right, and
forgets that the variance depends on the input, which is not. Every shape is right, and training with it converges,
only more slowly: nothing else would tell.

    python examples/check_my_vjp.py
"""

import jax
import jax.numpy as jnp

from verify.gradients.prove import prove_gradient

EPSILON = 1e-5


@jax.custom_vjp
def layer_norm(x, scale, shift):
    """Rows of ``x`` to mean 0 and variance 1, then scaled and shifted."""
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + EPSILON) * scale + shift


def forward(x, scale, shift):
    return layer_norm(x, scale, shift), (x, scale)


def backward(residuals, ct):
    x, scale = residuals
    centred = x - x.mean(-1, keepdims=True)
    r = jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    normal, g = centred * r, ct * scale
    dx = r * (g - g.mean(-1, keepdims=True))  # the path through the variance is missing
    return dx, (ct * normal).sum(0), ct.sum(0)


def corrected_backward(residuals, ct):
    x, scale = residuals
    centred = x - x.mean(-1, keepdims=True)
    r = jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    normal, g = centred * r, ct * scale
    dx = r * (g - g.mean(-1, keepdims=True) - normal * (g * normal).mean(-1, keepdims=True))
    return dx, (ct * normal).sum(0), ct.sum(0)


def main() -> None:
    args = jnp.array([[0.2, -1.0, 0.7], [1.5, 0.3, -0.4]]), jnp.ones(3), jnp.zeros(3)
    layer_norm.defvjp(forward, backward)
    print(prove_gradient(layer_norm, *args, argnums=(0, 1, 2)))
    print()
    layer_norm.defvjp(forward, corrected_backward)
    print(prove_gradient(layer_norm, *args, argnums=(0, 1, 2)))


if __name__ == "__main__":
    main()
