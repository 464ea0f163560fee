"""Tokens counted by ourselves, off the loop, where a vendor named none."""
