"""Request ids: sortable by time, unique across workers and hosts."""

import os
from typing import Final

from proxy.base.clock import wall

_BATCH: Final = 4096  # Bytes.
_RANDOM_DIGITS: Final = 20


class RequestIds:
    """Makes `req_` + 12 hex digits of milliseconds + 20 random hex digits (the layout of UUIDv7,
    RFC 9562 §5.7). Random bytes are drawn in batches: one system call for about 400 ids."""

    def __init__(self) -> None:
        self._pool = ""
        self._left = 0  # Digits of it.

    def new(self) -> str:
        left = self._left
        if left < _RANDOM_DIGITS:
            self._pool = os.urandom(_BATCH).hex()
            left = 2 * _BATCH
        self._left = rest = left - _RANDOM_DIGITS
        return f"req_{int(wall() * 1000):012x}{self._pool[rest:left]}"
