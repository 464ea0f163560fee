"""One connection: what is sent in one turn of the loop leaves in one write, replies come in order.

A request in flight is a `Waiter`; whoever asked may have gone, so the reply is given to the waiter
in any case and never to the next one. There is no timer per call: one timer looks at the oldest
request. What is not answered by the deadline is told `late` and stays in its place, for its reply
may still come; a server that says nothing for a second is given up.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast

import hiredis

_GIVEN_UP = 1.0
_GRACE = 0.001
"""After a stall of our own loop the replies may be here already: they are read first."""


class Waiter(Protocol):
    """Whoever waits for one reply. Exactly one of `answer` and `lost` is called, once; `late` may
    come before. None may raise."""

    def answer(self, reply: Any) -> None:
        """The reply, which may be a `hiredis.ReplyError`."""

    def late(self) -> None:
        """The deadline has passed; the reply may still come."""

    def lost(self) -> None:
        """The connection ended: done or not, nobody knows."""


class Link(asyncio.Protocol):
    """A connection to one server."""

    def __init__(self, deadline: float, on_lost: Callable[[str], None]) -> None:
        self.stalled = False  # The server owes an answer for longer than the deadline.
        self._deadline = deadline
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._turn = 0.0  # When the present batch was begun.
        self._waiting: deque[tuple[float, Waiter]] = deque()
        self._told_late = 0  # So many at the head of `_waiting`.
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._reason = "the connection to Redis was closed"

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def open(self) -> bool:
        """Whether anything can be sent."""
        return self._transport is not None

    def send(self, command: bytes, waiter: Waiter) -> None:
        """Send with what else is sent in this turn of the loop."""
        if self._transport is None:
            self._loop.call_soon(waiter.lost)
            return
        if not self._outgoing:
            self._turn = self._loop.time()
            self._loop.call_soon(self.flush)
        self._outgoing.append(command)
        self._waiting.append((self._turn, waiter))

    def flush(self) -> None:
        """Write what was sent in this turn."""
        if self._transport is None or not self._outgoing:
            return
        self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()
        if self._timer is None:
            self._timer = self._loop.call_later(self._deadline, self._due)

    def close(self, reason: str) -> None:
        """End the connection now. Every waiter is told."""
        if self._transport is not None:
            self._reason = reason
            self._transport.abort()
            self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        reader, waiting = self._reader, self._waiting
        self._heard = self._loop.time()
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                _, waiter = waiting.popleft()
                if self._told_late:
                    self._told_late -= 1
                waiter.answer(reply)
        except (hiredis.ProtocolError, IndexError):
            self.close("what answers there does not speak Redis' protocol")
            return
        if self.stalled and not self._told_late:
            self.stalled = False

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._reason = f"the connection to Redis broke: {exc}"
        self._end()

    def _end(self) -> None:
        if self._transport is None:
            return
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._outgoing.clear()
        lost = [waiter for _, waiter in self._waiting]
        self._waiting.clear()
        self._on_lost(self._reason)
        for waiter in lost:
            waiter.lost()

    def _due(self) -> None:
        self._timer = self._loop.call_later(_GRACE, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        if not self._waiting:
            return
        oldest = self._waiting[0][0]
        if now - max(oldest, self._heard) > _GIVEN_UP:
            self.close(f"Redis has said nothing for {_GIVEN_UP:g} s")
            return
        late = now - self._deadline
        while self._told_late < len(self._waiting):
            sent, waiter = self._waiting[self._told_late]
            if sent > late:
                break
            self._told_late += 1
            self.stalled = True
            waiter.late()
        self._timer = self._loop.call_later(self._next_look(now), self._due)

    def _next_look(self, now: float) -> float:
        if self._told_late < len(self._waiting):
            return max(self._waiting[self._told_late][0] + self._deadline - now, 0.0)
        return self._deadline
