"""One connection of the fake vendor: performs steps, and notices at once when the client leaves."""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence

from tests.fakes.script import RST, Act, Pause, Step, WaitFor

_LIMIT = 1 << 20
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: close sends RST.


class Link(asyncio.StreamReaderProtocol):
    """One connection. Notices at once when the client leaves, also while a reply is written."""

    def __init__(self, begin: Callable[["Link"], None], ended: Callable[["Link"], None]) -> None:
        self.reader = asyncio.StreamReader(limit=_LIMIT)
        super().__init__(self.reader, self._connected)
        self._begin = begin
        self._when_ended = ended
        self.number = 0
        self.busy = False
        self.replying = False
        self.left = False
        """The client closed while a reply was under way."""
        self.task: asyncio.Task[None] | None = None
        self.writer: asyncio.StreamWriter
        self.transport: asyncio.WriteTransport

    def _connected(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.transport = writer.transport
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begin(self)

    def eof_received(self) -> bool | None:
        keep = super().eof_received()
        self._client_left()
        return keep

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._client_left()
        self._when_ended(self)

    def _client_left(self) -> None:
        if self.replying and not self.left and self.task is not None:
            self.left = True
            self.task.cancel()

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def perform(self, steps: Sequence[Step]) -> bool:
        """Do the steps of a reply; whether the connection may be used again."""
        self.replying = True
        for step in steps:
            match step:
                case bytes():
                    await self.write(step)
                case Pause():
                    await asyncio.sleep(step.seconds)
                case WaitFor():
                    await step.event.wait()
                case Act.STALL:
                    await asyncio.Event().wait()
                case _:
                    self.replying = False
                    self.end(step)
                    return False
        self.replying = False
        return True

    def end(self, how: Act) -> None:
        if how is RST:
            raw = self.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.close()
