"""Limits and budgets: which walls a request meets, what it may need, what it is told."""
