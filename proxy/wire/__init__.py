"""What travels, pure: operations, bodies, headers, SSE framing, usage, error envelopes."""
