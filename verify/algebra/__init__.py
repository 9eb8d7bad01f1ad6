"""The number systems that a derivation or a jaxpr is evaluated over: one file each."""
