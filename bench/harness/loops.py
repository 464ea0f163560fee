"""Makes the load: a closed loop that waits for answers, or an open one that keeps to its schedule.

In a closed loop each connection sends its next request when the last was answered: what a server
can do at most, but one that stalls is asked less while it does. In an open loop a request is sent
when it is due, on an idle connection or a new one, and its times count from when it was due. Either
way the window opens and closes at times fixed before the start, so that several processes share it,
and everything ends: what is silent for too long is dropped and counted.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

from bench.client import Connection
from bench.harness.alarm import Alarm
from bench.harness.asks import Ask, Place
from bench.harness.recorder import LATE, Recorder
from bench.harness.scenarios import Shape
from bench.harness.schedule import due_times
from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks

_AGAIN_AFTER = 0.02
_SWEEP = 0.25
_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class Times:
    """Of one run, on the monotonic clock. `silence`: the longest that is borne, in seconds."""

    begins: float
    opens: float
    closes: float
    silence: float = 30.0


class Load(ABC):
    """What both loops share: connections, what became of each answer, the window, the end."""

    def __init__(self, place: Place, ask: Ask, recorder: Recorder, times: Times) -> None:
        self._place = place
        self._ask = ask
        self._recorder = recorder
        self._times = times
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._connections: set[Connection] = set()
        self._starting = 0
        self._busy = 0
        self._stopping = False
        self._enough = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """From the first request to the end of the last."""
        times, recorder = self._times, self._recorder
        _ = self._tasks.spawn(self._sweep(), name="sweep")
        await self._sleep_until(times.begins)
        self._begin()
        await self._sleep_until(times.opens)
        recorder.open = True
        opened = monotonic()
        await self._wait_for_close()
        recorder.held = self._flowing()
        recorder.open = False
        recorder.seconds = monotonic() - opened
        self._stopping = True
        await self._end()

    @abstractmethod
    def _begin(self) -> None:
        """Start to send."""

    @abstractmethod
    def _free(self, connection: Connection) -> None:
        """A connection may be used again, if it is alive."""

    @abstractmethod
    def _counted(self, connection: Connection) -> bool:
        """Whether what it was asked last is part of the window."""

    def flows(self, connection: Connection, after: float) -> None:
        if self._counted(connection):
            self._recorder.first_tokens.append(after)

    def answered(self, connection: Connection, wrong: str | None) -> None:
        recorder = self._recorder
        self._busy -= 1
        recorder.all_answers += 1
        if wrong is not None:
            recorder.error(wrong, streamed=self._ask.streamed)
        else:
            recorder.answers += recorder.open
            recorder.whole += self._ask.streamed
            if self._counted(connection):
                recorder.latencies.append(monotonic() - connection.began)
        if not connection.alive:
            self._connections.discard(connection)
        if not self._stopping:
            if wrong is None:
                self._free(connection)
            else:  # A server that refuses is not asked as fast as it can refuse.
                self._loop.call_later(_AGAIN_AFTER, self._free, connection)
        elif self._done():
            self._ended.set()

    def _done(self) -> bool:
        return not self._busy

    def _send(self, connection: Connection, due: float | None) -> None:
        self._busy += 1
        self._recorder.sent += 1
        connection.ask(self._ask.data, self._ask.verdict(), due)

    async def _connect(self) -> Connection | None:
        """A new connection; None, and counted, if there was none to be had."""
        self._starting += 1
        place = self._place
        try:
            async with asyncio.timeout(self._times.silence):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self, self._recorder), place.host, place.port, ssl=place.tls
                )
        except (OSError, TimeoutError):
            self._recorder.error("connect", streamed=self._ask.streamed)
            return None
        finally:
            self._starting -= 1
        self._connections.add(connection)
        return connection

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            limit = monotonic() - self._times.silence
            for connection in list(self._connections):
                if connection.busy and connection.silent_since() < limit:
                    connection.drop("timeout")
                elif not connection.alive:
                    self._connections.discard(connection)

    async def _wait_for_close(self) -> None:
        try:
            async with asyncio.timeout(max(self._times.closes - monotonic(), 0.0)):
                await self._enough.wait()
        except TimeoutError:
            return

    def _flowing(self) -> int:
        """Streams that said something just now, where that is asked."""
        if not self._ask.held:
            return 0
        since = monotonic() - self._ask.held
        each = self._connections
        return sum(one.busy and one.chunks > 0 and one.silent_since() >= since for one in each)

    async def _sleep_until(self, when: float) -> None:
        await asyncio.sleep(max(when - monotonic(), 0.0))

    async def _end(self) -> None:
        """Let what is on its way arrive, for a while; then close everything."""
        if not self._done():
            try:
                async with asyncio.timeout(min(_GRACE, self._times.silence)):
                    await self._ended.wait()
            except TimeoutError:
                self._recorder.unfinished += self._busy
        await self._tasks.cancel()
        for connection in list(self._connections):
            connection.drop(None)


class ClosedLoop(Load):
    """So many connections, each with one request at a time."""

    def __init__(
        self, place: Place, ask: Ask, recorder: Recorder, times: Times, shape: Shape
    ) -> None:
        super().__init__(place, ask, recorder, times)
        self._shape = shape

    def _begin(self) -> None:
        now, many = self._loop.time(), self._shape.connections
        for number in range(many):
            self._loop.call_at(now + self._shape.ramp * number / many, self._open)

    def _open(self) -> None:
        if not self._stopping:
            _ = self._tasks.spawn(self._open_and_ask(), name="open")

    async def _open_and_ask(self) -> None:
        connection = await self._connect()
        if connection is None:
            self._loop.call_later(_AGAIN_AFTER, self._open)
        elif not self._stopping:
            self._free(connection)

    def _free(self, connection: Connection) -> None:
        if self._stopping:
            return
        most = self._shape.requests
        if most is not None and self._recorder.sent >= most:
            if not self._busy:
                self._enough.set()
        elif connection.alive:
            self._send(connection, None)
        else:
            self._loop.call_later(_AGAIN_AFTER, self._open)

    def _counted(self, connection: Connection) -> bool:
        return self._recorder.open


class OpenLoop(Load):
    """Requests when they are due, on as many connections as that takes, to `shape.connections`
    at most; beyond these they wait, and their waiting counts."""

    def __init__(  # noqa: PLR0917 - Those of the base and what its schedule is made of.
        self, place: Place, ask: Ask, recorder: Recorder, times: Times, shape: Shape, seed: int
    ) -> None:
        super().__init__(place, ask, recorder, times)
        assert shape.rate is not None
        self._most = shape.connections
        self._schedule = due_times(shape.arrivals, shape.rate, seed)
        self._next = times.begins + next(self._schedule)
        self._waiting: deque[float] = deque()
        self._idle: list[Connection] = []
        self._alarm = Alarm(self._due)

    def _begin(self) -> None:
        self._alarm.at(self._next)

    def _due(self) -> None:
        now, closes = monotonic(), self._times.closes
        while self._next <= now and self._next < closes:
            self._waiting.append(self._next)
            self._next = self._times.begins + next(self._schedule)
        self._send_waiting()
        if self._next < closes:
            self._alarm.at(self._next)

    def _send_waiting(self) -> None:
        waiting, idle = self._waiting, self._idle
        while waiting and idle:
            connection = idle.pop()
            if connection.alive:
                due = waiting.popleft()
                self._recorder.late += monotonic() - due > LATE
                self._send(connection, due)
        room = self._most - len(self._connections) - self._starting
        for _ in range(min(len(waiting) - self._starting, room)):
            _ = self._tasks.spawn(self._open(), name="open")

    async def _open(self) -> None:
        connection = await self._connect()
        if connection is not None:
            self._idle.append(connection)
        elif self._waiting:
            self._waiting.popleft()
        self._send_waiting()

    def _free(self, connection: Connection) -> None:
        if connection.alive:
            self._idle.append(connection)
        if self._waiting:
            self._send_waiting()

    def answered(self, connection: Connection, wrong: str | None) -> None:
        super().answered(connection, wrong)
        if self._stopping:
            self._free(connection)  # Requests that were due in the window are still to be sent.

    def _done(self) -> bool:
        return not self._busy and not self._waiting

    def _counted(self, connection: Connection) -> bool:
        return self._times.opens <= connection.began < self._times.closes

    async def _end(self) -> None:
        self._alarm.close()
        await super()._end()
        self._recorder.unfinished += len(self._waiting)
