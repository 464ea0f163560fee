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
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http import HttpVersion10
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from aiohttp.web import RequestPayloadError
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from proxy.base.clock import monotonic
from proxy.base.errors import BadRequest, ProxyError, SlowRequest
from proxy.server.arrival import Arrival
from proxy.wire.errors import envelope

if TYPE_CHECKING:
    from proxy.core.ports import Answer

Handler = Callable[[Arrival], Awaitable[object]]

SLOW = 10.0
SLOWEST = 1024

_LAST_ANSWER = (
    b"HTTP/1.1 %d %b\r\nconnection: close\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)


class Connection(RequestHandler):
    """aiohttp's server protocol, and who feeds it."""

    __slots__ = ("_body_mark", "_body_seen", "_head_since", "draining", "source")

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self.source: Answer | None = None
        self.draining = False
        self._head_since: float | None = None  # A head has begun and is not whole.
        self._body_mark: float | None = None
        self._body_seen = 0

    @property
    def writable(self) -> bool:
        """Whether the caller reads what we write."""
        return not self._paused

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
        if self._current_request is not None or self._messages:
            self._head_since = None
        elif self._head_since is None and data:
            self._head_since = monotonic()

    async def start(self) -> None:
        """Serve one request after the other: aiohttp's own loop does the same with a task and a
        response writer for each, which cost more than our whole pipeline (ADR 0002)."""
        serve = cast("Handler", self._request_handler)
        while not self._force_close:
            if not self._messages:
                self._waiter = waiter = self._loop.create_future()
                try:
                    await waiter
                finally:
                    self._waiter = None
            head, payload = self._messages.popleft()
            self._make_room()
            if isinstance(head, _ErrInfo) or head.version < HttpVersion10:
                self._refuse_bad_http()
                break
            arrival = Arrival(head, payload, self)
            await self._serve(arrival, serve)
            if not payload.is_eof() and not self._force_close:
                await self._discard(payload)
            if not arrival.keep_alive or self._close or not payload.is_eof():
                break
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

    async def _serve(self, arrival: Arrival, serve: "Handler") -> None:
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
                arrival.payload.set_exception(
                    SlowRequest(f"the body comes at less than {SLOWEST} bytes a second")
                )
            self._body_mark, self._body_seen = now, seen

    def _refuse_slow_head(self) -> None:
        error = SlowRequest(f"the head did not come within {SLOW:g} seconds")
        self._write(408, b"Request Timeout", error)
        self.force_close()

    def _refuse_bad_http(self) -> None:
        """What aiohttp's parser refused. Its words may quote the request and are not sent back."""
        self._write(400, b"Bad Request", BadRequest("this is not valid HTTP/1.1", code="bad_http"))

    def _write(self, status: int, reason: bytes, error: ProxyError) -> None:
        """An answer to something that never became a request; the connection ends with it."""
        if self.transport is not None:
            body = envelope(error)
            self.transport.write(_LAST_ANSWER % (status, reason, len(body), body))
