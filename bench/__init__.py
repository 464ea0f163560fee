"""Figures for the proxy: a mock vendor, a load generator, a yardstick. `proxy/` imports none."""
