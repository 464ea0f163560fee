"""A server that dies while it is asked whether it is ready: that is an answer, whatever asyncpg
makes of it, and no error that ends whoever asked (and with it all shipping until a restart)."""

import asyncio
import struct
import tempfile
from pathlib import Path

from proxy.stores.postgres.embedded import EmbeddedPostgres

LIMIT = 10


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


SETTINGS = ((b"server_version", b"18.6"), (b"client_encoding", b"UTF8"))
WELCOME = (
    message(b"R", struct.pack("!i", 0))
    + b"".join(message(b"S", b"%b\0%b\0" % setting) for setting in SETTINGS)
    + message(b"K", struct.pack("!ii", 1, 1))
    + message(b"Z", b"I")
)
DYING = message(b"E", b"SFATAL\0VFATAL\0C57P01\0Mterminating: unexpected postmaster exit\0\0")


async def test_a_server_that_dies_while_it_is_asked_is_not_ready() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "60")

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let the client in, say unasked that it is over, as PostgreSQL does, and be gone."""
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        await reader.readexactly(length - 4)
        writer.write(WELCOME + DYING)
        process.kill()
        await reader.read()
        writer.close()
        await writer.wait_closed()

    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder = Path(name)
        server = await asyncio.start_unix_server(die, folder / ".s.PGSQL.5432")
        async with server, asyncio.timeout(LIMIT):
            assert await EmbeddedPostgres(folder)._ready(process, folder) is False
            assert await process.wait() < 0
