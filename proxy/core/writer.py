"""A caller's connection, as far as it is written to: whichever HTTP server keeps it, all that goes
out passes here. Compiled and known by its class, unlike the ports: it is asked for each piece of a
stream, and of hundreds of streams nothing is in the near caches, so that each object on a piece's
way costs more than what it does (ADR 0025)."""

from typing import TYPE_CHECKING

from proxy.base.turn import Turn
from proxy.wire.chunked import chunk

if TYPE_CHECKING:
    from asyncio import Transport


class Writer:
    """The transport, until the caller is gone, the turn of the event loop that its writes leave
    with, and the framing of the body that is being written (RFC 9112 §6)."""

    __slots__ = ("_chunked", "_head", "transport", "turn")

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.transport: Transport | None = None
        self._head: bytes | None = None  # Waits for the first bytes of the body.
        self._chunked = False

    def write(self, data: bytes) -> None:
        """Write. Nothing happens where the caller is gone: whoever answers it is cancelled."""
        transport = self.transport
        if transport is not None:
            self.turn.write(transport, data)

    def begin(self, head: bytes, *, chunked: bool) -> None:
        """A body in pieces; the head leaves with the first of them."""
        self._head = head
        self._chunked = chunked

    def piece(self, data: bytes) -> None:
        """A piece of the body, at once."""
        if self._chunked:
            data = chunk(data)
        if self._head is not None:
            data, self._head = self._head + data, None
        transport = self.transport
        if transport is not None:
            self.turn.write(transport, data)

    def end(self) -> None:
        """The body is whole."""
        last = b"0\r\n\r\n" if self._chunked else b""
        if self._head is not None:
            last, self._head = self._head + last, None
        if last:
            self.write(last)

    def close(self) -> None:
        """Close, after what was written."""
        transport = self.transport
        if transport is not None:
            self.turn.close(transport)
