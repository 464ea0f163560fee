"""Limits and budgets counted in the worker itself: right for one worker, and for nothing shared."""
