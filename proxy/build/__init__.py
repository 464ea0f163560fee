"""Settings in, Runtime out: the composition root."""
