"""A pooler in transaction mode, as PgBouncer was before it knew prepared statements.

Clients share a few server connections; each transaction gets the one that was idle longest, so that
two transactions in a row never meet what the first prepared. Speaks PostgreSQL's protocol 3.0 as
far as needed: no TLS, no passwords, no cancelling.
"""

import asyncio
import struct
from collections import deque
from types import TracebackType

from proxy.base.tasks import Tasks

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_READY = ord("Z")


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)


class TransactionPooler:
    """Forwards to a server on a port of this machine; an async context manager."""

    def __init__(self, port: int, servers: int = 2) -> None:
        self._to = port
        self._most = servers
        self._made = 0
        self._greeting = b""
        self._idle: deque[Connection] = deque()
        self._all: list[Connection] = []
        self._free = asyncio.Semaphore(servers)
        self._tasks = Tasks()
        self._listener: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._listener is not None
        port = self._listener.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    async def __aenter__(self) -> "TransactionPooler":
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        await self._tasks.cancel()
        for _, writer in self._all:
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _ = self._tasks.spawn(self._serve(reader, writer), name="pooled client")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = await reader.readexactly(4)
        startup = size + await reader.readexactly(struct.unpack("!i", size)[0] - 4)
        await self._fill(startup)
        writer.write(self._greeting)
        try:
            while True:
                await self._transaction(await _message(reader), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()

    async def _fill(self, startup: bytes) -> None:
        while self._made < self._most:
            self._made += 1
            server = await asyncio.open_connection("127.0.0.1", self._to)
            self._all.append(server)
            server[1].write(startup)
            message = self._greeting = await _message(server[0])
            while message[0] != _READY:
                message = await _message(server[0])
                self._greeting += message
            self._idle.append(server)

    async def _transaction(
        self, message: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Forward both ways until the server says that no transaction is open."""
        if message[:1] == b"X":
            raise ConnectionResetError
        async with self._free:
            server = self._idle.popleft()
            down = self._tasks.spawn(self._carry_down(server[0], writer), name="pooled server")
            server[1].write(message)
            try:
                while not down.done():
                    up = self._tasks.spawn(_message(reader), name="pooled client's message")
                    await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                    if not up.done():
                        up.cancel()  # Between transactions it is not read on: see _message.
                        await asyncio.wait({up})
                    else:
                        server[1].write(up.result())
            finally:
                self._idle.append(server)

    async def _carry_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            message = await _message(reader)
            writer.write(message)
            if message[0] == _READY and message[5:6] == b"I":
                return
