"""Sockets in: aiohttp's low-level server around the life of a request."""
