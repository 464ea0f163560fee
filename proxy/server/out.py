"""Answers written straight to the caller's transport: one write for the head and the first bytes.

aiohttp's response classes are not used: they cost more than the rest of a request (ADR 0002).

Framing (RFC 9112 §6): Content-Length when the length is known, else chunked, else (HTTP/1.0) the
end of the connection. A body that breaks off never gets its end.
"""

import socket
import struct
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy.base.clock import wall
from proxy.base.errors import InternalError, ProxyError
from proxy.core.ports import Answer, RawHeaders
from proxy.core.writer import Writer
from proxy.wire.errors import envelope

if TYPE_CHECKING:
    from asyncio import WriteTransport

    from proxy.server.ports import Line, Request

_STATUS_LINES: Final = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_JSON: Final = (b"content-type", b"application/json")
_NO_LINGER: Final = struct.pack("ii", 1, 0)  # Closing then sends RST, whatever is unsent.


class HttpOut:
    """The `Out` of one request on an HTTP/1.1 connection."""

    __slots__ = (
        "_added",
        "_connection",
        "_own",
        "_until_close",
        "_writer",
        "arrival",
        "started",
    )

    def __init__(self, connection: "Line", arrival: "Request", own: bytes) -> None:
        """`own`: header lines of ours, rendered, sent with every answer."""
        self._connection = connection
        self._writer = connection.writer
        self._own = own
        self._added = b""
        self._until_close = False
        self.arrival = arrival
        self.started = False

    def add(self, lines: bytes) -> None:
        """Header lines of ours, rendered, for the head that comes."""
        self._added = lines

    def whole(
        self, status: int, headers: RawHeaders, body: bytes, length: int | None = None
    ) -> None:
        """Head and body in one write."""
        framing = b""
        if length is None and (body or self.arrival.method != "HEAD"):
            length = len(body)  # Of an answer to HEAD without one the true length is not known.
        if length is not None and status >= 200 and status not in {204, 304}:
            framing = b"content-length: %d\r\n" % length
        head = self._render(status, headers, framing)
        self._writer.write(head if self.arrival.method == "HEAD" else head + body)

    def start(
        self, status: int, headers: RawHeaders, source: Answer, length: int | None = None
    ) -> Writer:
        """The head of a body in pieces; it leaves with the first of them."""
        chunked = False
        if length is not None:
            framing = b"content-length: %d\r\n" % length
        elif self.arrival.http_1_1:
            chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        else:
            self._until_close = True
            self.arrival.keep_alive = False
            framing = b""
        self._writer.begin(self._render(status, headers, framing), chunked=chunked)
        return self.go_on(source)

    def go_on(self, source: Answer) -> Writer:
        """The pieces come from this answer from now on."""
        connection = self._connection
        connection.source = source
        if not connection.writable:
            source.pause()
        return self._writer

    def end(self) -> None:
        """The body is whole."""
        self._writer.end()
        self._until_close = False
        self._connection.source = None

    def cut(self) -> None:
        """Close without an end. Where only the close itself would be the end, reset instead."""
        self.arrival.keep_alive = False
        self._connection.source = None
        writer = self._writer
        transport = writer.transport
        if self._until_close and transport is not None:
            writer.turn.flush()
            _reset(transport)
        else:
            writer.close()

    @property
    def full(self) -> bool:
        return not self._connection.writable

    async def flush(self) -> None:
        """Wait while the caller's connection is full."""
        if not self._connection.writable:
            await self._connection.drain()

    def refuse(self, error: ProxyError) -> None:
        """An error answer in OpenAI's shape."""
        self._added = b""  # They are of the answer that failed.
        headers = [_JSON, *error.headers]
        self.whole(error.status, headers, envelope(error))

    def _render(self, status: int, headers: RawHeaders, framing: bytes) -> bytes:
        self.started = True
        fields = b"\r\n".join(map(b": ".join, headers))
        if headers:
            fields += b"\r\n"
            # A field with a line break would let a vendor, or a model's name, write our head.
            if len(fields.translate(None, b"\r\n")) != len(fields) - 2 * len(headers):
                self.started = False
                raise InternalError("a header field cannot be sent")
        head = (_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status) + fields
        if b"\r\ndate: " not in head and b"\r\nDate: " not in head:
            head += _date_line(int(wall()))
        if not self.arrival.keep_alive:
            head += b"connection: close\r\n"
        elif not self.arrival.http_1_1:
            head += b"connection: keep-alive\r\n"
        return b"%b%b%b%b\r\n" % (head, self._own, self._added, framing)


@lru_cache(maxsize=2)
def _date_line(second: int) -> bytes:
    return b"date: %b\r\n" % formatdate(second, usegmt=True).encode()


def _reset(transport: "WriteTransport") -> None:
    """Close so that the caller sees an error and not the end of the body."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
