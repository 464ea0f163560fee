"""What the tests of this folder say over and over."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from proxy.core.outgoing import Outgoing, Timeouts
from proxy.core.ports import RawHeaders, Upload
from proxy.upstream.transport import HttpTransport

T = TypeVar("T")
Connect = Callable[..., HttpTransport]

SOON = Timeouts(connect=5, first_token=5, idle=5, total=10)
"""Deadlines that no good exchange of a test comes near."""


def post(body: bytes | Upload = b"{}", headers: RawHeaders = ((b"X-Key", b"abc"),)) -> Outgoing:
    return Outgoing("POST", "/v1/chat/completions?x=1", headers, body)


def get(method: str = "GET") -> Outgoing:
    return Outgoing(method, "/v1/models", (), b"")


async def fetch(transport: HttpTransport, outgoing: Outgoing | None = None) -> bytes:
    """Send and read the whole body."""
    answer = await transport.send(outgoing or post(), SOON)
    return await answer.read(1 << 20)


async def turns(count: int = 5) -> None:
    """Let the loop turn: for what happens soon, never for what takes time."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; the test's own timeout is the limit."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def start(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Run one of two sides of a test."""
    return asyncio.get_running_loop().create_task(work)


class Pieces:
    """An Upload of these pieces; an exception among them is raised, an Event awaited."""

    def __init__(
        self, pieces: Iterable[bytes | Exception | asyncio.Event], length: int | None = None
    ) -> None:
        self.length = length
        self.started = False
        self.closed = False
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for piece in self._pieces:
                if isinstance(piece, Exception):
                    raise piece
                if isinstance(piece, asyncio.Event):
                    await piece.wait()
                    continue
                self.started = True
                yield piece
        finally:
            self.closed = True
