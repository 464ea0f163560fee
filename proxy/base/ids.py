"""Request ids: sortable by time, unique across workers and hosts."""

import os

from proxy.base.clock import wall

_BATCH = 4096
_RANDOM_BYTES = 10


class RequestIds:
    """Makes `req_` + 12 hex digits of milliseconds + 20 random hex digits (the layout of UUIDv7,
    RFC 9562 §5.7). Random bytes are drawn in batches: one system call for about 400 ids."""

    def __init__(self) -> None:
        self._pool = b""
        self._next = 0

    def new(self) -> str:
        start = self._next
        if start + _RANDOM_BYTES > len(self._pool):
            self._pool = os.urandom(_BATCH)
            start = 0
        self._next = start + _RANDOM_BYTES
        return f"req_{int(wall() * 1000):012x}{self._pool[start : self._next].hex()}"
