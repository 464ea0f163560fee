"""A vendor's answer: what the connection read, until somebody takes it.

Before anybody pumps, body bytes are held up to a bound, then the connection stops reading. Once
somebody pumps, the connection has the sink and calls it itself, in the loop turn of the read: of a
stream's chunk the answer learns nothing. The answer ends
exactly once, and lets go of its connection then: nothing done to it later can touch the next
request on that connection. Futures here never carry exceptions, so none can go unretrieved.
Cancelling any of the coroutines aborts the answer.
"""

import asyncio
from typing import Final, Protocol

from proxy.base.errors import Cut, Malformed
from proxy.core.ports import RawHeaders, Sink
from proxy.upstream.coding import Collector

HELD_LIMIT: Final = 256 * 1024
"""Bytes of body held for a reader that has not come yet, before the connection stops reading."""


class Line(Protocol):
    """What an answer needs from the connection it arrives on."""

    sink: Sink | None  # What body bytes are given to; without one they are held.

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None: ...


class HttpAnswer:
    """An answer whose head is known (the port `Answer`)."""

    __slots__ = (
        "_ended",
        "_error",
        "_full",
        "_held",
        "_held_size",
        "_line",
        "_paused",
        "_waiter",
        "headers",
        "here",
        "status",
    )

    def __init__(self, status: int, headers: RawHeaders, line: Line) -> None:
        self.status = status
        self.headers = headers
        self._line: Line | None = line
        self._held: list[bytes] = []
        self._held_size = 0
        self._full = False
        self._paused = False
        self._ended = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.here = False

    async def ready(self) -> None:
        """Return when the first bytes of the body are here, or its end."""
        if not self._held and not self._ended:
            await self._wait()
        if self._error is not None and not self._held:
            raise self._error

    async def read(self, limit: int) -> bytes:
        """The whole body, its Content-Encoding undone, at most `limit` bytes."""
        try:
            collector = Collector(self.headers, limit)
        except Malformed:
            self.abort()
            raise
        await self.pump(collector.add)
        return collector.finish()

    def take(self) -> bytes | None:
        """The whole body, coding untouched, if it is here already."""
        if not self._ended or self._error is not None:
            return None
        held = self._held
        return held.pop() if len(held) == 1 else self._taken()

    async def pump(self, sink: Sink) -> None:
        """Call `sink` with the body as it comes, until its declared end."""
        if self._line is not None and self._line.sink is not None:
            raise RuntimeError("this answer is being pumped already")
        if self._held:
            try:
                sink(self._taken())
            except BaseException:
                self.abort()
                raise
        if self._line is not None:
            self._line.sink = sink
            if self._full:
                self._full = False
                if not self._paused:
                    self._line.resume_reading()
            try:
                await self._wait()
            finally:
                if self._line is not None:
                    self._line.sink = None
        if self._error is not None:
            raise self._error

    def pause(self) -> None:
        """Stop reading from the vendor."""
        self._paused = True
        if self._line is not None:
            self._line.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        if self._line is not None and not self._full:
            self._line.resume_reading()

    def abort(self) -> None:
        """Drop the answer and its connection now."""
        line = self._line
        if line is not None:
            self.end(Cut("the answer was given up before its end"))
            line.abort()

    # For the connection.

    def hold(self, data: bytes) -> None:
        """Keep body bytes for whoever comes."""
        self._held.append(data)
        self._held_size += len(data)
        self.here = True
        if self._held_size >= HELD_LIMIT and self._line is not None:
            self._full = True
            self._line.pause_reading()
        if self._waiter is not None:
            self._wake()

    def end(self, error: BaseException | None) -> None:
        """The body is whole (None), or nothing more will come."""
        if self._ended:
            return
        self._ended = True
        self._error = error
        self._line = None
        if error is None:
            self.here = True
        if self._waiter is not None:
            self._wake()

    def _taken(self) -> bytes:
        held = self._held
        data = held[0] if len(held) == 1 else b"".join(held)
        self._held = []
        self._held_size = 0
        return data

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("somebody waits for this answer already")
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None


Outcome = HttpAnswer | Exception
"""What a request's future carries: the answer, or why there is none (the waiter raises it)."""
