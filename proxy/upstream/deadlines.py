"""One timer for all deadlines of a transport.

It ticks only while a request is on its way, and asks each busy connection whether a deadline has
passed. The tick is short enough for an error to come between T and 1.25 T: an eighth of the
smallest timeout in use (silence is noticed one tick late and judged another tick late), at most a
quarter of a second. So chunks and requests arm no timers and read no clock.
"""

import asyncio
from collections.abc import Collection

from proxy.base.clock import monotonic
from proxy.core.outgoing import Timeouts
from proxy.upstream.connection import Connection

_LONGEST_TICK = 0.25
_SHORTEST_TICK = 0.002
_TICKS = 8


class Sweep:
    """The periodic look at the connections of one pool."""

    __slots__ = ("_connections", "_handle", "_tick", "watched")

    def __init__(self, connections: Collection[Connection]) -> None:
        self._connections = connections
        self._handle: asyncio.TimerHandle | None = None
        self.watched: Timeouts | None = None  # For these the timer runs often enough.
        self._tick = _LONGEST_TICK

    def watch(self, timeouts: Timeouts) -> None:
        """Make sure that the timer runs, often enough for these deadlines."""
        self.watched = timeouts
        smallest = min(timeouts.first_token, timeouts.idle, timeouts.total)
        tick = max(_SHORTEST_TICK, min(_LONGEST_TICK, smallest / _TICKS))
        if self._handle is not None:
            if tick >= self._tick:
                return
            self._handle.cancel()
        self._tick = tick
        self._arm()

    def _arm(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._tick, self._look)

    def _look(self) -> None:
        now = monotonic()
        busy = False
        for connection in tuple(self._connections):
            if connection.busy:
                connection.check(now)
                busy = True
        if busy:
            self._arm()
        else:
            self._handle = None
            self.watched = None
