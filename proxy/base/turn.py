"""Writes of one turn of the event loop, made together at its end.

Between two requests a `send` walks through the kernel's network code and wakes whoever listens, and
each time pushes what Python needs out of the nearest caches. Twenty sends in a row after twenty
requests cost a fifth less than one after each (ADR 0018). Where writes come one by one, waiting
gains nothing: then they are made at once, and only now and then it is tried whether that has
changed. Order is kept, per transport and among all. What has been written is on its way: `close`
comes after it, an abort drops it.
"""

import asyncio
import logging
from typing import Final

log = logging.getLogger("llm-proxy.turn")

_ALONE: Final = 32
"""Writes made at once after one that waited and found itself alone."""
_LARGE: Final = 16 * 1024
"""Bytes that never wait: whoever sends so much must learn at once that its reader is slow."""


class Turn:
    """Where writes wait for the end of the turn."""

    __slots__ = ("_at_once", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.WriteTransport, bytes | None]] = []
        self._at_once = 0

    def write(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write now, or with the others."""
        if len(data) >= _LARGE:
            if self._waiting:
                self.flush()
            transport.write(data)
        elif self._waiting:
            self._waiting.append((transport, data))
        elif self._at_once:
            self._at_once -= 1
            transport.write(data)
        else:
            asyncio.get_running_loop().call_soon(self.flush)
            self._waiting.append((transport, data))

    def close(self, transport: asyncio.WriteTransport) -> None:
        """Close, after what was written."""
        if self._waiting:
            self._waiting.append((transport, None))
        else:
            transport.close()

    def flush(self) -> None:
        """Write all that waits."""
        waiting, self._waiting = self._waiting, []
        if len(waiting) == 1:
            self._at_once = _ALONE
        for transport, data in waiting:
            try:
                if data is None:
                    transport.close()
                elif not transport.is_closing():
                    transport.write(data)
            except Exception:
                # A bug, or a transport in a state of its own: the others are not to suffer for it.
                log.exception("a write failed")
                transport.abort()


class AtOnce(Turn):
    """For transports that others close, too: nothing waits."""

    __slots__ = ()

    def write(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write now."""
        transport.write(data)
