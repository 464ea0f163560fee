"""One caller's connection: aiohttp's protocol with deadlines, back-pressure and our error shape.

aiohttp parses what comes in and keeps the connection; `out.py` writes what goes out. This class
runs the requests one after the other, without aiohttp's task and writer for each, and adds

- back-pressure: when the caller does not read, the source of its answer is paused at once;
- deadlines for slow requests: a head must be whole within `SLOW` seconds, a body must keep above
  `SLOWEST` bytes a second. One sweep over all connections checks them, so that a request costs no
  timer;
- malformed HTTP is answered in OpenAI's shape, and the connection closed.
"""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion10, HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from aiohttp.web import RequestPayloadError
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from proxy.base.clock import monotonic
from proxy.base.errors import SlowRequest
from proxy.base.turn import AtOnce
from proxy.core.writer import Writer
from proxy.server.arrival import Arrival
from proxy.server.ports import Serve
from proxy.server.refusals import HEAD_LIMIT, SLOW, SLOWEST, bad_http, slow_body, slow_head

if TYPE_CHECKING:
    from proxy.core.ports import Answer


class Connection(RequestHandler):
    """aiohttp's server protocol, and who feeds it."""

    __slots__ = (
        "_body_mark",
        "_body_seen",
        "_head_since",
        "_head_size",
        "draining",
        "source",
        "writer",
    )

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self.source: Answer | None = None
        self.draining = False
        self.writer = Writer(AtOnce())  # aiohttp closes transports itself, in many places.
        self._head_since: float | None = None  # A head has begun and is not whole.
        self._head_size = 0
        self._body_mark: float | None = None
        self._body_seen = 0

    @property
    def writable(self) -> bool:
        """Whether the caller reads what we write."""
        return not self._paused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.writer.transport = self.transport

    def force_close(self) -> None:
        """Close now. aiohttp calls it, too, also where the caller has closed."""
        self.writer.transport = None
        super().force_close()

    async def drain(self) -> None:
        """Wait until the caller has read. Raises ConnectionError when it is gone."""
        await self._drain_helper()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.source is not None:
            self.source.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.source is not None:
            self.source.resume()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            self._spoil_body()
        if self._current_request is not None or self._messages:
            self._head_since = None
            self._head_size = 0
        elif data:
            if self._waiter is not None:  # Else it is the rest of a body.
                self._head_size += len(data)
            if self._head_size > HEAD_LIMIT:
                self.writer.write(bad_http())
                self.force_close()
            elif self._head_since is None:
                self._head_since = monotonic()

    async def start(self) -> None:
        """Serve one request after the other: aiohttp's own loop does the same with a task and a
        response writer for each, which cost more than our whole pipeline (ADR 0002)."""
        serve = cast("Serve", self._request_handler)
        while not self._force_close:
            if not self._messages:
                self._waiter = waiter = self._loop.create_future()
                try:
                    await waiter
                finally:
                    self._waiter = None
            head, payload = self._messages.popleft()
            self._make_room()
            if isinstance(head, _ErrInfo) or not _is_spoken(head):
                self.writer.write(bad_http())
                break
            arrival = Arrival(head, payload, self)
            await self._serve(arrival, serve)
            if not payload.is_eof() and not self._force_close:
                await self._discard(payload)
            if not arrival.keep_alive or self._close or not payload.is_eof():
                break
            if not self.writable:
                await self.drain()  # Else what it asks and never reads would pile up here.
            self._keepalive = True
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = self._loop.call_at(
                    self._next_keepalive_close_time, self._process_keepalive
                )
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _serve(self, arrival: Arrival, serve: Serve) -> None:
        self._current_request = cast("Any", arrival)
        self._request_in_progress = True
        try:
            await serve(arrival)
        except BaseException:
            self.force_close()
            raise
        finally:
            self._current_request = None
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)

    def _spoil_body(self) -> None:
        """What came is not HTTP: so is the body that is being read, of which the parser tells its
        reader nothing."""
        arrival = cast("Arrival | None", self._current_request)
        if arrival is not None and not arrival.payload.is_eof():
            arrival.payload.set_exception(RequestPayloadError("broken"))

    def _make_room(self) -> None:
        """Let the parser go on with requests that the caller has sent ahead."""
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    async def _discard(self, payload: StreamReader) -> None:
        """Read what is left of a body that nobody wanted, for a while: a caller that still sends
        would otherwise see a reset in place of its answer."""
        try:
            async with asyncio.timeout(self._lingering_time):
                while not payload.is_eof():
                    await payload.readany()
        except (TimeoutError, HttpProcessingError, RequestPayloadError, SlowRequest):
            self.close()

    def begin_drain(self) -> None:
        """Close when idle; else once the request that is here, or half here, is answered."""
        self.draining = True
        arrival = cast("Arrival | None", self._current_request)
        if arrival is not None:
            arrival.keep_alive = False
        elif not self._messages and self._head_since is None:
            self.force_close()

    def sweep(self, now: float) -> None:
        """Called about once a second: end what is too slow."""
        if self._head_since is not None and now - self._head_since > SLOW:
            self._refuse_slow_head()
            return
        arrival = cast("Arrival | None", self._current_request)
        if arrival is None or arrival.payload.is_eof() or self._reading_paused:
            self._body_mark = None  # No body is awaited, or it is we who make it wait.
            return
        seen = arrival.payload.total_bytes
        if self._body_mark is None or arrival.payload.total_bytes < self._body_seen:
            self._body_mark, self._body_seen = now, seen
        elif now - self._body_mark > SLOW:
            if seen - self._body_seen < SLOWEST * (now - self._body_mark):
                arrival.keep_alive = False
                arrival.payload.set_exception(slow_body())
            self._body_mark, self._body_seen = now, seen

    def _refuse_slow_head(self) -> None:
        self.writer.write(slow_head())
        self.force_close()


def _is_spoken(head: RawRequestMessage) -> bool:
    """Whether version and coding are among those that are spoken here."""
    coding = head.headers.get(hdrs.TRANSFER_ENCODING)
    if coding is None:
        return head.version in {HttpVersion10, HttpVersion11}
    return head.version == HttpVersion11 and head.chunked and coding.lower() == "chunked"
