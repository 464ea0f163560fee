"""One caller's connection: asyncio's protocol around the reader, with deadlines and back-pressure.

One task a connection runs its requests one after the other. The invariants:

- a request that is here whole and not served yet stops the reading of more: the rest is held, and
  above `HIGH` bytes of it, or of a body that nobody takes, nothing is received any more;
- when the caller does not read, the source of its answer is paused at once;
- no request costs a timer: a sweep once a second finds slow heads and bodies, idle connections and
  callers that never read the end of their last answer;
- a caller that is gone cancels what it asked for.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from proxy.base.turn import Turn
from proxy.core.writer import Writer
from proxy.server.ports import Serve
from proxy.server.raw.arrival import Arrival
from proxy.server.raw.pieces import passed_over
from proxy.server.raw.reader import STEP, RequestReader
from proxy.server.refusals import (
    KEEP_ALIVE,
    LINGER,
    SLOW,
    SLOWEST,
    bad_http,
    slow_body,
    slow_head,
)

if TYPE_CHECKING:
    from proxy.core.ports import Answer

IDLE: Final = 5.0
"""Seconds without a request after which nothing is kept of the last one."""
HIGH: Final = 64 * 1024
"""Bytes received and not taken above which receiving is paused."""


class Connection(asyncio.Protocol):
    """A socket, a reader and the task that serves what was read."""

    __slots__ = (
        "_arrival",
        "_body_mark",
        "_body_seen",
        "_closing",
        "_drained",
        "_held",
        "_last",
        "_loop",
        "_open",
        "_reader",
        "_reading_paused",
        "_serve",
        "_since",
        "_task",
        "_waiter",
        "draining",
        "source",
        "writable",
        "writer",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        serve: Serve,
        registry: "set[Connection]",
        turn: Turn,
    ) -> None:
        self._loop = loop
        self._serve = serve
        self._open = registry
        self.writer = Writer(turn)
        self._reader = RequestReader(self)
        self._arrival: Arrival | None = None  # What is being served.
        self._held = b""
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._reading_paused = False
        self._closing = False
        self._since = 0.0
        self._last: object = None
        self._body_mark: float | None = None
        self._body_seen = 0
        self.source: Answer | None = None
        self.draining = False
        self.writable = True

    # What comes in.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.writer.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass.
        self._open.add(self)
        self._task = self._loop.create_task(self._run())

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if self._held or reader.ahead:
            self._held += data
        elif not reader.read_again(data):
            if len(data) <= STEP and not reader.beside:
                reader.read(data)
            else:
                self._held = self._read_in_steps(data)
        arrival = self._arrival
        if arrival is not None:
            arrival.moved()
        elif self._waiter is not None and (reader.ready or reader.broken):
            waiter, self._waiter = self._waiter, None
            if not waiter.done():  # Else the service is stopping.
                waiter.set_result(None)
        if reader.current is not None or self._held:
            self._regulate()

    def eof_received(self) -> None:
        """The transport closes behind this, and would drop what waits for the end of the turn."""
        self.writer.turn.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.writer.transport = None
        self._open.discard(self)
        if self._arrival is not None:
            self._arrival.fail(exc or ConnectionResetError("the caller is gone"))
        self._reader.close()
        self._release_writer()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def body_taken(self) -> None:
        """Called by an arrival whose body was taken as far as it had come."""
        if self._reading_paused:
            self._regulate()

    def _read_in_steps(self, data: bytes) -> bytes:
        """Read until a request is whole that nobody serves yet; gives what was not read."""
        reader, view, at = self._reader, memoryview(data), 0
        while at < len(data) and not reader.ahead and not reader.deaf:
            if reader.beside:
                at = reader.read_beside(data, at)
                continue
            body = reader.current.left if reader.current is not None else 0
            step = max(STEP, body)
            reader.read(view[at : at + step])
            at += step
        return b"" if reader.deaf else data[at:]

    def _regulate(self) -> None:
        """Receive, unless too much waits already."""
        arrival = self._reader.current
        full = len(self._held) > HIGH or (arrival is not None and arrival.unread > HIGH)
        transport = self.writer.transport
        if full != self._reading_paused and transport is not None:
            self._reading_paused = full
            if full:
                transport.pause_reading()
            else:
                transport.resume_reading()

    # What goes out.

    def pause_writing(self) -> None:
        self.writable = False
        if self.source is not None:
            self.source.pause()

    def resume_writing(self) -> None:
        self._release_writer()
        if self.source is not None:
            self.source.resume()

    async def drain(self) -> None:
        """Wait until the caller has read. Raises ConnectionError when it is gone."""
        if not self.writable:
            self._drained = drained = self._loop.create_future()
            await drained
        if self.writer.transport is None:
            raise ConnectionResetError("the caller is gone")

    def _release_writer(self) -> None:
        self.writable = True
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # The requests.

    async def _run(self) -> None:
        """Serve one request after the other."""
        reader, serve = self._reader, self._serve
        try:
            while True:
                if self._held:
                    self._go_on()
                if not reader.ready:
                    if reader.broken:
                        self.writer.write(bad_http())
                        break
                    self._waiter = waiter = self._loop.create_future()
                    await waiter
                    continue
                self._arrival = arrival = reader.ready.popleft()
                await serve(arrival)
                if not arrival.complete:
                    await self._pass_over(arrival)
                self._arrival = None
                if not (arrival.keep_alive and arrival.complete) or self.writer.transport is None:
                    break
                if not self.writable:
                    await self.drain()  # Else what it asks and never reads would pile up here.
        finally:
            self._arrival = None
            self._close()

    def _go_on(self) -> None:
        """Read what was held while a request waited."""
        if not self._reader.ahead:
            held, self._held = self._held, b""
            self._held = self._read_in_steps(held)
            self._regulate()

    async def _pass_over(self, arrival: Arrival) -> None:
        """Read what is left of a body that nobody wanted, for a while: a caller that still sends
        would otherwise see a reset in place of its answer."""
        transport = self.writer.transport
        if transport is None or transport.is_closing():
            return
        if not await passed_over(arrival, LINGER):
            arrival.keep_alive = False

    def _close(self) -> None:
        self._closing = True
        self._reader.deaf = True
        self.writer.close()

    # Time and the end.

    def begin_drain(self) -> None:
        """Close when idle; else once the request that is here, or half here, is answered."""
        self.draining = True
        if self._arrival is not None:
            self._arrival.keep_alive = False
        elif self._reader.ready:
            self._reader.ready[0].keep_alive = False
        elif not self._reader.partial and not self._reader.broken:
            self.end()

    def end(self) -> "asyncio.Task[None] | None":
        """Close now; gives the task that ends with it, and closes itself where an answer is on its
        way: how an answer is broken off depends on its framing."""
        task = self._task
        if task is not None:
            task.cancel()
        if self._arrival is None:
            self._close()
        return task

    def sweep(self, now: float) -> None:
        """Called about once a second: end what is too slow."""
        reader, arrival = self._reader, self._arrival
        if arrival is not None and (self.writable or self.source is not None):
            self._watch_body(arrival, now)
            return  # Else its answer is out, and waits for the caller to read.
        self._body_mark = None
        transport = self.writer.transport
        buffered = transport.get_write_buffer_size() if transport is not None else 0
        state = (reader.heads, reader.partial, self._closing, buffered)
        if state != self._last:
            self._last, self._since = state, now
        elif self._closing:
            if now - self._since > KEEP_ALIVE and transport is not None:
                transport.abort()  # It reads nothing of what it was sent last.
        elif reader.partial and now - self._since > SLOW:
            self.writer.write(slow_head())
            self.end()
        elif now - self._since > KEEP_ALIVE:
            self.end()
        elif now - self._since > IDLE:
            reader.forget()

    def _watch_body(self, arrival: Arrival, now: float) -> None:
        self._last = None
        if arrival.complete or self._reading_paused:
            self._body_mark = None  # No body is awaited, or it is we who make it wait.
            return
        seen = arrival.received
        if self._body_mark is None or seen < self._body_seen:
            self._body_mark, self._body_seen = now, seen
        elif now - self._body_mark > SLOW:
            if seen - self._body_seen < SLOWEST * (now - self._body_mark):
                arrival.keep_alive = False
                arrival.fail(slow_body())
            self._body_mark, self._body_seen = now, seen
