"""Sockets in: two HTTP servers around the life of a request, one of them chosen."""
