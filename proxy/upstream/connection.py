"""One connection to an origin: an asyncio.Protocol that carries one request at a time.

After each read the reader is asked what came, and the body goes to the answer's sink in the same
loop turn: per chunk no task, no clock, no timer, no log. Time is kept by the sweep (deadlines.py),
which looks at the flag `_moved` that a read sets. Invariants: a connection is idle, busy (`_waiter`
or `_answer` is set) or closed; it goes back to its owner only after an answer that ended as it
said it would, with nothing after it; it leaves its owner exactly once, by `forget`.
"""

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, cast

import httptools

from proxy.base.clock import monotonic
from proxy.base.errors import Cut, Malformed, Reset, TimedOut
from proxy.base.turn import Turn
from proxy.core.outgoing import Timeouts
from proxy.upstream.answer import HttpAnswer, Outcome
from proxy.upstream.reading import ResponseReader

if TYPE_CHECKING:
    from proxy.core.ports import Sink

_JOIN_LIMIT: Final = 16 * 1024
_NO_TIMEOUTS: Final = Timeouts()


class Owner(Protocol):
    """Who keeps connections: the pool."""

    turn: Turn

    def release(self, connection: "Connection") -> None:
        """Take back a connection that may carry another request."""

    def forget(self, connection: "Connection") -> None:
        """Strike out a connection that is closed."""


