"""A TCP proxy that makes a good network bad.

    async with TcpProxy(target_port=vendor.port) as link:
        link.stall()                    # nothing goes towards the client any more ...
        link.flow()                     # ... and now it does again
        link.drip(3, every=0.001)       # three bytes at a time
        link.cut_after(100)             # close (FIN) after 100 more bytes towards the client
        link.reset_after(100)           # the same with RST
        link.reset()                    # RST on both sides of all connections, now
        link.refuse()                   # new connections are reset at once
        link.say(b"...")                # bytes of ours towards every client

It listens on a kernel-chosen port and forwards both ways. The ways to go wrong concern the
direction from the target to the client, where answers flow, and hold for connections open now and
later. `stall` stops reading from the target, so the target feels back-pressure as behind a dead
link. `delivered` counts bytes handed to clients, `received` those taken from them, `connections`
the accepted ones, `open` those still up; `quiet()` waits until none is.
"""

import asyncio
import socket
import struct
from types import TracebackType

from proxy.base.tasks import Tasks

_READ = 64 * 1024
_NO_LINGER = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards TCP to a target, well or badly; an async context manager."""

    def __init__(
        self, target_port: int, *, target_host: str = "127.0.0.1", host: str = "127.0.0.1"
    ) -> None:
        self.connections = 0
        self.open = 0
        self.delivered = 0
        self.received = 0
        self._target = (target_host, target_port)
        self._host = host
        self._server: asyncio.Server | None = None
        self._tasks = Tasks()
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._piece = _READ
        self._every = 0.0
        self._left: int | None = None
        self._with_reset = False
        self._refusing = False

    @property
    def port(self) -> int:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    def stall(self) -> None:
        """Deliver nothing until `flow()`."""
        self._flowing.clear()

    def flow(self) -> None:
        """Deliver at full speed, whatever was asked before."""
        self._piece, self._every, self._left, self._refusing = _READ, 0.0, None, False
        self._flowing.set()

    def drip(self, size: int, *, every: float) -> None:
        """Deliver `size` bytes each `every` seconds (0: each turn of the loop)."""
        self._piece, self._every = size, every

    def cut_after(self, size: int) -> None:
        """Close the connection once `size` more bytes have been delivered (over all of them)."""
        self._left, self._with_reset = size, False

    def reset_after(self, size: int) -> None:
        """Reset the connection once `size` more bytes have been delivered."""
        self._left, self._with_reset = size, True

    def reset(self) -> None:
        """Reset both sides of every open connection now."""
        for writer in tuple(self._writers):
            _reset(writer)

    def refuse(self) -> None:
        """Reset new connections as soon as they are accepted, until `flow()`."""
        self._refusing = True

    def say(self, data: bytes) -> None:
        """Send bytes to every client that the target never sent."""
        for writer in self._clients:
            writer.write(data)

    async def quiet(self) -> None:
        """Return when no connection is open."""
        await self._idle.wait()

    async def __aenter__(self) -> "TcpProxy":
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        await self._tasks.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _ = self._tasks.spawn(self._serve(reader, writer), name="tcp proxy")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._clients.add(writer)
        self.connections += 1
        self.open += 1
        self._idle.clear()
        try:
            if self._refusing:
                _reset(writer)
            else:
                await self._forward(reader, writer)
        except ConnectionError:
            pass  # Either side went; the other is closed below.
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._clients.discard(writer)
            self.open -= 1
            if not self.open:
                self._idle.set()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target, limit=_READ)
        self._writers.add(far_writer)
        try:
            async with asyncio.TaskGroup() as both:
                up = both.create_task(self._carry_up(reader, far_writer))
                both.create_task(self._carry_down(far_reader, writer, up))
        except* ConnectionError:
            pass
        finally:
            far_writer.transport.abort()
            self._writers.discard(far_writer)

    async def _carry_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ):
            self.received += len(data)
            writer.write(data)
            await writer.drain()
        if not writer.is_closing():
            writer.write_eof()

    async def _carry_down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: "asyncio.Task[None]"
    ) -> None:
        while data := await reader.read(self._piece):
            await self._flowing.wait()
            left = self._left
            if left is not None and left <= len(data):
                await self._deliver(writer, data[:left])
                self._left = 0
                if self._with_reset:
                    _reset(writer)
                break
            if left is not None:
                self._left = left - len(data)
            await self._deliver(writer, data)
            if self._piece != _READ:
                await asyncio.sleep(self._every)
        up.cancel()
        writer.close()

    async def _deliver(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        self.delivered += len(data)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()
