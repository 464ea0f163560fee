"""Micro-benchmarks: one part of the hot path each, a few seconds, a table."""