class Connection(asyncio.Protocol):
    """A socket, a parser and the exchange that is on its way."""

    __slots__ = (
        "_answer",
        "_begun",
        "_drain",
        "_large",
        "_loop",
        "_mark",
        "_moved",
        "_owner",
        "_peer",
        "_reader",
        "_reading_paused",
        "_sent_at",
        "_spoiled",
        "_started",
        "_timeouts",
        "_transport",
        "_uploading",
        "_uses",
        "_waiter",
        "_writing_paused",
        "closed",
        "idle_since",
        "sink",
    )

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner, peer: str) -> None:
        self._loop = loop
        self._owner = owner
        self._peer = peer
        self._reader = ResponseReader()
        self._waiter: asyncio.Future[Outcome] | None = None
        self._answer: HttpAnswer | None = None
        self.sink: Sink | None = None  # Of `_answer`, once that is pumped.
        self._drain: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._writing_paused = False
        self._uses = 0
        self._timeouts = _NO_TIMEOUTS
        self._started = self._sent_at = self._mark = 0.0
        self._begun = self._moved = self._uploading = self._spoiled = self._large = False
        self.closed = False
        self.idle_since = 0  # The owner's epoch, not a time.

    @property
    def busy(self) -> bool:
        return self._waiter is not None or self._answer is not None

    @property
    def stale(self) -> bool:
        """Whether it had been used before and gave no byte of an answer this time."""
        return self._uses > 1 and not self._reader.heard

    @property
    def usable(self) -> bool:
        return not self.closed and not self._transport.is_closing()

    # The request.

    def begin(
        self, timeouts: Timeouts, started: float, sent_at: float, head_only: bool
    ) -> asyncio.Future[Outcome]:
        """Start an exchange; the future's result comes with the head of the answer."""
        self._timeouts = timeouts
        self._started = started
        self._sent_at = sent_at
        self._begun = self._moved = self._spoiled = self._large = False
        self._uses += 1
        self._reader.expect(head_only=head_only)
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def write_request(self, head: bytes, body: bytes) -> None:
        """Write a request whose body is in memory."""
        if len(body) <= _JOIN_LIMIT:
            self._owner.turn.write(self._transport, head + body)
        else:
            self._large = True
            self._transport.writelines((head, body))

    def begin_upload(self, head: bytes) -> None:
        """Write the head of a request whose body follows in pieces."""
        self._uploading = True
        self._mark = self._sent_at
        self._transport.write(head)

    async def write_piece(self, data: bytes) -> None:
        """Write a piece of an upload and wait while the vendor does not take more."""
        self._transport.write(data)
        if self._writing_paused:
            self._drain = drain = self._loop.create_future()
            try:
                await drain
            finally:
                self._drain = None
        self._moved = True

    def end_upload(self) -> None:
        """The upload is whole: from now on the vendor's time to answer runs."""
        if self._uploading:
            self._uploading = self._moved = False
            self._sent_at = monotonic()

    @property
    def uploading(self) -> bool:
        """Whether the vendor still wants more of the upload."""
        return self._uploading and self.usable

    # The answer's line.

    def pause_reading(self) -> None:
        if not self._reading_paused and self.usable:
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            if self.usable:
                self._transport.resume_reading()

    def abort(self) -> None:
        """Close now. Idempotent. Whoever waits for the answer learns that it was given up."""
        self.fail(Cut("the answer was given up before its end"))

    def fail(self, error: Exception) -> None:
        """Close now and end the exchange with this error."""
        if self.closed:
            return
        waiter, answer = self._waiter, self._answer
        self._close()
        if answer is not None:
            answer.end(error)
        elif waiter is not None and not waiter.done():
            waiter.set_result(error)

    # Deadlines.

    def check(self, now: float) -> None:
        """End the exchange if one of its deadlines has passed."""
        timeouts = self._timeouts
        if now - self._started >= timeouts.total:
            self._expire("total", timeouts.total, "the whole answer did not come")
        elif self._uploading:
            if self._moved or not self._writing_paused:
                self._moved = False
                self._mark = now
            elif now - self._mark >= timeouts.idle:
                self._expire("idle", timeouts.idle, "no more of the request was accepted")
        elif self._moved:
            self._moved = False
            self._begun = True
            self._mark = now
        elif self._reading_paused:
            self._mark = now
        elif not self._begun:
            if now - self._sent_at >= timeouts.first_token:
                self._expire("first_token", timeouts.first_token, "no byte of a body came")
        elif now - self._mark >= timeouts.idle:
            self._expire("idle", timeouts.idle, "the answer fell silent")

    # asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is not None and (chunk := self._reader.chunk(data)) is not None:
            self._pass_on(answer, chunk)  # Nearly every read of a stream.
        else:
            self._parse(answer, data)

    def eof_received(self) -> None:
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake_writer()

    # Steps of the above.

    def _parse(self, answer: HttpAnswer | None, data: bytes) -> None:
        reader = self._reader
        failure: Malformed | None = None
        try:
            reader.feed(data)
        except httptools.HttpParserError as error:
            failure = reader.failure(error)
        try:
            if answer is None:
                answer = self._head_came(len(data), failure)
                if answer is None:
                    return
            parts = reader.parts
            if parts:
                body = parts[0] if len(parts) == 1 else b"".join(parts)
                parts.clear()
                if not self._pass_on(answer, body):
                    return
            elif not reader.complete:
                reader.count_unframed(len(data))
        except Malformed as error:
            self.fail(error)
            return
        if reader.complete:
            self._finish(answer)
        elif failure is not None:
            self.fail(failure)

    def _pass_on(self, answer: HttpAnswer, body: bytes) -> bool:
        """Give body to who reads; whether the exchange goes on."""
        self._moved = True
        self._reader.unframed = 0  # It led to body.
        sink = self.sink
        try:
            if sink is None:
                answer.hold(body)
            else:
                sink(body)
        except Exception as error:  # noqa: BLE001 - what a sink raises is raised again by pump().
            self.fail(error)
            return False
        return True

    def _head_came(self, size: int, failure: Malformed | None) -> HttpAnswer | None:
        reader, waiter = self._reader, self._waiter
        if waiter is None:
            self._close()  # Nothing was asked.
            return None
        if not reader.head_done:
            if failure is not None:
                raise failure
            if reader.parts:
                raise Malformed("the provider sent a body with an interim answer")
            reader.count_unframed(size)
            return None
        reader.check_head(size)
        if self._uploading:
            # The vendor has answered without waiting for the rest: it will not be sent.
            self.end_upload()
            self._spoiled = True
        self._waiter = None
        self._answer = answer = HttpAnswer(reader.status, reader.headers, self)
        if not waiter.done():
            waiter.set_result(answer)
        return answer

    def _finish(self, answer: HttpAnswer) -> None:
        if self._answer is not answer:
            return  # The sink gave it up.
        self._answer = self.sink = None
        unsent = self._large and self._transport.get_write_buffer_size() > 0
        if self._reader.reusable and not self._spoiled and not unsent:
            if self._reading_paused:
                self.resume_reading()
            self._owner.release(self)
        else:
            self._close()
        answer.end(None)

    def _lost(self, error: Exception | None) -> None:
        if self.closed:
            return
        if self._answer is None:
            self.fail(Reset(f"{self._peer} closed the connection before it answered"))
        elif error is None and self._reader.ends_with_connection:
            answer = self._answer
            self._close()
            answer.end(None)
        else:
            self.fail(Cut(f"{self._peer} closed the connection before the end of its answer"))

    def _expire(self, phase: str, seconds: float, what: str) -> None:
        self.fail(TimedOut(f"{what} from {self._peer} within {seconds:g} s", phase=phase))

    def _close(self) -> None:
        self.closed = True
        self._answer = self.sink = None
        self._waiter = None
        self._transport.abort()
        self._wake_writer()
        self._owner.forget(self)

    def _wake_writer(self) -> None:
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
