"""An open loop: requests leave at a rate, whatever became of those before them.

Every other one asks for a stream. Times count from when a request was due, so that a proxy that
stalls is charged for all that waited meanwhile: of a plain answer until its end, of a stream until
its first chunk. Every answer is judged (verdict.py).
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle

from bench.answers import CHAT_BODY
from bench.client import Connection
from bench.requests import Request, chat_body, post
from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks

_TICK = 0.001
_CHUNKS, _PACE = 5, 2
_SILENCE = 15.0


@dataclass(slots=True)
class Heard:
    """What came back. Times in seconds; `wrong`: what callers saw besides good answers."""

    plain: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    over: int = 0


def requests(host: str, key: str, model: str) -> tuple[Request, Request]:
    """Plain, and a stream: the mock vendor's plan comes in a header that the proxy passes on."""
    path = "/v1/chat/completions"
    plain = post(host, path, key, chat_body(1, model, stream=False))
    streamed = post(host, path, key, chat_body(1, model, stream=True))
    plan = f"x-bench-plan: {_CHUNKS}x{_PACE}\r\nContent-Length:".encode()
    streamed = streamed.replace(b"Content-Length:", plan, 1)
    return Request(plain, None, len(CHAT_BODY)), Request(streamed, _CHUNKS)


class _Uncounted:
    """Counts of chunks that nobody wants."""

    def __init__(self) -> None:
        self.open = False
        self.chunks = self.reads = 0
        self.gaps: list[float] = []


class OpenLoop:
    """One run. Create it on the loop."""

    def __init__(self, port: int, asks: tuple[Request, Request]) -> None:
        self.heard = Heard()
        self._port = port
        self._asks = cycle(asks)
        self._idle: list[Connection] = []
        self._uncounted = _Uncounted()
        self._moved = asyncio.Event()
        self._tasks = Tasks()

    async def run(self, rate: float, seconds: float) -> Heard:
        """Ask for so long, and wait for what is under way."""
        began, total = monotonic(), int(rate * seconds)
        heard = self.heard
        while heard.asked < total:
            while heard.asked < min(total, int((monotonic() - began) * rate) + 1):
                self._ask(began + heard.asked / rate)
            await asyncio.sleep(_TICK)
        try:
            async with asyncio.timeout(_SILENCE):
                while heard.over < total:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            heard.wrong["silent"] += total - heard.over
        await self._tasks.cancel()
        for connection in self._idle:
            connection.drop(None)
        return heard

    def _ask(self, due: float) -> None:
        self.heard.asked += 1
        request = next(self._asks)
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                connection.ask(request.data, request.verdict(), due)
                return
        _ = self._tasks.spawn(self._open(request, due), name="connect")

    async def _open(self, request: Request, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self, self._uncounted), "127.0.0.1", self._port
            )
        except OSError:
            self.heard.wrong["connect"] += 1
            self.heard.over += 1
            self._moved.set()
            return
        connection.ask(request.data, request.verdict(), due)

    def flows(self, _: Connection, after: float) -> None:
        self.heard.first_tokens.append(after)

    def answered(self, connection: Connection, wrong: str | None) -> None:
        heard = self.heard
        heard.over += 1
        if wrong is not None:
            heard.wrong[wrong] += 1
        elif not connection.streamed:
            heard.plain.append(monotonic() - connection.began)
        self._moved.set()
        if connection.alive:
            self._idle.append(connection)
