"""A connection for a request that found none idle: one that becomes free, or a new one, in time."""

import asyncio

from proxy.base.clock import monotonic
from proxy.base.errors import TimedOut, Unreachable
from proxy.core.outgoing import Timeouts
from proxy.upstream.connection import Connection
from proxy.upstream.dial import Dialler
from proxy.upstream.origin import Origin
from proxy.upstream.pool import Pool


class Acquirer:
    """Waits for a place in the pool of one origin, and dials into it."""

    __slots__ = ("_dialler", "_most", "_origin", "_pool")

    def __init__(self, pool: Pool, most: int, dialler: Dialler, origin: Origin) -> None:
        """`most`: connections of the pool, for the message."""
        self._pool = pool
        self._most = most
        self._dialler = dialler
        self._origin = origin

    async def acquire(self, timeouts: Timeouts, started: float, *, fresh: bool) -> Connection:
        """A connection within the connect deadline. Raises Unreachable and TimedOut."""
        left = started + timeouts.total - monotonic()
        phase = "connect" if timeouts.connect <= left else "total"
        queued = True
        try:
            async with asyncio.timeout(min(timeouts.connect, left)):
                connection = await self._pool.wait(fresh=fresh)
                if connection is None:
                    queued = False
                    connection = await self._dial()
        except TimeoutError:
            if queued:
                raise Unreachable(
                    f"all {self._most} connections to {self._origin.address} "
                    "are busy and none became free in time (pool.max_connections)"
                ) from None
            raise TimedOut(
                f"no connection to {self._origin.address} within {timeouts.connect:g} s",
                phase=phase,
                sent=False,
            ) from None
        return connection

    async def _dial(self) -> Connection:
        """Dial into the place that the caller holds."""
        try:
            connection = await self._dialler.dial()
        except BaseException:
            self._pool.free_place()
            raise
        self._pool.add(connection)
        if not connection.usable:
            connection.abort()
            raise Unreachable(f"{self._origin.address} closed the connection once it was open")
        return connection
