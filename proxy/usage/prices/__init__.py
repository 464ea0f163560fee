"""Prices: the catalogue that comes with the package, and how a model's price is found in it."""
