"""The way to one origin: takes a connection, sends, hands over the answer.

The usual case, a kept-alive connection and a body in memory, is one coroutine with one await and
one clock read. A reused connection that dies without a byte of an answer was closed by the vendor
while the request was on its way: that is tried once more on a fresh one, and nothing else ever is.
"""

import asyncio
import ssl
from typing import Final

from proxy.base.clock import monotonic
from proxy.base.errors import Reset
from proxy.base.tasks import Tasks
from proxy.core.outgoing import Outgoing, Timeouts
from proxy.core.ports import Transport, Upload
from proxy.upstream.acquire import Acquirer
from proxy.upstream.answer import HttpAnswer, Outcome
from proxy.upstream.connection import Connection
from proxy.upstream.deadlines import Sweep
from proxy.upstream.dial import Dialler
from proxy.upstream.origin import Origin
from proxy.upstream.pool import Pool, PoolLimits, PoolStats
from proxy.upstream.proxies import ProxyRoute
from proxy.upstream.requests import HeadWriter
from proxy.upstream.uploads import uploaded

_DEFAULT_LIMITS: Final = PoolLimits()


class HttpTransport(Transport):
    """HTTP/1.1 over TCP or TLS to one origin, directly or through a forward proxy.

    After `close()` it still serves requests that began before, each on a connection of its own.
    """

    __slots__ = ("_acquirer", "_heads", "_pool", "_sweep", "_uploads")

    def __init__(
        self,
        origin: Origin,
        pool: PoolLimits = _DEFAULT_LIMITS,
        *,
        tls: ssl.SSLContext | None,
        proxy: ProxyRoute | None = None,
    ) -> None:
        self._pool = kept = Pool(pool)
        self._sweep = Sweep(kept.live)
        self._heads = HeadWriter(origin, proxy)
        dialler = Dialler(origin, tls, proxy, lambda loop: Connection(loop, kept, origin.address))
        self._uploads = Tasks()
        self._acquirer = Acquirer(kept, pool.max_connections, dialler, origin)

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
                connection = await self._acquirer.acquire(timeouts, started, fresh=second)
                sent_at = monotonic()
            if sweep.watched is not timeouts:
                sweep.watch(timeouts)
            waiter = connection.begin(timeouts, started, sent_at, outgoing.method == "HEAD")
            try:
                if isinstance(body, bytes):
                    connection.write_request(head, body)
                    outcome = await waiter
                else:
                    connection.begin_upload(head)
                    outcome = await uploaded(body, connection, waiter, self._uploads)
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
