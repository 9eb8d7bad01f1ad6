"""The gradient of softmax cross-entropy: from its code for three classes, and proved for every number of classes."""

import jax.numpy as jnp

from verify.gradients.derived import derive
from verify.indexed import gradient_when_labels_sum_to_one, softmax_cross_entropy, softmax_jacobian


def cross_entropy(a, y):
    e = jnp.exp(a)
    s = e / jnp.sum(e)
    loss = -jnp.sum(y * jnp.log(s))
    return loss


if __name__ == "__main__":
    print(derive(cross_entropy, jnp.array([0.2, -0.1, 0.4]), jnp.array([0.0, 1.0, 0.0])))
    for proof in (softmax_jacobian(), softmax_cross_entropy(), gradient_when_labels_sum_to_one()):
        print("", proof, sep="\n")
