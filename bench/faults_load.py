"""The load of the fault run: so many requests, at a rate, from a bounded number of connections.

Requests fall due at the rate; after an outage those overdue follow as fast as the connections
allow. `gate` holds back all beyond a number: whoever kills keeps so the next kill under load.
Nothing is sent twice: what breaks is counted, as a client that gives up would.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from bench.faults_answers import Book
from bench.faults_client import Connection
from bench.faults_requests import Ask
from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks

_TICK = 0.005
_SWEEP = 0.5
_RECONNECT_AFTER = 0.02


@dataclass(frozen=True, slots=True)
class Pace:
    """`requests` in all, `rate` a second (0: as fast as it goes), `silence`: the longest wait."""

    requests: int
    rate: float = 1000.0
    concurrency: int = 64
    silence: float = 30.0


class Load:
    """One run of the load. Create it on the loop, then `run`."""

    def __init__(self, port: int, asks: Iterator[Ask], pace: Pace, book: Book) -> None:
        self._port = port
        self._asks = asks
        self._pace = pace
        self._book = book
        self._tasks = Tasks()
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._began = 0.0
        self._stopping = False
        self._sent = asyncio.Event()
        self.gate = pace.requests

    async def run(self) -> None:
        """Send everything; return when all of it is over."""
        self._began = monotonic()
        for _ in range(self._pace.concurrency):
            self._connect()
        swept = self._began
        while self._book.finished < self._pace.requests:
            await asyncio.sleep(_TICK)
            self._send_due()
            if monotonic() - swept >= _SWEEP:
                swept = monotonic()
                self._sweep(swept - self._pace.silence)
        self._stopping = True
        await self._tasks.cancel()
        for connection in self._idle:
            connection.drop()

    async def reached(self, number: int) -> None:
        """Return when so many requests have been sent."""
        while self._book.sent < number:
            self._sent.clear()
            await self._sent.wait()

    def over(self, connection: Connection, *, whole: bool) -> None:
        ask = connection.ask
        assert ask is not None
        status, body = connection.status, connection.body
        self._book.add(ask, connection.request_id, status, body, whole=whole)
        self._free(connection)

    def began(self, connection: Connection) -> None:
        if connection.ask is not None and connection.ask.kind.leaves:
            self._book.gave_up(connection.request_id, "left")
            connection.drop()
            self._free(connection)

    def died(self, connection: Connection) -> None:
        self._idle.remove(connection)
        self._connect()

    def _free(self, connection: Connection) -> None:
        connection.ask = None
        self._busy.discard(connection)
        if connection.alive:
            self._idle.append(connection)
            self._send_due()
        else:
            self._connect()

    def _send_due(self) -> None:
        pace = self._pace
        due = min(pace.requests, self.gate)
        if pace.rate:
            due = min(due, int((monotonic() - self._began) * pace.rate) + 1)
        while self._idle and self._book.sent < due:
            connection = self._idle.pop()
            self._busy.add(connection)
            self._book.sent += 1
            connection.send(next(self._asks))
            self._sent.set()

    def _sweep(self, limit: float) -> None:
        for connection in [each for each in self._busy if each.since < limit]:
            self._book.gave_up(connection.request_id, "silent")
            connection.drop()
            self._free(connection)

    def _connect(self) -> None:
        if not self._stopping:
            _ = self._tasks.spawn(self._open(), name="connect")

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(self), "127.0.0.1", self._port
                )
            except OSError:
                self._book.unconnected += 1
            else:
                if connection.alive:
                    self._idle.append(connection)
                    return
            await asyncio.sleep(_RECONNECT_AFTER)
