"""One caller's connection: aiohttp's protocol with deadlines, back-pressure and our error shape.

aiohttp parses what comes in; what goes out is written by `out.py`. This class adds

- back-pressure: when the caller does not read, the source of its answer is paused at once;
- deadlines for slow requests: a head must be whole within `SLOW` seconds, a body must keep above
  `SLOWEST` bytes a second. One sweep over all connections checks them, so that a request costs no
  timer;
- malformed HTTP is answered in OpenAI's shape, and the connection closed.
"""

import logging
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy.base.clock import monotonic
from proxy.base.errors import BadRequest, SlowRequest
from proxy.server.out import HttpOut
from proxy.wire.errors import envelope

if TYPE_CHECKING:
    from proxy.core.ports import Answer
    from proxy.server.arrival import Arrival

log = logging.getLogger("llm-proxy.server")

SLOW = 10.0
SLOWEST = 1024

_SLOW_HEAD = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n"
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
        if self.transport is not None:
            body = envelope(SlowRequest(f"the head did not come within {SLOW:g} seconds"))
            self.transport.write(_SLOW_HEAD % (len(body), body))
        self.force_close()

    def handle_error(
        self,
        request: Any,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> Any:
        """What aiohttp's parser refused. Its words may quote the request and are not sent back."""
        if status != 400:
            log.error("the server failed", exc_info=exc)
        arrival = cast("Arrival", request)
        arrival.keep_alive = False
        out = HttpOut(self, arrival, b"")
        out.refuse(BadRequest("this is not valid HTTP/1.1", code="bad_http"))
        return out.written
