"""Servers in other shapes: a cluster of two, a sentinel with its primary, a door with TLS."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from tests.fakes.redis import RedisServer

_CLUSTERED = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
HALF = 8192


@contextlib.contextmanager
def cluster() -> Iterator[tuple[RedisServer, RedisServer]]:
    """Two servers that share the slots: below HALF the first, above the second."""
    with RedisServer(*_CLUSTERED) as first, RedisServer(*_CLUSTERED) as second:
        assert first.say("CLUSTER", "ADDSLOTSRANGE", "0", str(HALF - 1)) == "+OK"
        assert second.say("CLUSTER", "ADDSLOTSRANGE", str(HALF), "16383") == "+OK"
        assert second.say("CLUSTER", "SET-CONFIG-EPOCH", "2") == "+OK"
        assert first.say("CLUSTER", "MEET", "127.0.0.1", str(second.port)) == "+OK"
        end = time.monotonic() + 20  # noqa: TID251 - before any loop runs.
        for server in (first, second):
            while not _ready(server):
                assert time.monotonic() < end  # noqa: TID251
                time.sleep(0.05)
        yield first, second


def _ready(server: RedisServer) -> bool:
    """It counts, and knows who else does: of these keys each server has some."""
    replies = {server.say("SET", f"probe{i}", "1").split(" ")[0] for i in range(8)}
    return replies == {"+OK", "-MOVED"}


@contextlib.contextmanager
def sentinel(primary: RedisServer, service: str) -> Iterator[int]:
    """The port of a sentinel that watches a primary."""
    configuration = Path(primary.folder) / "sentinel.conf"
    configuration.write_text(f"sentinel monitor {service} 127.0.0.1 {primary.port} 1\n")
    with RedisServer("--sentinel", configuration=configuration) as server:
        yield server.port


@contextlib.asynccontextmanager
async def tls_door(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A port with TLS that leads to a port without."""

    serving: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        far = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, far[1]), carry(far[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*serving)
