"""Limits and budgets counted in Redis or Valkey: shared by workers and hosts."""
