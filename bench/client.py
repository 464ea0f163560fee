"""One connection of the load generator: sends a prepared request, times and judges the answer.

Raw `asyncio.Protocol` + httptools; the owner is told when an answer ended and why, and may ask
again at once on the same connection. Times are taken once per read, not per event: a read that
brings two chunks has one gap, and `reads` beside `chunks` shows how much arrived together.
"""

import asyncio
from typing import Protocol, cast

import httptools

from bench.verdict import Verdict
from proxy.base.clock import monotonic


class Sample(Protocol):
    """Takes one time after the other, in seconds."""

    def append(self, seconds: float, /) -> None: ...


class Counts(Protocol):
    """Counts chunks, those within the window only."""

    open: bool
    chunks: int
    reads: int

    @property
    def gaps(self) -> Sample: ...


class Owner(Protocol):
    """Who is told what happens to an answer."""

    def flows(self, connection: "Connection", after: float, /) -> None:
        """The first chunk of a stream arrived, so many seconds after the request was due."""

    def answered(self, connection: "Connection", wrong: str | None, /) -> None:
        """The answer is over; `wrong` says what was wrong with it, None nothing.

        When the connection cannot be used again, `connection.alive` is already false.
        """


class Connection(asyncio.Protocol):
    """One client connection; one answer at a time."""

    __slots__ = (
        "_counts", "_ended", "_keep", "_last", "_owner", "_parser", "_transport", "_verdict",
        "began", "busy", "streamed",
    )  # fmt: skip

    def __init__(self, owner: Owner, counts: Counts) -> None:
        self._owner = owner
        self._counts = counts
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._verdict: Verdict | None = None
        self._ended = False
        self._keep = True
        self._last = 0.0
        self.began = 0.0
        self.busy = False
        self.streamed = False

    @property
    def alive(self) -> bool:
        return self._transport is not None

    @property
    def chunks(self) -> int:
        """Chunks of the present stream so far."""
        return self._verdict.chunks if self._verdict is not None else 0

    def silent_since(self) -> float:
        """When the last byte came, or the request was sent."""
        return max(self._last, self.began)

    def ask(self, request: bytes, verdict: Verdict, due: float | None = None) -> None:
        """Send a request; only when not busy and alive. Its times count from when it was `due`."""
        assert self._transport is not None
        self._verdict = verdict
        self.streamed = verdict.streamed
        self._last = 0.0
        self.busy = True
        self.began = monotonic() if due is None else due
        self._transport.write(request)

    def drop(self, wrong: str | None) -> None:
        """Close now. The owner of a busy one hears `wrong`, or nothing if that is None."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if wrong is not None:
            self._end(wrong)
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it.

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._end("reset" if exc is not None else "cut")

    def data_received(self, data: bytes) -> None:
        verdict = self._verdict
        before = verdict.chunks if verdict is not None else 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.drop("malformed")
            return
        if self.streamed and verdict is not None:
            self._time_read(verdict.chunks - before)
        if self._ended:
            self._ended = False
            self._finish()

    def _time_read(self, new: int) -> None:
        if not new:
            return
        now = monotonic()
        counts = self._counts
        if counts.open:
            counts.chunks += new
            counts.reads += 1
            if self._last:
                counts.gaps.append(now - self._last)
        if not self._last:
            self._owner.flows(self, now - self.began)
        self._last = now

    def on_body(self, body: bytes) -> None:
        if self._verdict is not None:
            self._verdict.feed(body)

    def on_message_complete(self) -> None:
        self._ended = True
        self._keep = self._parser.should_keep_alive()

    def _finish(self) -> None:
        verdict = self._verdict
        if verdict is None or not self.busy:
            self.drop("unasked")
            return
        wrong = verdict.end(self._parser.get_status_code())
        if not self._keep:
            transport, self._transport = self._transport, None
            if transport is not None:
                transport.abort()
        self._end(wrong)

    def _end(self, wrong: str | None) -> None:
        if self.busy:
            self.busy = False
            self._owner.answered(self, wrong)
