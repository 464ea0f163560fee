"""One connection: what is sent in one turn of the loop leaves in one write, replies come in order.

A request in flight is a `Waiter`; whoever asked may have gone, so the reply is given to the waiter
in any case and never to the next one. There is no timer per call: one timer looks at the oldest
request. What is not answered by the deadline is told `late` and stays in its place, for its reply
may still come; a server that says nothing for a second is given up.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

import hiredis

from proxy.stores.redis.settlements import MOST, Settlements

if TYPE_CHECKING:
    from proxy.stores.redis.node import Seat

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
        self._seat: Seat
        self._records: list[bytes] = []  # Of grants that have ended: told before what comes next.
        self._said: list[bytes] = []
        self._asked: list[tuple[float, Waiter]] = []  # Those who wait for it.
        self._begun = False  # Whether `flush` is to come.
        self._turn = 0.0  # When the present batch was begun.
        self._waiting: deque[tuple[float, Waiter]] = deque()
        self._told_late = 0  # So many at the head of `_waiting`.
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._reason = "the connection to Redis was closed"

    def __len__(self) -> int:
        return len(self._waiting) + len(self._asked)

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
            self._begin_turn()
        self._outgoing.append(command)
        self._asked.append((self._turn, waiter))

    def settle(self, seat: "Seat", record: bytes, said: bytes) -> None:
        """Tell of the end of a grant, before whatever is sent in this turn. Only while `open`."""
        if not self._records:
            self._seat = seat
            self._begin_turn()
        self._records.append(record)
        self._said.append(said)

    def flush(self) -> None:
        """Write what was sent in this turn."""
        self._begun = False
        if self._transport is None:
            return
        if self._records:
            self._gather()
        elif not self._outgoing:
            return
        self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()
        self._waiting.extend(self._asked)
        self._asked.clear()
        if self._timer is None:
            self._timer = self._loop.call_later(self._deadline, self._due)

    def _begin_turn(self) -> None:
        if not self._begun:
            self._begun = True
            self._turn = self._loop.time()
            self._loop.call_soon(self.flush)

    def _gather(self) -> None:
        """Put settlements before the rest."""
        records, said = self._records, self._said
        self._records, self._said = [], []
        told = [
            Settlements(self._seat, records[first : first + MOST], said[first : first + MOST])
            for first in range(0, len(records), MOST)
        ]
        self._outgoing[:0] = [each.command() for each in told]
        self._asked[:0] = [(self._turn, each) for each in told]

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
        if self._records:
            self._gather()
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._outgoing.clear()
        lost = [waiter for _, waiter in (*self._waiting, *self._asked)]
        self._waiting.clear()
        self._asked.clear()
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
