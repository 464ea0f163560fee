"""The way to one origin: takes a connection, sends, hands over the answer.

The usual case, a kept-alive connection and a body in memory, is one coroutine with one await and
one clock read. A reused connection that dies without a byte of an answer was closed by the vendor
while the request was on its way: that is tried once more on a fresh one, and nothing else ever is.
"""

import asyncio
import ssl

from proxy.base.clock import monotonic
from proxy.base.errors import Reset, TimedOut, Unreachable
from proxy.base.tasks import Tasks
from proxy.core.ports import Outgoing, Timeouts, Transport, Upload
from proxy.upstream.answer import HttpAnswer, Outcome
from proxy.upstream.connection import Connection
from proxy.upstream.deadlines import Sweep
from proxy.upstream.dial import Dialler
from proxy.upstream.origin import Origin
from proxy.upstream.pool import Pool, PoolLimits, PoolStats
from proxy.upstream.proxies import ProxyRoute
from proxy.upstream.requests import HeadWriter
from proxy.upstream.uploads import copy

_DEFAULT_LIMITS = PoolLimits()


class HttpTransport(Transport):
    """HTTP/1.1 over TCP or TLS to one origin, directly or through a forward proxy.

    After `close()` it still serves requests that began before, each on a connection of its own.
    """

    __slots__ = ("_dialler", "_heads", "_limits", "_origin", "_pool", "_sweep", "_uploads")

    def __init__(
        self,
        origin: Origin,
        pool: PoolLimits = _DEFAULT_LIMITS,
        *,
        tls: ssl.SSLContext | None,
        proxy: ProxyRoute | None = None,
    ) -> None:
        self._origin = origin
        self._limits = pool
        self._pool = kept = Pool(pool)
        self._sweep = Sweep(kept.live)
        self._heads = HeadWriter(origin, proxy)
        self._dialler = Dialler(
            origin, tls, proxy, lambda loop: Connection(loop, kept, origin.address)
        )
        self._uploads = Tasks()

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> HttpAnswer:
        """Send, and return once the head of the answer is known."""
        head = self._heads.head(outgoing)
        body = outgoing.body
        started = sent_at = monotonic()
        connection = self._pool.take()
        second = False
        sweep = self._sweep
        while True:
            if connection is None:
                connection = await self._acquire(timeouts, started, fresh=second)
                sent_at = monotonic()
            if sweep.watched is not timeouts:
                sweep.watch(timeouts)
            waiter = connection.begin(timeouts, started, sent_at, outgoing.method == "HEAD")
            try:
                if isinstance(body, bytes):
                    connection.write_request(head, body)
                    outcome = await waiter
                else:
                    outcome = await self._upload(connection, head, body, waiter)
            except BaseException:
                _give_up(connection, waiter)
                raise
            if isinstance(outcome, HttpAnswer):
                return outcome
            if second or not _was_stale(outcome, connection, body):
                raise outcome
            second, connection = True, None

    def close(self) -> None:
        """Close idle connections now, and each busy one when its answer ends."""
        self._pool.close()

    def stats(self) -> PoolStats:
        return self._pool.stats()

    async def _upload(
        self, connection: Connection, head: bytes, body: Upload, waiter: asyncio.Future[Outcome]
    ) -> Outcome:
        connection.begin_upload(head)
        task = self._uploads.spawn(copy(body, connection), name="upload")
        try:
            return await waiter
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _acquire(self, timeouts: Timeouts, started: float, *, fresh: bool) -> Connection:
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
                    f"all {self._limits.max_connections} connections to {self._origin.address} "
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


def _was_stale(outcome: Exception, connection: Connection, body: bytes | Upload) -> bool:
    """Whether the request may be sent again: the vendor cannot have meant to answer it."""
    unsent = isinstance(body, bytes) or not body.started
    return isinstance(outcome, Reset) and connection.stale and unsent


def _give_up(connection: Connection, waiter: asyncio.Future[Outcome]) -> None:
    """Close what the cancelled request used, and nothing that belongs to the next one."""
    if not waiter.done() or waiter.cancelled():
        connection.abort()
    elif isinstance(outcome := waiter.result(), HttpAnswer):
        outcome.abort()
