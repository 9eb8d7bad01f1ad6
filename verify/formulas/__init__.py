"""Printed formulas: proved for all values, or refuted, with the small edit that mends them."""
