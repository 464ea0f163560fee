"""Sockets out: our own HTTP/1.1 client with a keep-alive pool."""
