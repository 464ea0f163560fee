"""Stand-ins on real sockets: what the proxy talks to in tests."""
