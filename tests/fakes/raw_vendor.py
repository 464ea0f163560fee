"""A vendor on a real socket that says exactly the bytes a test scripts, when it scripts them.

The script is a coroutine run once per accepted connection with a `Peer`: it waits for requests,
writes bytes, half-closes, resets. Nothing here knows HTTP beyond finding the end of a request. What
a script raises is raised again when the vendor closes, so that a failed expectation inside one
fails the test. All waits end: closing cancels the scripts and drops their connections.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType

from proxy.base.tasks import Tasks
from proxy.upstream.origin import Origin

_NO_LINGER = struct.pack("ii", 1, 0)


class Peer:
    """One accepted connection, seen from the vendor."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.number = number  # 1 for the first connection.
        self._reader = reader
        self._writer = writer

    async def head(self) -> bytes:
        """The next request's head, its empty line included."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def request(self) -> tuple[bytes, bytes]:
        """The next request: head, and body with chunked framing undone."""
        head = await self.head()
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return head, await self._reader.readexactly(int(line.split(b":")[1]))
            if line == b"transfer-encoding: chunked":
                return head, await self._chunked()
        return head, b""

    async def take(self, size: int) -> bytes:
        """Exactly so many bytes."""
        return await self._reader.readexactly(size)

    def say(self, data: bytes) -> None:
        """Write bytes, one system call when the socket takes them."""
        self._writer.write(data)

    async def drip(self, data: bytes, *, size: int = 1) -> None:
        """Write bytes one (or `size`) at a time, each with a turn of the loop of its own."""
        for at in range(0, len(data), size):
            self._writer.write(data[at : at + size])
            await self._writer.drain()
            await asyncio.sleep(0)

    async def drain(self) -> None:
        """Wait until most of what was said has been accepted."""
        await self._writer.drain()

    def finish(self) -> None:
        """Half-close: nothing more will be said, reading goes on."""
        self._writer.write_eof()

    def close(self) -> None:
        """Close after what was said."""
        self._writer.close()

    def reset(self) -> None:
        """Drop the connection with RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._writer.transport.abort()

    def drop(self) -> None:
        """Close at once, whatever is unsent."""
        self._writer.transport.abort()

    def stop_reading(self) -> None:
        """Take nothing more, so that the other side's writes back up."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def read_on(self) -> None:
        """Undo `stop_reading`."""
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]

    async def gone(self) -> None:
        """Return when the other side has closed, cleanly or not."""
        try:
            while await self._reader.read(65536):
                pass
        except ConnectionError:
            return

    async def _chunked(self) -> bytes:
        body = b""
        while size := int((await self._reader.readuntil(b"\r\n")).strip(), 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return body


Script = Callable[[Peer], Awaitable[None]]


class RawVendor:
    """Listens on a kernel-chosen port; an async context manager."""

    def __init__(
        self, script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.accepted = 0
        self.open = 0
        self._script = script
        self._tls = tls
        self._host = host
        self._server: asyncio.Server | None = None
        self._tasks = Tasks()
        self._writers: set[asyncio.StreamWriter] = set()
        self._failures: list[BaseException] = []

    @property
    def port(self) -> int:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    @property
    def origin(self) -> Origin:
        return Origin("http" if self._tls is None else "https", self._host, self.port)

    async def __aenter__(self) -> "RawVendor":
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls)
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
        if error is None and self._failures:
            raise self._failures[0]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _ = self._tasks.spawn(self._serve(reader, writer), name="raw vendor")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.accepted += 1
        self.open += 1
        try:
            await self._script(Peer(reader, writer, self.accepted))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The other side went: what most scripts wait for in the end.
        except Exception as error:  # noqa: BLE001 - raised again when the vendor closes.
            self._failures.append(error)
        finally:
            self.open -= 1
            writer.transport.abort()
            self._writers.discard(writer)


def say(*answers: bytes) -> Script:
    """A script: each request gets the next of these answers; then wait for the end."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            peer.say(answer)
        await peer.gone()

    return script


def answer(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole HTTP/1.1 answer with a Content-Length."""
    lines = [b"HTTP/1.1 " + status, *fields, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes) -> bytes:
    """The head of a chunked answer and these chunks, without the last chunk."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed


LAST_CHUNK = b"0\r\n\r\n"
