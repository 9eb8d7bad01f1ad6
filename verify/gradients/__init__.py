"""Programs: is the gradient that JAX computes the derivative of the function? Proofs, witnesses, closed forms."""
