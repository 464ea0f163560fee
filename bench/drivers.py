"""When requests are sent: in a closed loop, or as streams ramped up and held.

`closed_loop`: so many connections, each sends its next request when the last was answered, for a
while. `held`: so many streams are begun at even steps over a ramp, each on its own connection and
whatever happens to the others; the window opens when all of them flow, closes before the first may
end, and every stream is followed to its end. Everything is bounded in time: an answer that is
silent for too long is dropped and counted.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bench.client import Connection
from bench.requests import Request
from bench.tally import Tally
from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks

_RECONNECT_AFTER = 0.02
_SWEEP = 0.25
_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the load goes, what it is, and the longest silence that is borne (seconds)."""

    host: str
    port: int
    request: Request
    silence: float = 10.0


class _Load:
    """What both drivers share: connections, errors, the sweep for answers that never come."""

    def __init__(self, target: Target, tally: Tally) -> None:
        self._target = target
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._connections: set[Connection] = set()
        self._moved = asyncio.Event()
        self._starting = 0
        self._busy = 0
        self._flowing = 0

    async def _open(self) -> bool:
        """Connect and ask. False, and counted, if that was not possible."""
        self._starting += 1
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self, self._tally), self._target.host, self._target.port
            )
        except OSError:
            self._fail("connect")
            return False
        finally:
            self._starting -= 1
        if not connection.alive:
            self._fail("reset")
            return False
        self._connections.add(connection)
        self._ask(connection)
        return True

    def _ask(self, connection: Connection) -> None:
        self._busy += 1
        connection.ask(self._target.request.data, self._target.request.verdict())

    def _fail(self, kind: str) -> None:
        self._tally.error(kind, streamed=self._target.request.chunks is not None)
        self._moved.set()

    def flows(self, _: Connection, after: float) -> None:
        self._tally.first_tokens.append(after)
        self._flowing += 1
        self._moved.set()

    def answered(self, connection: Connection, wrong: str | None) -> None:
        self._busy -= 1
        if connection.chunks:
            self._flowing -= 1
        tally = self._tally
        if wrong is not None:
            self._fail(wrong)
        else:
            if tally.open:
                tally.latencies.append(monotonic() - connection.began)
            if connection.streamed:
                tally.whole += 1
        if not connection.alive:
            self._connections.discard(connection)
        self._moved.set()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            limit = monotonic() - self._target.silence
            for connection in list(self._connections):
                if connection.busy and connection.silent_since() < limit:
                    connection.drop("timeout")

    async def _until(self, reached: Callable[[], bool], limit: float) -> None:
        """Return when `reached`, or when so many seconds are over."""
        try:
            async with asyncio.timeout(limit):
                while not reached():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return

    async def _finish(self, grace: float) -> None:
        """Wait for what is still on its way, then close everything."""
        await self._until(lambda: not self._busy and not self._starting, grace)
        for connection in list(self._connections):
            connection.drop("timeout" if connection.busy else None)
        await self._tasks.cancel()


class _ClosedLoop(_Load):
    _stopping = False

    async def run(self, concurrency: int, warmup: float, seconds: float) -> None:
        _ = self._tasks.spawn(self._sweep(), name="sweep")
        for _number in range(concurrency):
            self._start()
        await asyncio.sleep(warmup)
        self._tally.begin()
        await asyncio.sleep(seconds)
        self._tally.end()
        self._stopping = True
        await self._finish(_GRACE)

    def _start(self) -> None:
        if not self._stopping:
            _ = self._tasks.spawn(self._open_again(), name="open")

    async def _open_again(self) -> None:
        if not await self._open():
            self._loop.call_later(_RECONNECT_AFTER, self._start)

    def answered(self, connection: Connection, wrong: str | None) -> None:
        super().answered(connection, wrong)
        if self._stopping:
            return
        if connection.alive:
            self._ask(connection)
        else:
            self._loop.call_later(_RECONNECT_AFTER, self._start)


class _Held(_Load):
    _unstarted = 0

    async def run(self, streams: int, ramp: float, seconds: float, length: float) -> None:
        _ = self._tasks.spawn(self._sweep(), name="sweep")
        self._unstarted = streams
        began = self._loop.time()
        for number in range(streams):
            self._loop.call_at(began + ramp * number / streams, self._start)
        await self._until(self._all_begun, ramp + self._target.silence)
        self._tally.begin()
        await asyncio.sleep(seconds)
        self._tally.held = self._flowing
        self._tally.end()
        await self._finish(length + _GRACE)

    def _all_begun(self) -> bool:
        return not self._unstarted and not self._starting and self._flowing == self._busy

    def _start(self) -> None:
        # The task counts itself as starting in its first step, in the next turn of the loop.
        _ = self._tasks.spawn(self._begin(), name="stream")

    async def _begin(self) -> None:
        self._unstarted -= 1
        await self._open()


async def closed_loop(
    target: Target, tally: Tally, *, concurrency: int, warmup: float, seconds: float
) -> None:
    """Warm up, then measure for so many seconds."""
    await _ClosedLoop(target, tally).run(concurrency, warmup, seconds)


async def held(
    target: Target, tally: Tally, *, streams: int, ramp: float, seconds: float, length: float
) -> None:
    """Begin so many streams over `ramp` seconds, measure while all flow, follow each to its end.

    `length`: how long one stream is due to last; longer than `ramp + seconds`.
    """
    await _Held(target, tally).run(streams, ramp, seconds, length)
