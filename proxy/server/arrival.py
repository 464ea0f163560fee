"""A request as it arrived: aiohttp's parsed head, and the body still on the wire.

Implements the port `Incoming`.
"""

from asyncio import CancelledError
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from aiohttp import hdrs
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from aiohttp.web import RequestPayloadError

from proxy.base.errors import TooLarge
from proxy.server.refusals import bad_framing
from proxy.server.target import split

if TYPE_CHECKING:
    from proxy.server.connection import Connection
    from proxy.wire.recalled import Recalled

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Arrival:
    """One request on one connection."""

    __slots__ = (
        "connection",
        "head",
        "headers",
        "http_1_1",
        "id",
        "keep_alive",
        "length",
        "method",
        "path",
        "payload",
        "query",
        "raw_headers",
        "recalled",
        "upgrade",
    )

    def __init__(
        self,
        head: RawRequestMessage,
        payload: StreamReader,
        connection: "Connection",
    ) -> None:
        self.id = ""
        self.head = head
        self.payload = payload
        self.connection = connection
        self.method: str = head.method
        self.headers: Mapping[str, str] = head.headers
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = head.raw_headers
        self.recalled: Recalled | None = None
        self.http_1_1 = head.version >= HttpVersion11
        # What follows a request for an upgrade may be in another protocol, not spoken here.
        self.upgrade: bool = bool(head.upgrade)
        # aiohttp takes the last trailer of a chunked body for a field of the next request (3.14.5).
        self.keep_alive = not (
            head.should_close or self.upgrade or head.chunked or connection.draining
        )
        self.path, self.query = _target(head)
        length = head.headers.get(hdrs.CONTENT_LENGTH)
        if length is not None:
            self.length: int | None = int(length)
        else:
            self.length = None if head.chunked else 0

    @property
    def peer(self) -> str | None:
        """The address the connection came from, where it has one."""
        transport = self.connection.transport
        name = transport.get_extra_info("peername") if transport is not None else None
        return name[0] if isinstance(name, tuple) else None

    def take(self, limit: int) -> bytes | None:
        """The whole body, if it came with the head, as small bodies do."""
        payload = self.payload
        if self.length is not None and self.length <= limit and payload.is_eof():
            return payload.read_nowait()
        return None

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises TooLarge, BadRequest (broken framing), SlowRequest."""
        pieces = [piece async for piece in self.chunks(limit)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it comes. Raises TooLarge, BadRequest (broken framing), SlowRequest."""
        payload = self.payload
        size = 0
        if self.length is not None and self.length > limit:
            raise self._too_large(limit)
        self._continue()
        try:
            while not payload.at_eof():
                piece = await payload.readany()
                size += len(piece)
                if size > limit:
                    raise self._too_large(limit)
                if piece:
                    yield piece
        except (HttpProcessingError, RequestPayloadError) as error:
            self.keep_alive = False
            raise bad_framing() from error

    def _too_large(self, limit: int) -> TooLarge:
        self.keep_alive = False
        return TooLarge(f"the body is larger than max_body ({limit} bytes)")

    def _continue(self) -> None:
        expect = self.headers.get(hdrs.EXPECT)
        if expect is not None and self.http_1_1 and not self.payload.is_eof():
            transport = self.connection.transport
            if expect.lower() == "100-continue" and transport is not None:
                transport.write(_CONTINUE)

    def _cancel(self, error: BaseException) -> None:
        """Called by aiohttp's protocol when the caller is gone."""
        self.payload.set_exception(
            error if not isinstance(error, CancelledError) else ConnectionResetError()
        )


def _target(head: RawRequestMessage) -> tuple[str, str]:
    """Raw path and query; of an absolute target (RFC 9112 §3.2.2) those of the URL."""
    target = head.path
    if not target.startswith("/"):
        target = head.url.raw_path_qs if head.url.absolute else target
    return split(target)
