"""A request as httptools' server read it, and its body as it comes.

Implements the port `Incoming`. The reader adds pieces; whoever serves the request takes them. Most
bodies are whole before anybody asks: then no future is made.
"""

from asyncio import Future, get_running_loop
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from proxy.base.errors import TooLarge
from proxy.server.ports import Line
from proxy.server.raw.pieces import chunks, whole

if TYPE_CHECKING:
    from proxy.wire.recalled import Recalled

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Feeder(Line, Protocol):
    """The connection that a body comes on."""

    def body_taken(self) -> None:
        """The body was taken as far as it had come."""


class Arrival:
    """One request on one connection."""

    __slots__ = (
        "_failure",
        "_waiter",
        "complete",
        "connection",
        "headers",
        "http_1_1",
        "id",
        "keep_alive",
        "length",
        "method",
        "path",
        "pieces",
        "query",
        "raw_headers",
        "recalled",
        "received",
        "taken",
        "upgrade",
    )

    http_1_1: bool
    length: int | None
    path: str
    query: str
    upgrade: bool

    def __init__(
        self,
        connection: Feeder,
        method: str,
        headers: Mapping[str, str],
        raw_headers: tuple[tuple[bytes, bytes], ...],
    ) -> None:
        self.id = ""
        self.connection = connection
        self.method = method
        self.headers = headers
        self.raw_headers = raw_headers
        self.recalled: Recalled | None = None
        self.keep_alive = True
        self.pieces: list[bytes] = []  # What came and was not taken.
        self.received = 0
        self.taken = 0
        self.complete = False
        self._failure: BaseException | None = None
        self._waiter: Future[None] | None = None

    @property
    def peer(self) -> str | None:
        """The address the connection came from, where it has one."""
        transport = self.connection.writer.transport
        name = transport.get_extra_info("peername") if transport is not None else None
        return name[0] if isinstance(name, tuple) else None

    @property
    def left(self) -> int:
        """Bytes of the body that must still come; 0 when that is not known."""
        return self.length - self.received if self.length is not None else 0

    @property
    def unread(self) -> int:
        """Bytes that nobody has taken yet."""
        return self.received - self.taken

    def take(self, limit: int) -> bytes | None:
        """The whole body, if it is here already, as small ones are that came with the head."""
        if self.complete and self.received <= limit and self._failure is None:
            return self._take()
        return None

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises TooLarge, BadRequest (broken framing), SlowRequest."""
        return await whole(self, limit)

    def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it comes. Raises TooLarge, BadRequest (broken framing), SlowRequest."""
        return chunks(self, limit)

    # For raw/pieces.py.

    def begin(self, limit: int) -> None:
        """Somebody wants the body: the caller may be waiting for that (RFC 9110, 10.1.1)."""
        if self.length is not None and self.length > limit:
            raise self.too_large(limit)
        self._continue()

    def next(self, limit: int) -> bytes | None:
        """What has come; empty where nothing has, None at the end. Raises like `chunks`."""
        if self._failure is not None:
            raise self._failure
        if not self.pieces:
            return None if self.complete else b""
        piece = self._take()
        if self.taken > limit:
            raise self.too_large(limit)
        return piece

    def drop(self) -> bool:
        """Let go what has come. Whether more will."""
        if self.complete or self._failure is not None:
            return False
        self._take()
        return True

    def more(self) -> Future[None]:
        """Done when something more has come, or the end."""
        self._waiter = waiter = get_running_loop().create_future()
        return waiter

    # Called by the connection.

    def moved(self) -> None:
        """Something of the body has come, or its end: tell who waits for it."""
        if self._waiter is not None and (self.pieces or self.complete):
            self._wake()

    def fail(self, failure: BaseException) -> None:
        """It will never be whole. What came before may not be taken for it."""
        if self._failure is None and not self.complete:
            self._failure = failure
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _take(self) -> bytes:
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.taken = self.received
        self.connection.body_taken()
        return data

    def too_large(self, limit: int) -> TooLarge:
        """It is longer than that."""
        self.keep_alive = False
        return TooLarge(f"the body is larger than max_body ({limit} bytes)")

    def _continue(self) -> None:
        expect = self.headers.get("expect")
        asked = expect is not None and expect.lower() == "100-continue"
        if asked and self.http_1_1 and not self.complete:
            self.connection.writer.write(_CONTINUE)
