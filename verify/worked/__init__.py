"""Worked examples: the derivation, its evaluation over several algebras, three routes to each figure."""
