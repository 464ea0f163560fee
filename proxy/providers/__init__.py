"""Vendors: adapters that are pure (no I/O, no clock) and the vendor table."""
