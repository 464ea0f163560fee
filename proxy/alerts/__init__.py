"""Alerts: which budgets have passed a threshold, and telling whoever wants to know."""
