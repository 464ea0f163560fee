"""A vendor without sockets: a script in place of a transport.

`FakeAnswer` gives its pieces to `pump` one per loop turn, so that a test can act in between; an
exception among them is raised there. An exception in place of an answer is raised by `send`.
"""

import asyncio
from collections.abc import Iterable

from proxy.core.outgoing import Outgoing, Timeouts
from proxy.core.ports import Answer, RawHeaders, Sink

JSON: RawHeaders = ((b"content-type", b"application/json"),)
EVENTS: RawHeaders = ((b"content-type", b"text/event-stream; charset=utf-8"),)


class FakeAnswer:
    def __init__(
        self, pieces: Iterable[bytes | Exception] = (), headers: RawHeaders = JSON,
        status: int = 200, *, here: bool = False,
    ) -> None:  # fmt: skip
        self.status = status
        self.headers = headers
        self.pieces = list(pieces)
        self.here = here  # The whole body came with the head.
        self.did: list[str] = []

    async def ready(self) -> None:
        await asyncio.sleep(0)
        if self.pieces and isinstance(first := self.pieces[0], Exception):
            raise first

    async def read(self, limit: int) -> bytes:
        body = bytearray()
        await self.pump(body.extend)
        return bytes(body[:limit])

    def take(self) -> bytes | None:
        self.did += ["end"] * self.here
        return b"".join(p for p in self.pieces if isinstance(p, bytes)) if self.here else None

    async def pump(self, sink: Sink) -> None:
        try:
            for piece in self.pieces:
                await asyncio.sleep(0)
                if isinstance(piece, Exception):
                    raise piece
                sink(piece)
        finally:  # Whole, cut, cancelled, or its sink failed: no answer outlives its pump.
            self.did.append("end")

    def pause(self) -> None:
        self.did.append("pause")

    def resume(self) -> None:
        self.did.append("resume")

    def abort(self) -> None:
        self.did.append("abort")


class FakeTransport:
    def __init__(self, *replies: FakeAnswer | Exception) -> None:
        self.replies = list(replies)
        self.sent: list[Outgoing] = []
        self.bodies: list[bytes] = []
        self.given: list[FakeAnswer] = []
        self.closed = 0

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Answer:
        self.sent.append(outgoing)
        await asyncio.sleep(0)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        body = outgoing.body
        self.bodies.append(body if isinstance(body, bytes) else b"".join([p async for p in body]))
        self.given.append(reply)
        return reply

    def close(self) -> None:
        self.closed += 1
