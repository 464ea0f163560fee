"""The connections to one origin: idle ones on a stack, places for new ones, a queue for both.

The one used last is used next, so that the others can grow old and be closed. A place is taken
before a dial begins and given back when its connection is closed or the dial fails; whoever holds
one, however it ends, gives it back once. Waiters are served first come, first served; a grant that
finds its waiter cancelled goes to the next.

Idle age is counted in epochs of a quarter of `keepalive`, by one timer that runs only while
something is idle: no clock is read per request. A connection is closed when it has been idle for
at least three quarters of `keepalive` and at most all of it.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from proxy.base.turn import Turn
from proxy.upstream.connection import Connection

_EPOCHS: Final = 4


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many connections to one origin, and how long (seconds) an idle one is kept."""

    max_connections: int = 1000
    keepalive: float = 60.0


@dataclass(frozen=True, slots=True)
class PoolStats:
    """`open` counts busy, idle and those being dialled; `waiting` are requests without a place."""

    open: int
    idle: int
    waiting: int


_Grant = Connection | None
"""What a waiter gets: an idle connection, or None for a place to dial into."""


class Pool:
    """Idle connections and places."""

    __slots__ = (
        "_epoch",
        "_idle",
        "_limits",
        "_places",
        "_timer",
        "_waiters",
        "closed",
        "live",
        "turn",
    )

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._idle: deque[Connection] = deque()
        self._waiters: deque[asyncio.Future[_Grant]] = deque()
        self._places = 0  # Taken.
        self._epoch = 0
        self._timer: asyncio.TimerHandle | None = None
        self.live: set[Connection] = set()
        self.closed = False
        self.turn = Turn()  # Requests that leave in the same one are written together.

    def take(self) -> Connection | None:
        """The idle connection used last, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    async def wait(self, *, fresh: bool) -> Connection | None:
        """An idle connection, or None when the caller now holds a place and has to dial.

        `fresh` asks for a place and nothing else.
        """
        while True:
            if not fresh and (idle := self.take()) is not None:
                return idle
            if self._take_place(fresh=fresh):
                return None
            grant = await self._queue()
            if grant is None:
                return None
            if fresh:
                grant.abort()  # Its place is free now, or went to somebody who waits longer.
            elif grant.usable:
                return grant

    def add(self, connection: Connection) -> None:
        """Keep account of a new connection, dialled into a place."""
        if connection.closed:
            self.free_place()
        else:
            self.live.add(connection)

    def release(self, connection: Connection) -> None:
        """Take back a connection that may carry another request."""
        if self.closed:
            connection.abort()
        elif not (self._waiters and self._grant(connection)):
            connection.idle_since = self._epoch
            self._idle.append(connection)
            if self._timer is None:
                self._arm()

    def forget(self, connection: Connection) -> None:
        """Strike out a connection that is closed, and free its place."""
        if connection in self.live:
            self.live.discard(connection)
            if connection in self._idle:
                self._idle.remove(connection)
            self.free_place()

    def free_place(self) -> None:
        """Give back a place, to the one who waits longest if anybody does."""
        if not self._grant(None):
            self._places -= 1

    def close(self) -> None:
        """Close what is idle now, and the rest as it is released. Idempotent."""
        self.closed = True
        while self._idle:
            self._idle.pop().abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stats(self) -> PoolStats:
        waiting = sum(not waiter.done() for waiter in self._waiters)
        return PoolStats(open=self._places, idle=len(self._idle), waiting=waiting)

    def _take_place(self, *, fresh: bool) -> bool:
        if fresh and self._places >= self._limits.max_connections and self._idle:
            self._idle.popleft().abort()
        if self._places < self._limits.max_connections:
            self._places += 1
            return True
        return False

    async def _queue(self) -> _Grant:
        waiter: asyncio.Future[_Grant] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._return(waiter.result())
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _return(self, grant: _Grant) -> None:
        if grant is None:
            self.free_place()
        elif grant.usable:
            self.release(grant)

    def _grant(self, grant: _Grant) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(grant)
                return True
        return False

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limits.keepalive / _EPOCHS, self._next_epoch)

    def _next_epoch(self) -> None:
        self._epoch += 1
        while self._idle and self._epoch - self._idle[0].idle_since >= _EPOCHS:
            self._idle.popleft().abort()
        self._timer = None
        if self._idle:
            self._arm()
