"""Makes the traffic of a soak run: an open loop at a fixed rate, callers who come and go.

Requests are sent when they are due, on an idle connection or a new one; one in fifty callers hangs
up after its answer, some in the midst of it. What no kind allows is counted and the first few are
kept. Memory of this process stays bounded, whatever the server does.
"""

import asyncio
import random
from collections import Counter, deque

from bench.client import Connection
from bench.harness.recorder import Recorder
from bench.soak_traffic import Asked, Traffic
from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks

_TICK = 0.01
_HANGS_UP = 0.02
_SILENCE = 20.0
_MOST = 2000
"""Connections at once: beyond, requests are left out and counted as such."""
_GRACE = 15.0


class Load:
    """Of one run. `answers` by kind; `wrong`: what came that may not, by kind and word."""

    def __init__(self, traffic: Traffic, rate: float, seed: int) -> None:
        self._place = traffic.place
        self._asks = iter(traffic)
        self._rate = rate
        self._draw = random.Random(f"load {seed}")
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._counts = Recorder()
        self._idle: deque[Connection] = deque()
        self._busy: dict[Connection, Asked] = {}
        self.answers: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.refused = 0
        self.sent = 0

    @property
    def busy(self) -> int:
        return len(self._busy)

    async def run(self, seconds: float) -> None:
        """Send for so long; then wait for what is on its way, and close everything."""
        began = monotonic()
        ends = began + seconds
        while (now := monotonic()) < ends:
            due = int((now - began) * self._rate)
            while self.sent < due:
                self.sent += 1
                self._send(next(self._asks))
            self._drop_silent(now)
            await asyncio.sleep(_TICK)
        until = monotonic() + _GRACE
        while self._busy and monotonic() < until:  # noqa: ASYNC110 - A poll each 10 ms will do.
            await asyncio.sleep(_TICK)
        self.wrong["unfinished"] += len(self._busy)
        await self._tasks.cancel()
        for connection in [*self._busy, *self._idle]:
            connection.drop(None)
        self._busy.clear()
        self._idle.clear()

    def flows(self, _connection: Connection, _after: float) -> None:
        """Nothing is timed here."""

    def answered(self, connection: Connection, wrong: str | None) -> None:
        asked = self._busy.pop(connection, None)
        if asked is None:
            return
        kind = asked.kind
        self.answers[kind.name] += 1
        if wrong not in kind.may:
            self.wrong[f"{kind.name}: {wrong or 'answered'}"] += 1
        self.refused += wrong is not None
        if self._draw.random() < _HANGS_UP:
            self._loop.call_soon(connection.drop, None)
        elif connection.alive:
            self._idle.append(connection)

    def _send(self, asked: Asked) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                self._ask(connection, asked)
                return
        if len(self._busy) < _MOST:
            _ = self._tasks.spawn(self._open(asked), name="open")
        else:
            self.wrong["not sent: too many wait"] += 1

    async def _open(self, asked: Asked) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self, self._counts), self._place.host, self._place.port
            )
        except OSError:
            self.wrong["no connection"] += 1
            return
        self._ask(connection, asked)

    def _ask(self, connection: Connection, asked: Asked) -> None:
        self._busy[connection] = asked
        connection.ask(asked.data, asked.verdict())
        if asked.kind.abort is not None:
            self._loop.call_later(asked.kind.abort, self._go_away, connection, asked)

    def _go_away(self, connection: Connection, asked: Asked) -> None:
        if self._busy.get(connection) is asked:
            del self._busy[connection]
            self.answers[asked.kind.name] += 1
            connection.drop(None)

    def _drop_silent(self, now: float) -> None:
        for connection in list(self._busy):
            if connection.silent_since() < now - _SILENCE:
                connection.drop("timeout")
